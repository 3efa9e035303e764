//! What the browser says about a ceremony (WebAuthn §5.8.1): for what, with which challenge, on whose page.
//!
//! The authenticator signs a hash of it, so it is kept as the octets that came. A member of ours that is doubled refuses the whole; others are passed over, as
//! the specification asks, for browsers add some of their own choice to keep readers honest.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Party, Refused};

/// For what a ceremony is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    /// A passkey is made.
    Create,
    /// A passkey is used.
    Get,
}

impl Ceremony {
    /// Its `type` in client data.
    fn word(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Client data, read and not yet judged.
#[derive(Debug)]
pub(super) struct ClientData {
    /// SHA-256 of the octets, which is what was signed.
    pub(super) hash: [u8; 32],
    /// The challenge that was answered.
    pub(super) challenge: Vec<u8>,
    kind: String,
    origin: String,
    framed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    /// Said by browsers of a page in somebody else's frame only.
    top_origin: Option<IgnoredAny>,
}

impl ClientData {
    /// Reads it (§7.1 steps 5 and 6, §7.2 steps 8 and 9). Octets that are no UTF-8, or begin with a byte order mark, were written by no browser (§5.8.1.1).
    pub(super) fn read(octets: &[u8]) -> Result<Self, Refused> {
        let unreadable = || Refused("client data that cannot be read");
        let written: Written = serde_json::from_slice(octets).map_err(|_| unreadable())?;
        let challenge = URL_SAFE_NO_PAD.decode(&written.challenge).map_err(|_| unreadable())?;
        Ok(Self {
            hash: sha256(octets),
            challenge,
            kind: written.r#type,
            origin: written.origin,
            framed: written.cross_origin || written.top_origin.is_some(),
        })
    }

    /// Whether it is for this ceremony and of a page of ours (§7.1 steps 7 and 9 to 11, §7.2 steps 10 and 12 to 14). That the challenge is ours
    /// (§7.1 step 8, §7.2 step 11) was found before: without it nobody knows what for.
    pub(super) fn judge(&self, ceremony: Ceremony, party: &Party) -> Result<(), Refused> {
        if self.kind != ceremony.word() {
            return Err(Refused("client data of another ceremony"));
        }
        if !party.origins.contains(&self.origin) {
            return Err(Refused("a page of another origin"));
        }
        // Our pages stand in nobody's frame.
        if self.framed {
            return Err(Refused("a page in a frame"));
        }
        Ok(())
    }
}

pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, octets).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn party() -> Party {
        Party::new(
            "example.org",
            vec!["https://example.org".into(), "https://example.net:8443".into()],
        )
    }

    fn judged(text: &str) -> Result<(), Refused> {
        ClientData::read(text.as_bytes())?.judge(Ceremony::Get, &party())
    }

    fn text(kind: &str, challenge: &str, rest: &str) -> String {
        format!(r#"{{"type":"{kind}","challenge":"{challenge}",{rest}}}"#)
    }

    const OURS: &str = r#""origin":"https://example.org","crossOrigin":false"#;

    fn nonce() -> String {
        URL_SAFE_NO_PAD.encode([7; 32])
    }

    #[test]
    fn client_data_is_for_one_ceremony_on_a_page_of_ours() {
        let good = text("webauthn.get", &nonce(), OURS);
        assert_eq!(ClientData::read(good.as_bytes()).unwrap().challenge, [7; 32]);
        judged(&good).unwrap();
        for origin in ["https://example.net:8443", "https://example.org"] {
            judged(&text(
                "webauthn.get",
                &nonce(),
                &format!(r#""origin":"{origin}","new":{{"a":1,"a":2}}"#),
            ))
            .unwrap();
        }
        for kind in ["webauthn.create", "webauthn.Get", "payment.get", ""] {
            assert!(judged(&text(kind, &nonce(), OURS)).is_err(), "{kind}");
        }
        for origin in [
            "http://example.org",
            "https://example.org:443",
            "https://example.org/",
            "https://EXAMPLE.org",
            "https://www.example.org",
            "https://example.org.evil.example",
            "https://evil.example",
            "null",
            "",
        ] {
            let other = format!(r#""origin":"{origin}""#);
            assert!(judged(&text("webauthn.get", &nonce(), &other)).is_err(), "{origin}");
        }
    }

    #[test]
    fn a_page_in_a_frame_is_refused() {
        for framed in [
            r#""origin":"https://example.org","crossOrigin":true"#,
            r#""origin":"https://example.org","crossOrigin":null"#,
            r#""origin":"https://example.org","crossOrigin":"false""#,
            r#""origin":"https://example.org","topOrigin":"https://example.org""#,
            r#""origin":"https://example.org","crossOrigin":false,"topOrigin":"https://evil.example""#,
        ] {
            assert!(judged(&text("webauthn.get", &nonce(), framed)).is_err(), "{framed}");
        }
    }

    #[test]
    fn client_data_that_could_be_read_in_two_ways_is_refused() {
        let good = text("webauthn.get", &nonce(), OURS);
        let doubled = format!(
            r#"{},"origin":"https://evil.example"}}"#,
            good.strip_suffix('}').unwrap()
        );
        let escaped = format!(
            r#"{},"or\u0069gin":"https://evil.example"}}"#,
            good.strip_suffix('}').unwrap()
        );
        for wrong in [
            doubled,
            escaped,
            format!("\u{feff}{good}"),
            format!("{good}{good}"),
            format!("{good},"),
            text("webauthn.get", &format!("{}=", nonce()), OURS),
            text("webauthn.get", &nonce().replace("BwcH", "BwcI"), OURS) + "x",
            text("webauthn.get", &format!("{}H", &nonce()[..42]), OURS),
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(ClientData::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let latin = [good.as_bytes(), &[0xff]].concat();
        assert!(ClientData::read(&latin).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(ClientData::read(&octets).is_err());
        }
    }
}
