//! An OpenID provider: its name among ours, and its own.

use http::Uri;

use crate::config::provider::is_on_this_machine;
use crate::config::read::Text;

text! {
    ProviderId, "a short name", provider_id;
    Issuer, "a URL like \"https://accounts.google.com\"", issuer;
}

/// What an OpenID provider is called in paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ProviderId(pub(in crate::config) String);

/// Who an OpenID provider says it is; kept to the letter, since it is compared so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Issuer(pub(in crate::config) String);

fn provider_id(text: &str) -> Result<ProviderId, String> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(letter) {
        return Ok(ProviderId(text.to_owned()));
    }
    Err(format!(
        "`{}` is no name for a path; use 1 to 32 lower-case letters, digits or '-'",
        text.escape_debug()
    ))
}

/// OpenID Connect Discovery §3: https, and nothing behind the path. In the clear it would be anybody's word who can listen on the way.
fn issuer(text: &str) -> Result<Issuer, String> {
    let wrong = |why: &str| {
        Err(format!(
            "`{}` {why}; write the provider's `issuer`, like \"https://accounts.google.com\"",
            text.escape_debug()
        ))
    };
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("is not a URL");
    };
    let named = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    if named.is_none() || text.contains(['?', '#']) {
        return wrong("is more or less than scheme, host and path");
    }
    match uri.scheme_str() {
        Some("https") => Ok(Issuer(text.to_owned())),
        Some("http") if is_on_this_machine(&uri) => Ok(Issuer(text.to_owned())),
        _ => wrong("is not https"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_in_the_clear_on_this_machine_only() {
        for text in [
            "https://accounts.google.com",
            "https://id.example.com/realms/one/",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            assert_eq!(issuer(text), Ok(Issuer(text.to_owned())));
        }
        for text in [
            "",
            "accounts.google.com",
            "http://id.example.com",
            "ftp://localhost",
            "https://",
            "https://u@id.example.com",
            "https://id.example.com/?x",
            "https://id.example.com/#x",
        ] {
            assert!(issuer(text).is_err(), "{text}");
        }
    }
}
