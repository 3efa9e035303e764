//! A browser that is at a provider, and what it comes back for.
//!
//! What only this browser may know (the question, for whom it asks) travels in a sealed `__Host-` cookie of its own, named after the question, so that two tabs
//! may ask at once. What is larger and may wait here (where to go on to, a kept form) is kept by the store under the question's `state`, and given out
//! once: the first who comes back with it gets it. An answer without the cookie was asked for by another browser.

use http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::seal::Seal;
use crate::auth::federation::ERRAND;
use crate::model::clock::Timestamp;
use crate::model::secret::{NoEntropy, Secret};
use crate::model::session::SessionId;
use crate::provider::Question;
use crate::wire::cookie;

/// Characters of a `state`: 32 octets in base64url.
const STATE_LENGTH: usize = 43;
/// As many of them tell one cookie from another.
const NAMED_BY: usize = 8;

/// What a browser asks a provider, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Errand {
    /// Whom.
    pub(super) provider: String,
    /// What.
    pub(super) question: Question,
    /// The session whose account is to be connected; `None`: somebody wants to sign in.
    pub(super) tie: Option<SessionId>,
    until: Timestamp,
}

/// What the browser wants to do when it is back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baggage {
    /// Where to go on to; still to be judged.
    pub(super) return_to: Option<String>,
    /// A form to be sent afterwards, sealed.
    pub(super) kept: Option<String>,
}

impl Errand {
    /// An errand that begins now.
    pub(super) fn new(provider: &str, tie: Option<SessionId>, now: Timestamp) -> Result<Self, NoEntropy> {
        Ok(Self {
            provider: provider.to_owned(),
            question: Question::new()?,
            tie,
            until: now.plus(ERRAND),
        })
    }
}

/// Seals errands and opens them again.
#[derive(Debug)]
pub(super) struct Errands(Seal);

impl Errands {
    pub(super) fn new(secret: &Secret) -> Result<Self, NoEntropy> {
        Seal::new(secret, "errand").map(Self)
    }

    /// The `Set-Cookie` that the browser goes away with.
    pub(super) fn cookie(&self, errand: &Errand) -> Option<HeaderValue> {
        let state = &errand.question.state;
        let sealed = self.pack(state, errand)?;
        cookie::set(&name(state)?, &sealed, ERRAND.as_secs())
    }

    /// The errand that this browser was sent on with a `state`; `None`: it was not, or too long ago.
    pub(super) fn find(&self, headers: &HeaderMap, state: &str, now: Timestamp) -> Option<Errand> {
        let sealed = cookie::named(headers, &name(state)?)?;
        // The seal is bound to the whole of the state.
        let errand: Errand = self.unpack(state, sealed)?;
        (now < errand.until && errand.question.state == state).then_some(errand)
    }

    /// The `Set-Cookie` that ends it.
    pub(super) fn forget(state: &str) -> Option<HeaderValue> {
        cookie::clear(&name(state)?)
    }

    /// Seals what goes with a `state`.
    pub(super) fn pack(&self, state: &str, what: &impl Serialize) -> Option<String> {
        self.0.seal(state.as_bytes(), &serde_json::to_vec(what).ok()?)
    }

    /// Opens it again.
    pub(super) fn unpack<T: DeserializeOwned>(&self, state: &str, sealed: &str) -> Option<T> {
        let opened = self.0.open(state.as_bytes(), sealed)?;
        serde_json::from_slice(&opened).ok()
    }
}

/// The name of an errand's cookie; `None`: no question of ours has such a state.
fn name(state: &str) -> Option<String> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let ours = state.len() == STATE_LENGTH && state.bytes().all(letter);
    let start = state.get(..NAMED_BY).filter(|_| ours)?;
    Some(format!("__Host-gateward-errand-{start}"))
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn errands() -> Errands {
        Errands::new(&Secret::new([7; 32])).unwrap()
    }

    /// The headers of a browser that keeps what it was given.
    fn browser(cookies: &[HeaderValue]) -> HeaderMap {
        let pairs: Vec<&str> = cookies
            .iter()
            .map(|line| line.to_str().unwrap().split(';').next().unwrap())
            .collect();
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap())])
    }

    #[test]
    fn two_tabs_may_be_away_at_once_and_each_comes_back_to_its_own() {
        let (one, two) = (
            Errand::new("a", None, NOW).unwrap(),
            Errand::new("b", None, NOW).unwrap(),
        );
        let cookies = [&one, &two].map(|errand| errands().cookie(errand).unwrap());
        let headers = browser(&cookies);
        for errand in [one, two] {
            assert_eq!(errands().find(&headers, &errand.question.state, NOW), Some(errand));
        }
    }

    #[test]
    fn an_errand_is_this_browser_s_for_a_while_and_for_its_own_state() {
        let errand = Errand::new("a", None, NOW).unwrap();
        let state = errand.question.state.clone();
        let cookie = errands().cookie(&errand).unwrap();
        assert!(
            cookie
                .to_str()
                .unwrap()
                .contains("; Secure; HttpOnly; SameSite=Lax; Max-Age=600")
        );
        let headers = browser(std::slice::from_ref(&cookie));
        assert_eq!(errands().find(&headers, &state, NOW.plus(ERRAND)), None);
        assert_eq!(errands().find(&HeaderMap::new(), &state, NOW), None);
        let other = format!("{}{}", &state[..NAMED_BY], "A".repeat(STATE_LENGTH - NAMED_BY));
        for wrong in [other.as_str(), "", "short", &"é".repeat(22)] {
            assert_eq!(errands().find(&headers, wrong, NOW), None, "{wrong}");
        }
        let strangers = Errands::new(&Secret::new([8; 32])).unwrap();
        assert_eq!(strangers.find(&headers, &state, NOW), None);
    }

    #[test]
    fn nothing_of_the_question_can_be_read_from_the_cookie() {
        let errand = Errand::new("corp", None, NOW).unwrap();
        let cookie = errands().cookie(&errand).unwrap();
        for secret in [
            &errand.question.nonce,
            &errand.question.verifier,
            &errand.question.state,
        ] {
            assert!(!cookie.to_str().unwrap().contains(secret.as_str()));
        }
    }

    #[test]
    fn baggage_is_given_back_as_it_was() {
        let baggage = Baggage {
            return_to: Some("/reports?week=3".to_owned()),
            kept: None,
        };
        let packed = errands().pack("state", &baggage).unwrap();
        assert_eq!(errands().unpack("state", &packed), Some(baggage));
        assert_eq!(errands().unpack::<Baggage>("other", &packed), None);
    }
}
