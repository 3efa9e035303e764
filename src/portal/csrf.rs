//! The token that our own forms carry: it proves that the form was written by us, for this browser.
//!
//! A browser gets a random name in a `__Host-` cookie, which neither a sibling domain nor a cleartext page can plant (RFC 6265bis §4.1.3.2). The form's
//! token is an HMAC of that name and of what the form does. Another site can make the browser send the cookie, but cannot read it, and cannot make the token.
//! It stands beside the check of `Sec-Fetch-Site` and `Origin`, and in for it where a browser sends neither.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};

use crate::model::secret::{NoEntropy, Secret, random};
use crate::wire::cookie;

/// The cookie that names the browser.
pub const COOKIE_NAME: &str = "__Host-gateward-csrf";
/// How long a browser keeps its name, in seconds.
const LIFE: u64 = 7 * 24 * 3600;

/// The name that we gave to a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser(String);

impl Browser {
    /// A browser without a name yet gets one.
    pub fn named() -> Result<Self, NoEntropy> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<16>()?)))
    }

    /// The name that a request brings; one that is doubled or not of ours counts as none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = cookie::named(headers, COOKIE_NAME)?;
        let ours = value.len() == 22
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        ours.then(|| Self(value.to_owned()))
    }

    /// The `Set-Cookie` that gives the browser its name, or lets it keep it longer.
    pub fn set_cookie(&self) -> Option<HeaderValue> {
        cookie::set(COOKIE_NAME, &self.0, LIFE)
    }

    /// The name itself, which is for this browser alone to know.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name as octets, to bind other things to the same browser.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Makes and checks form tokens.
pub struct FormTokens(hmac::Key);

impl FormTokens {
    /// Tokens under the installation's secret: the same on every gateway that shares it.
    pub fn new(secret: &Secret) -> Result<Self, NoEntropy> {
        let key = secret.derive("form-token")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())))
    }

    /// The token of a form with the given purpose, for one browser.
    pub fn token(&self, browser: &Browser, purpose: &'static str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &message(browser, purpose)))
    }

    /// Whether a form came from a page that we wrote for this browser and this purpose.
    pub fn is_genuine(&self, browser: &Browser, purpose: &'static str, token: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(token)
            .is_ok_and(|tag| hmac::verify(&self.0, &message(browser, purpose), &tag).is_ok())
    }
}

impl std::fmt::Debug for FormTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormTokens(…)")
    }
}

fn message(browser: &Browser, purpose: &'static str) -> Vec<u8> {
    [browser.as_bytes(), b"\0", purpose.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn tokens() -> FormTokens {
        FormTokens::new(&Secret::new([7; 32])).unwrap()
    }

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(cookie).unwrap())])
    }

    #[test]
    fn a_token_is_good_for_its_browser_and_its_form_only() {
        let (mine, other) = (Browser::named().unwrap(), Browser::named().unwrap());
        let token = tokens().token(&mine, "login");
        assert!(tokens().is_genuine(&mine, "login", &token));
        assert!(!tokens().is_genuine(&other, "login", &token));
        assert!(!tokens().is_genuine(&mine, "account", &token));
        assert!(!tokens().is_genuine(&mine, "login", ""));
        assert!(
            !FormTokens::new(&Secret::new([8; 32]))
                .unwrap()
                .is_genuine(&mine, "login", &token)
        );
    }

    #[test]
    fn a_browser_is_known_by_exactly_one_cookie_of_our_making() {
        let name = "AAAAAAAAAAAAAAAAAAAAAA";
        let good = format!("a=b; {COOKIE_NAME}={name}");
        assert_eq!(Browser::of(&headers(&good)), Some(Browser(name.to_owned())));
        let beside_no_text = format!("app=né; {COOKIE_NAME}={name}");
        assert_eq!(Browser::of(&headers(&beside_no_text)), Some(Browser(name.to_owned())));
        assert_eq!(Browser::of(&headers(&format!("{good}; {COOKIE_NAME}={name}"))), None);
        assert_eq!(Browser::of(&headers(&format!("{COOKIE_NAME}=short"))), None);
        assert_eq!(Browser::of(&HeaderMap::new()), None);
    }
}
