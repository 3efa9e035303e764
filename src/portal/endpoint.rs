//! Which path of ours is which endpoint, what it is called in metrics, and by which methods it can be asked.

use super::pages::{CHANGE_PASSWORD, NOT_THERE};
use crate::model::session::SessionId;

/// Where the public keys are (RFC 8615); not under `base_path`, since others look for it here.
const JWKS: &str = "/.well-known/jwks.json";

/// One of our endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Register,
    Login,
    Refresh,
    Logout,
    LogoutAll,
    Me,
    Password,
    Sessions,
    /// `None`: what stands in the path cannot be a session's id.
    Session(Option<SessionId>),
    Jwks,
}

impl Endpoint {
    /// The endpoint of a path; `base` is `base_path`.
    pub(super) fn find(base: &str, path: &str) -> Option<Self> {
        if path == JWKS {
            return Some(Self::Jwks);
        }
        match path.strip_prefix(base)? {
            "/register" => Some(Self::Register),
            "/login" => Some(Self::Login),
            "/refresh" => Some(Self::Refresh),
            "/logout" => Some(Self::Logout),
            "/logout/all" => Some(Self::LogoutAll),
            "/me" => Some(Self::Me),
            "/password" => Some(Self::Password),
            "/sessions" => Some(Self::Sessions),
            rest => {
                let id = rest.strip_prefix("/sessions/")?;
                Some(Self::Session(id.parse().ok().map(SessionId)))
            }
        }
    }

    /// Whether a path is ours, whatever stands there.
    pub(super) fn owns(base: &str, path: &str) -> bool {
        let rest = path.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || [JWKS, CHANGE_PASSWORD, NOT_THERE].contains(&path)
    }

    /// Whether its path holds nothing that somebody made up.
    pub(super) fn is_plain(self) -> bool {
        self != Self::Session(None)
    }

    /// Its name in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Register => "auth.register",
            Self::Login => "auth.login",
            Self::Refresh => "auth.refresh",
            Self::Logout => "auth.logout",
            Self::LogoutAll => "auth.logout_all",
            Self::Me => "auth.me",
            Self::Password => "auth.password",
            Self::Sessions => "auth.sessions",
            Self::Session(_) => "auth.session",
            Self::Jwks => "auth.jwks",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Register | Self::Login | Self::Refresh | Self::Logout | Self::LogoutAll | Self::Password => {
                "POST, OPTIONS"
            }
            Self::Me => "GET, HEAD, DELETE, OPTIONS",
            Self::Sessions | Self::Jwks => "GET, HEAD, OPTIONS",
            Self::Session(_) => "DELETE, OPTIONS",
        }
    }

    /// Whether its answer may set cookies or take them away: then another site must not make a browser ask, cookies or none.
    pub(super) fn moves_cookies(self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::Logout | Self::LogoutAll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ours_at_a_segment_border_only() {
        for ours in ["/auth", "/auth/", "/auth/x", "/.well-known/jwks.json", CHANGE_PASSWORD] {
            assert!(Endpoint::owns("/auth", ours), "{ours}");
        }
        for other in [
            "/",
            "/authors",
            "/author/auth",
            "/.well-known/jwks.json/",
            "/.well-known/other",
        ] {
            assert!(!Endpoint::owns("/auth", other), "{other}");
        }
    }

    #[test]
    fn an_endpoint_is_spelled_exactly() {
        assert_eq!(Endpoint::find("/auth", "/auth/logout/all"), Some(Endpoint::LogoutAll));
        assert_eq!(
            Endpoint::find("/auth", "/auth/sessions/nonsense"),
            Some(Endpoint::Session(None))
        );
        for none in [
            "/auth",
            "/auth/",
            "/auth/login/",
            "/auth/Login",
            "/auth//login",
            "/authlogin",
        ] {
            assert_eq!(Endpoint::find("/auth", none), None, "{none}");
        }
    }
}
