//! The refusal that asks somebody who is known to prove more, or once more (RFC 9470).

use std::time::Duration;

use http::HeaderValue;

use super::reply::{Code, Problem};
use crate::model::proof;

/// `needs_two`: two factors are wanted; `max_age`: how long ago the sign-in may be.
pub fn problem(needs_two: bool, max_age: Option<Duration>) -> Problem {
    let words = if needs_two {
        "This needs a sign-in with two factors."
    } else {
        "This needs a more recent sign-in."
    };
    let mut challenge = r#"Bearer realm="gateward", error="insufficient_user_authentication""#.to_owned();
    if needs_two {
        challenge.push_str(&format!(r#", acr_values="{}""#, proof::MULTI));
    }
    if let Some(age) = max_age {
        challenge.push_str(&format!(r#", max_age="{}""#, age.as_secs()));
    }
    Problem {
        challenge: HeaderValue::try_from(challenge).ok().map(Box::new),
        ..Problem::new(Code::InsufficientUserAuthentication, words)
    }
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    #[test]
    fn it_says_what_is_wanted() {
        let said = |problem: Problem| {
            problem.into_response("id").headers()[WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .to_owned()
        };
        let age = Some(Duration::from_secs(600));
        assert_eq!(
            said(problem(true, age)),
            r#"Bearer realm="gateward", error="insufficient_user_authentication", acr_values="urn:gateward:acr:mfa", max_age="600""#
        );
        assert!(!said(problem(true, None)).contains("max_age"));
        assert!(!said(problem(false, age)).contains("acr_values"));
    }
}
