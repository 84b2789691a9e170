//! The proxy that the environment names, as other programs read it.

use url::Url;

/// The proxy for an endpoint: `HTTPS_PROXY` or `HTTP_PROXY` by its scheme, else `ALL_PROXY`, in small letters too; none for
/// hosts that `NO_PROXY` lists, and none for this machine.
pub(super) fn from_environment(endpoint: &Url, environment: &dyn Fn(&str) -> Option<String>) -> Option<Url> {
    let read = |name: &str| {
        let given = environment(&name.to_ascii_lowercase()).or_else(|| environment(name));
        given.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let host = endpoint.host_str()?;
    let exempt = read("NO_PROXY").unwrap_or_default();
    if is_local(endpoint) || exempt.split(',').any(|pattern| fits(pattern.trim(), host)) {
        return None;
    }
    let by_scheme = if endpoint.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let proxy = read(by_scheme).or_else(|| read("ALL_PROXY"))?;
    let with_scheme = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    Url::parse(&with_scheme).ok()
}

fn is_local(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether an entry of `NO_PROXY` speaks of a host: everything, the host itself, or a domain that it is in.
fn fits(pattern: &str, host: &str) -> bool {
    let domain = pattern.trim_start_matches('.');
    pattern == "*" || !domain.is_empty() && (host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(endpoint: &str, variables: &[(&str, &str)]) -> Option<String> {
        let read = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        from_environment(&endpoint.parse().unwrap(), &read).map(|url| url.to_string())
    }

    #[test]
    fn the_scheme_decides_and_exempt_hosts_have_none() {
        let both = [("HTTPS_PROXY", "http://secure:1"), ("http_proxy", "plain:2"), ("NO_PROXY", "corp.example, .inner.example")];
        assert_eq!(proxy("https://logto.example.com", &both).as_deref(), Some("http://secure:1/"));
        assert_eq!(proxy("http://logto.example.com", &both).as_deref(), Some("http://plain:2/"));
        for exempt in ["https://corp.example", "https://a.corp.example", "https://x.inner.example:8443", "http://127.0.0.1:3001"] {
            assert_eq!(proxy(exempt, &both), None, "{exempt}");
        }
        assert!(proxy("https://notcorp.example", &both).is_some());
        assert_eq!(proxy("https://x.example", &[("ALL_PROXY", "http://any:3"), ("https_proxy", "")]).as_deref(), Some("http://any:3/"));
        assert_eq!(proxy("https://x.example", &[("ALL_PROXY", "http://any:3"), ("no_proxy", "*")]), None);
        assert_eq!(proxy("https://x.example", &[]), None);
    }
}
