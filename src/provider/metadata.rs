//! What a provider publishes of itself (OpenID Connect Discovery 1.0): where it is asked what, and what it can.

use http::Uri;
use serde::Deserialize;

use super::ProviderError;
use crate::config::Algorithm;
use crate::config::provider::is_on_this_machine;

/// The published document, as far as it is of use here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider as it can be asked.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) authorization: Uri,
    pub(super) token: Uri,
    pub(super) keys: Uri,
    pub(super) userinfo: Option<Uri>,
    pub(super) end_session: Option<Uri>,
    /// Whether we may say who we are in a header, which is the default; else it goes into the form.
    pub(super) takes_basic: bool,
    /// What it may sign with that is known here.
    pub(super) algorithms: Vec<Algorithm>,
    /// Whether its answers say who they are from (RFC 9207 §3).
    pub(super) says_issuer: bool,
}

/// Where the document of an issuer is (Discovery §4).
pub(super) fn address(issuer: &str) -> Result<Uri, ProviderError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    address.parse().map_err(|_| unusable("its address is no URL"))
}

impl Metadata {
    /// Reads the document that was found at an issuer's address. It must be that issuer's own (Discovery §4.3).
    pub(super) fn read(text: &[u8], issuer: &str) -> Result<Self, ProviderError> {
        let document: Document =
            serde_json::from_slice(text).map_err(|_| unusable("its metadata is not the document that it should be"))?;
        if document.issuer != issuer {
            return Err(unusable("its metadata is another issuer's"));
        }
        let in_the_clear = issuer.starts_with("http://");
        let place = |text: &str| place(text, in_the_clear);
        let methods = document.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method: &str| methods.is_some_and(|methods| methods.iter().any(|known| known == method));
        let algorithms = document.id_token_signing_alg_values_supported.iter();
        let algorithms: Vec<_> = algorithms.filter_map(|name| Algorithm::named(name)).collect();
        if algorithms.is_empty() {
            return Err(unusable("it signs with no algorithm that is known here"));
        }
        Ok(Self {
            authorization: place(&document.authorization_endpoint)?,
            token: place(&document.token_endpoint)?,
            keys: place(&document.jwks_uri)?,
            userinfo: document.userinfo_endpoint.as_deref().map(place).transpose()?,
            end_session: document.end_session_endpoint.as_deref().map(place).transpose()?,
            takes_basic: takes("client_secret_basic") || !takes("client_secret_post"),
            algorithms,
            says_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}

/// An endpoint may stand on another host, but never where somebody could listen on the way.
fn place(text: &str, in_the_clear: bool) -> Result<Uri, ProviderError> {
    let uri: Uri = text.parse().map_err(|_| unusable("an endpoint of it is no URL"))?;
    let secure = match uri.scheme_str() {
        Some("https") => !in_the_clear,
        Some("http") => in_the_clear && is_on_this_machine(&uri),
        _ => false,
    };
    if secure && !text.contains('#') && !uri.authority().is_some_and(|at| at.as_str().contains('@')) {
        return Ok(uri);
    }
    Err(unusable("an endpoint of it is not where it may be asked"))
}

fn unusable(why: &str) -> ProviderError {
    ProviderError::Unreachable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn document(change: &[(&str, &str)]) -> String {
        let mut members = vec![
            ("issuer", r#""https://id.example""#),
            ("authorization_endpoint", r#""https://id.example/authorize?tenant=1""#),
            ("token_endpoint", r#""https://api.id.example/token""#),
            ("jwks_uri", r#""https://id.example/keys""#),
            ("id_token_signing_alg_values_supported", r#"["HS256","none","RS256"]"#),
        ];
        for (name, value) in change {
            members.retain(|(known, _)| known != name);
            members.push((name, value));
        }
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("{name:?}:{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn read(change: &[(&str, &str)]) -> Result<Metadata, ProviderError> {
        Metadata::read(document(change).as_bytes(), ISSUER)
    }

    #[test]
    fn a_document_says_where_and_what() {
        let metadata = read(&[]).unwrap();
        assert_eq!(metadata.token, "https://api.id.example/token");
        assert_eq!(metadata.algorithms, [Algorithm::Rs256]);
        assert!(metadata.takes_basic && !metadata.says_issuer);
        let posting = read(&[("token_endpoint_auth_methods_supported", r#"["client_secret_post"]"#)]);
        assert!(!posting.unwrap().takes_basic);
    }

    #[test]
    fn a_document_of_another_issuer_or_with_a_way_that_others_can_listen_on_is_none() {
        for (name, value) in [
            ("issuer", r#""https://id.example/""#),
            ("issuer", r#""https://evil.example""#),
            ("token_endpoint", r#""http://id.example/token""#),
            ("token_endpoint", r#""http://127.0.0.1/token""#),
            ("jwks_uri", r#""file:///etc/passwd""#),
            ("jwks_uri", r#""/keys""#),
            ("authorization_endpoint", r#""javascript:alert(1)""#),
            ("authorization_endpoint", r#""https://id.example/#x""#),
            ("userinfo_endpoint", r#""https://user@id.example/""#),
            ("id_token_signing_alg_values_supported", r#"["none","HS256"]"#),
            ("id_token_signing_alg_values_supported", "null"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}: {value}");
        }
        let doubled = document(&[]).replacen('{', r#"{"issuer":"https://id.example","#, 1);
        assert!(Metadata::read(doubled.as_bytes(), ISSUER).is_err());
    }

    #[test]
    fn the_document_is_found_below_the_issuer() {
        for issuer in ["https://id.example/realms/a", "https://id.example/realms/a/"] {
            let found = address(issuer).unwrap();
            assert_eq!(found, "https://id.example/realms/a/.well-known/openid-configuration");
        }
    }
}
