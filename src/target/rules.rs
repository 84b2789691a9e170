//! What method and path alone tell about the harm a call could do, whatever its sender says about it.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;

use crate::contract::EMPTY_BODIES;

/// Collections below `/api` whose members may only be written when they are ours; the id follows the name.
const OBJECTS: [&str; 15] = [
    "users",
    "applications",
    "saml-applications",
    "roles",
    "organizations",
    "organization-roles",
    "organization-scopes",
    "organization-invitations",
    "resources",
    "connectors",
    "sso-connectors",
    "hooks",
    "domains",
    "secrets",
    "email-templates",
];

/// Resources below `/api` that the whole tenant shares.
const SHARED: [&str; 11] = [
    "account-center",
    "sign-in-exp",
    "connectors",
    "sso-connectors",
    "configs",
    "email-templates",
    "custom-phrases",
    "custom-profile-fields",
    "captcha-provider",
    "domains",
    "hooks",
];

/// A path below the deployment's endpoint, cut into decoded segments.
pub(super) struct Aim {
    segments: Vec<String>,
}

impl Aim {
    /// `path` as it will stand on the wire, without the endpoint's prefix.
    pub(super) fn new(path: &str) -> Self {
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        Self { segments: path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect() }
    }

    /// The token endpoint: it hands out tokens and changes nothing that another could see.
    pub(super) fn is_token_endpoint(&self) -> bool {
        self.segments.len() == 2 && self.is(0, "oidc") && self.is(1, "token")
    }

    /// Whether a write here is felt by every user of the tenant.
    pub(super) fn is_shared(&self) -> bool {
        let only_asks = self.segments.last().is_some_and(|last| last.eq_ignore_ascii_case("check-password"));
        self.is(0, "api") && SHARED.iter().any(|name| self.is(1, name)) && !only_asks
    }

    /// The id of the object that a write here changes.
    pub(super) fn object(&self) -> Option<&str> {
        let collection = self.is(0, "api") && OBJECTS.iter().any(|name| self.is(1, name));
        if collection { self.segments.get(2).map(String::as_str) } else { None }
    }

    /// Whether a write with this body could not be carried out even by a deployment that lets its sender in: the body
    /// carries no instruction and is refused; or there is none, and the path aims at what does not exist. Without body
    /// `PUT` may make what it aims at, so it is never inert.
    pub(super) fn is_inert(&self, method: &str, body: &[u8], unused: &HashSet<String>) -> bool {
        if !body.is_empty() {
            return EMPTY_BODIES.iter().any(|empty| empty.as_bytes() == body);
        }
        let aims_at_nothing = match self.object() {
            Some(object) => unused.contains(object),
            None => self.segments.iter().any(|segment| unused.contains(segment)),
        };
        !method.eq_ignore_ascii_case("PUT") && aims_at_nothing
    }

    /// Logto's router ignores the case of letters.
    fn is(&self, index: usize, name: &str) -> bool {
        self.segments.get(index).is_some_and(|segment| segment.eq_ignore_ascii_case(name))
    }
}

/// Methods that may change something; unknown ones may.
pub(super) fn may_write(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// Methods that a run that only reads may use: what a proxy makes of others is its own affair.
pub(super) fn only_reads(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_recognised_in_every_spelling() {
        for path in ["/api/users/abc", "/api/Users/abc/", "/api//users//abc/password", "/api/users/%61bc/roles/r"] {
            assert_eq!(Aim::new(path).object(), Some("abc"), "{path}");
        }
        assert_eq!(Aim::new("/api/users").object(), None);
        assert_eq!(Aim::new("/api/my-account/sessions/abc").object(), None);
    }

    #[test]
    fn shared_settings_are_recognised_and_questions_are_not() {
        assert!(Aim::new("/api/Account-Center/").is_shared());
        assert!(Aim::new("/api/connectors/abc").is_shared());
        assert!(!Aim::new("/api/sign-in-exp/default/check-password").is_shared());
        assert!(!Aim::new("/api/users/abc").is_shared());
    }

    #[test]
    fn inert_is_what_could_not_be_carried_out() {
        let unused = HashSet::from(["nobody".to_owned()]);
        let inert = |method: &str, path: &str, body: &str| Aim::new(path).is_inert(method, body.as_bytes(), &unused);
        assert!(inert("DELETE", "/api/users/nobody", "") && inert("POST", "/api/hooks/nobody/test", "[]"));
        assert!(inert("PATCH", "/api/sign-in-exp", "[]") && inert("POST", "/api/domains/cleanup", "\"lc-no-body\""));
        assert!(inert("DELETE", "/api/configs/actions/nobody", ""));
        for (method, path, body) in [
            ("DELETE", "/api/captcha-provider", ""),
            ("DELETE", "/api/users/alice", ""),
            ("DELETE", "/api/users/alice/roles/nobody", ""),
            ("PATCH", "/api/users/nobody", "{}"),
            ("PATCH", "/api/sign-in-exp", " []"),
            ("PUT", "/api/flags/nobody", ""),
            ("POST", "/api/nobodyelse", ""),
        ] {
            assert!(!inert(method, path, body), "{method} {path} {body}");
        }
    }

    #[test]
    fn only_the_token_endpoint_itself_is_exempt() {
        assert!(Aim::new("/oidc/token").is_token_endpoint());
        assert!(!Aim::new("/oidc/token/revocation").is_token_endpoint());
    }
}
