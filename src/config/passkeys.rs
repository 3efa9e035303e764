//! `[auth.passkeys]`: under which name authenticators know us, and on which pages.

use http::Uri;

/// How passkeys are made and used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkeys {
    /// The host that passkeys belong to: `public_url`'s, or one above it. Who changes it loses every passkey.
    pub rp_id: String,
    /// `public_url`'s origin, as browsers write it.
    pub origin: String,
    /// Origins of other hosts that may use the same passkeys.
    pub related_origins: Vec<String>,
}

/// An origin as browsers write it: no slash, no port that goes without saying (RFC 6454 §6.2).
pub(super) fn origin(url: &Uri) -> String {
    let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
    match (scheme, url.port_u16()) {
        (_, None) | ("https", Some(443)) | ("http", Some(80)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (url, written) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com:443/", "https://app.example.com"),
            ("https://localhost:8443", "https://localhost:8443"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
        ] {
            assert_eq!(origin(&Uri::from_static(url)), written);
        }
    }
}
