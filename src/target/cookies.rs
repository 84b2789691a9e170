//! The cookies of one sign-in: names and values only, since all of its requests go to one deployment.

use crate::model::wire::{Answer, Request};

/// Cookies by name; a jar lives as long as one sign-in.
#[derive(Default)]
pub(super) struct Jar {
    cookies: Vec<(String, String)>,
}

impl Jar {
    /// Takes over what an answer sets, and forgets what it deletes.
    pub(super) fn learn(&mut self, answer: &Answer) {
        for (name, header) in &answer.headers {
            if name != "set-cookie" {
                continue;
            }
            let mut parts = header.split(';').map(str::trim);
            let Some((key, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            self.cookies.retain(|(known, _)| known != key);
            if !value.is_empty() && !parts.any(expires_now) {
                self.cookies.push((key.to_owned(), value.to_owned()));
            }
        }
    }

    /// The value of a cookie.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Adds the cookies to a request.
    pub(super) fn dress(&self, request: Request) -> Request {
        if self.cookies.is_empty() {
            return request;
        }
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.with_header("cookie", pairs.join("; "))
    }
}

/// Servers delete a cookie with a life of zero seconds or an end in the year 1970.
fn expires_now(attribute: &str) -> bool {
    let attribute = attribute.to_ascii_lowercase();
    match attribute.split_once('=') {
        Some(("max-age", seconds)) => seconds.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0),
        Some(("expires", date)) => date.contains(" 1970 ") || date.contains("-1970 "),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie_of(jar: &Jar) -> String {
        jar.dress(Request::new("GET", "/")).header("cookie").unwrap_or("").to_owned()
    }

    #[test]
    fn cookies_are_kept_replaced_and_deleted() {
        let answer = |cookies: &[&str]| Answer {
            headers: cookies.iter().map(|cookie| ("set-cookie".to_owned(), (*cookie).to_owned())).collect(),
            ..Answer::default()
        };
        let mut jar = Jar::default();
        assert_eq!(cookie_of(&jar), "");
        jar.learn(&answer(&["a=1; path=/; httponly", "b=2=x; Max-Age=60", "c=3; expires=Fri, 01 Jan 2100 00:00:00 GMT"]));
        assert_eq!(cookie_of(&jar), "a=1; b=2=x; c=3");
        jar.learn(&answer(&["a=4", "b=; path=/", "c=x; expires=Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"]));
        assert_eq!(cookie_of(&jar), "a=4");
        jar.learn(&answer(&["a=5; max-age=0"]));
        assert_eq!(cookie_of(&jar), "");
    }
}
