//! Which path is which page.

use http::{HeaderMap, Method};

use crate::wire::navigation;

/// Where password managers look for the page that changes a password.
pub(in crate::portal) const CHANGE_PASSWORD: &str = "/.well-known/change-password";

/// Browsers ask for this before they trust the path above, and want to see it missing (A Well-Known URL for Changing Passwords, §3.2). A site behind us that answers
/// everything with a page, or our own redirect to sign in, would tell them otherwise.
pub(in crate::portal) const NOT_THERE: &str =
    "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200";

/// One of our pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::portal) enum Page {
    /// What stands at `base_path` itself: the way to the account.
    Home,
    SignIn,
    Register,
    SignOut,
    Account,
    Security,
    /// Where one asks for a new password.
    Forgot,
    /// Where one sets it.
    Reset,
    /// Where one confirms an address.
    Confirm,
    ChangePassword,
    /// Where a browser leaves for a provider.
    Provider,
    /// Where it comes back.
    Callback,
    Asset,
}

impl Page {
    /// The page of a path; `base` is `base_path`.
    pub(in crate::portal) fn find(base: &str, path: &str) -> Option<Self> {
        if path == CHANGE_PASSWORD {
            return Some(Self::ChangePassword);
        }
        match path.strip_prefix(base)? {
            "" | "/" => Some(Self::Home),
            "/login" => Some(Self::SignIn),
            "/register" => Some(Self::Register),
            "/logout" => Some(Self::SignOut),
            "/account" => Some(Self::Account),
            "/security" => Some(Self::Security),
            "/forgot" => Some(Self::Forgot),
            "/reset" => Some(Self::Reset),
            "/confirm" => Some(Self::Confirm),
            rest => match rest.strip_prefix("/providers/") {
                Some(rest) if rest.ends_with("/callback") => Some(Self::Callback),
                Some(rest) => (!rest.contains('/')).then_some(Self::Provider),
                None => rest.starts_with("/assets/").then_some(Self::Asset),
            },
        }
    }

    /// Whether a request is for the page. The other requests to the same path are for the JSON face.
    pub(in crate::portal) fn takes(self, method: &Method, headers: &HeaderMap) -> bool {
        match self {
            Self::SignIn | Self::Register | Self::SignOut | Self::Confirm if method == Method::POST => {
                navigation::is_urlencoded(headers)
            }
            Self::Account | Self::Security | Self::Forgot | Self::Reset => true,
            Self::Provider => method == Method::POST && navigation::is_urlencoded(headers),
            // A look at the head of the answer would use it up.
            Self::Callback => method == Method::GET,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }

    /// Its name in metrics and logs, where the JSON face has none.
    pub(in crate::portal) fn name(self) -> &'static str {
        match self {
            Self::Home => "auth.home",
            Self::SignIn => "auth.login",
            Self::Register => "auth.register",
            Self::SignOut => "auth.logout",
            Self::Account => "auth.account",
            Self::Security => "auth.security",
            Self::Forgot => "auth.forgot",
            Self::Reset => "auth.reset",
            Self::Confirm => "auth.confirm",
            Self::ChangePassword => "auth.change_password",
            Self::Provider => "auth.provider",
            Self::Callback => "auth.provider_callback",
            Self::Asset => "auth.asset",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn a_form_is_a_pages_and_json_is_not() {
        let form = headers("application/x-www-form-urlencoded; charset=utf-8");
        for page in [Page::SignIn, Page::Register, Page::SignOut, Page::Confirm] {
            assert!(page.takes(&Method::GET, &HeaderMap::new()));
            assert!(page.takes(&Method::POST, &form));
            assert!(!page.takes(&Method::POST, &headers("application/json")));
            assert!(!page.takes(&Method::POST, &HeaderMap::new()));
        }
    }

    #[test]
    fn pages_are_found_by_their_exact_path() {
        assert_eq!(Page::find("/auth", "/auth/login"), Some(Page::SignIn));
        assert_eq!(Page::find("/auth", CHANGE_PASSWORD), Some(Page::ChangePassword));
        for none in ["/auth/login/", "/auth/me", "/authlogin", "/login"] {
            assert_eq!(Page::find("/auth", none), None, "{none}");
        }
    }
}
