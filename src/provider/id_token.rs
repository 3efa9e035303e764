//! What an ID token must say to be believed (OpenID Connect Core §3.1.3.7), and what is taken from it.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::{ProviderError, Question, distrusted};
use crate::config;
use crate::model::clock::Timestamp;
use crate::model::session::Amr;
use crate::model::user::{Email, Role};
use crate::model::vouched::Vouched;
use crate::token::foreign::Statement;

/// How far a provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(30);
/// Octets of all roles together: they travel in the access token, which must fit into a cookie.
const MOST_ROLES: usize = 1024;
/// Ways of proving that are taken over, at most.
const MOST_WAYS: usize = 8;
/// That it was somebody else who saw the person prove themselves.
const FEDERATED: &str = "fed";

/// What a code was traded for.
#[derive(Deserialize)]
pub(super) struct Grant {
    pub(super) id_token: String,
    pub(super) access_token: Option<String>,
}

impl Grant {
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Self, ProviderError> {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        if status == StatusCode::OK {
            let grant = serde_json::from_slice(body);
            return grant.map_err(|_| ProviderError::Unreachable("it gave no ID token".to_owned()));
        }
        match serde_json::from_slice::<Refusal>(body) {
            Ok(refusal) => Err(ProviderError::refusal(&refusal.error)),
            Err(_) => Err(ProviderError::Unreachable(format!("it answered {status}"))),
        }
    }
}

/// Everything about a proved ID token but what it says of the person.
pub(super) fn judge(
    said: &Statement,
    provider: &config::Provider,
    question: &Question,
    access_token: Option<&str>,
    now: Timestamp,
) -> Result<(), ProviderError> {
    if said.text("iss") != Some(&provider.issuer) {
        return wrong("another issuer");
    }
    for_us(said, &provider.client_id)?;
    if said.text("nonce") != Some(&question.nonce) {
        return wrong("nonce");
    }
    in_time(said, now)?;
    if said.has("at_hash") && !access_token.is_some_and(|token| said.is_half_hash("at_hash", token)) {
        return wrong("at_hash");
    }
    if subject(said).is_none() {
        return wrong("subject");
    }
    Ok(())
}

/// It is made for us alone, or names us as who asked for it.
fn for_us(said: &Statement, client_id: &str) -> Result<(), ProviderError> {
    let audience = said.texts("aud").unwrap_or_default();
    if !audience.contains(&client_id) {
        return wrong("audience");
    }
    let party = said.text("azp");
    let named = party == Some(client_id);
    if (audience.len() > 1 || said.has("azp")) && !named {
        return wrong("authorized party");
    }
    Ok(())
}

fn in_time(said: &Statement, now: Timestamp) -> Result<(), ProviderError> {
    let moment = |name: &str| said.seconds(name).map(Timestamp::from_secs);
    let (Some(issued), Some(expires)) = (moment("iat"), moment("exp")) else {
        return wrong("iat or exp is missing");
    };
    if now >= expires.plus(LEEWAY) {
        return wrong("expired");
    }
    let latest = now.plus(LEEWAY);
    let too_early = |name: &str| said.has(name) && moment(name).is_none_or(|moment| moment > latest);
    if issued > latest || too_early("nbf") || too_early("auth_time") {
        return wrong("not good yet");
    }
    Ok(())
}

/// What the provider tells elsewhere; it must be of the same person (OpenID Connect Core §5.3.2).
pub(super) fn same_person(body: &[u8], said: &Statement) -> Result<Statement, ProviderError> {
    let more = Statement::unsigned(body).map_err(distrusted)?;
    match more.text("sub") == subject(said) {
        true => Ok(more),
        false => wrong("userinfo of somebody else"),
    }
}

/// The person.
pub(super) fn vouched(
    said: &Statement,
    more: Option<&Statement>,
    provider: &config::Provider,
    now: Timestamp,
) -> Result<Vouched, ProviderError> {
    let email = verified_address(said).or_else(|| more.filter(|_| !said.has("email")).and_then(verified_address));
    let at_home = |email: &Email| provider.allowed_domains.iter().any(|domain| domain == email.domain());
    if !provider.allowed_domains.is_empty() && !email.as_ref().is_some_and(at_home) {
        return Err(ProviderError::Outsider);
    }
    let proved_at = said.seconds("auth_time").or(said.seconds("iat"));
    Ok(Vouched {
        provider: provider.id.clone(),
        issuer: provider.issuer.clone(),
        subject: subject(said).ok_or(ProviderError::Distrusted("subject"))?.to_owned(),
        email,
        roles: provider.roles_from.as_deref().map(|claim| roles(said, more, claim)),
        auth_time: proved_at.map_or(now, Timestamp::from_secs).min(now),
        amr: ways(said),
    })
}

/// At most 255 characters of ASCII (OpenID Connect Core §2), none of them a control.
fn subject(said: &Statement) -> Option<&str> {
    let plain = |text: &&str| (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..0x7f).contains(&b));
    said.text("sub").filter(plain)
}

/// An address counts when the same statement says that it was verified, as `true` and nothing like it.
fn verified_address(said: &Statement) -> Option<Email> {
    let address = said.text("email").filter(|_| said.is_true("email_verified"))?;
    address.parse().ok()
}

/// The words of a claim that are roles, as many as fit; a claim that is not there gives none.
fn roles(said: &Statement, more: Option<&Statement>, claim: &str) -> Vec<Role> {
    let words = said.texts_at(claim).or_else(|| more?.texts_at(claim));
    let mut roles: Vec<Role> = Vec::new();
    let mut room = MOST_ROLES;
    for role in words.unwrap_or_default().iter().filter_map(|word| word.parse().ok()) {
        if roles.contains(&role) {
            continue;
        }
        let Some(left) = room.checked_sub(role.as_str().len() + 1) else {
            tracing::warn!(
                roles.most = MOST_ROLES,
                "a provider names more roles than fit into a token; the rest is left out"
            );
            break;
        };
        room = left;
        roles.push(role);
    }
    roles
}

/// How the person proved themselves there, in the provider's own words as far as they are words; and that it was there.
fn ways(said: &Statement) -> Vec<Amr> {
    let elsewhere = Amr(FEDERATED.to_owned());
    let told = said.texts("amr").unwrap_or_default();
    let told = told.into_iter().filter_map(|word| word.parse().ok());
    let told = told.filter(|way| *way != elsewhere).take(MOST_WAYS);
    std::iter::once(elsewhere.clone())
        .chain(told.collect::<Vec<_>>())
        .collect()
}

fn wrong<T>(why: &'static str) -> Result<T, ProviderError> {
    Err(ProviderError::Distrusted(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn provider() -> config::Provider {
        config::Provider {
            id: "corp".to_owned(),
            name: "Corp".to_owned(),
            issuer: "https://id.example".to_owned(),
            client_id: "us".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            allowed_domains: Vec::new(),
            roles_from: None,
            registration: true,
            ca_file: None,
        }
    }

    fn question() -> Question {
        Question {
            nonce: "n".to_owned(),
            ..Question::new().unwrap()
        }
    }

    /// What is said in the usual way, but for some members; the last of a name counts, and one without a value is left out.
    fn said(change: &[(&str, &str)]) -> Statement {
        let (issued, expires) = (NOW.as_secs().to_string(), (NOW.as_secs() + 60).to_string());
        let mut members = vec![
            ("iss", r#""https://id.example""#),
            ("sub", r#""248289761001""#),
            ("aud", r#""us""#),
            ("nonce", r#""n""#),
            ("iat", &issued),
            ("exp", &expires),
            ("email", r#""Ada@Example.com""#),
            ("email_verified", "true"),
        ];
        for (name, value) in change {
            members.retain(|(known, _)| known != name);
            members.push((name, value));
        }
        let members = members.iter().filter(|(_, value)| !value.is_empty());
        let members: Vec<_> = members.map(|(name, value)| format!("{name:?}:{value}")).collect();
        Statement::unsigned(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
    }

    fn judged(change: &[(&str, &str)]) -> bool {
        judge(&said(change), &provider(), &question(), None, NOW).is_ok()
    }

    fn person(change: &[(&str, &str)], provider: &config::Provider) -> Result<Vouched, ProviderError> {
        vouched(&said(change), None, provider, NOW)
    }

    #[test]
    fn an_id_token_is_for_us_for_this_question_and_for_now() {
        assert!(judged(&[]));
        assert!(judged(&[("aud", r#"["us"]"#)]));
        assert!(judged(&[("aud", r#"["them","us"]"#), ("azp", r#""us""#)]));
        let (earlier, later) = ((NOW.as_secs() - 30).to_string(), (NOW.as_secs() + 31).to_string());
        for (name, value) in [
            ("iss", r#""https://id.example/""#),
            ("iss", ""),
            ("aud", r#""them""#),
            ("aud", r#"["them","us"]"#),
            ("aud", r#"["us",1]"#),
            ("aud", ""),
            ("azp", r#""them""#),
            ("azp", "1"),
            ("nonce", r#""m""#),
            ("nonce", ""),
            ("iat", &later),
            ("iat", ""),
            ("iat", r#""1790000000""#),
            ("exp", &earlier),
            ("exp", ""),
            ("exp", "1790000060.5"),
            ("nbf", &later),
            ("nbf", r#""soon""#),
            ("auth_time", &later),
            ("sub", ""),
            ("sub", r#""""#),
            ("sub", r#""a\nb""#),
            ("sub", "1"),
            ("at_hash", r#""AAAA""#),
        ] {
            assert!(!judged(&[(name, value)]), "{name}: {value}");
        }
    }

    #[test]
    fn an_address_counts_when_it_was_verified_and_is_of_a_domain_that_may_come_in() {
        let open = provider();
        assert_eq!(person(&[], &open).unwrap().email.unwrap().as_str(), "ada@example.com");
        for unverified in ["false", "", r#""true""#, "1", "null"] {
            let found = person(&[("email_verified", unverified)], &open).unwrap();
            assert_eq!(found.email, None, "{unverified}");
        }
        let home = config::Provider {
            allowed_domains: vec!["example.com".to_owned()],
            ..provider()
        };
        assert!(person(&[], &home).is_ok());
        for outside in [
            r#""ada@evil.com""#,
            r#""ada@sub.example.com""#,
            r#""ada@example.com.evil.com""#,
            r#""ada@example.com@evil.com""#,
            "",
        ] {
            let found = person(&[("email", outside)], &home);
            assert!(matches!(found, Err(ProviderError::Outsider)), "{outside}");
        }
        let unverified = person(&[("email_verified", "false")], &home);
        assert!(matches!(unverified, Err(ProviderError::Outsider)));
    }

    #[test]
    fn words_that_are_no_roles_give_none_and_too_many_are_cut() {
        let asked = config::Provider {
            roles_from: Some("groups".to_owned()),
            ..provider()
        };
        let given = |groups: &str| {
            let roles = person(&[("groups", groups)], &asked).unwrap().roles.unwrap();
            roles.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            given(r#"["staff","Domain Admins","staff","a,b","x:y"]"#),
            ["staff", "x:y"]
        );
        assert_eq!(given(r#""staff""#), ["staff"]);
        assert!(given("").is_empty() && given("7").is_empty());
        let many: Vec<_> = (0..500).map(|number| format!("\"role-{number}\"")).collect();
        let kept: usize = given(&format!("[{}]", many.join(",")))
            .iter()
            .map(|role| role.len() + 1)
            .sum();
        assert!((MOST_ROLES - 16..=MOST_ROLES).contains(&kept), "{kept}");
        assert_eq!(person(&[("groups", r#"["staff"]"#)], &provider()).unwrap().roles, None);
    }

    #[test]
    fn what_a_provider_tells_of_the_ways_is_taken_over_as_words() {
        let ways = |amr: &str| {
            let found = person(&[("amr", amr)], &provider()).unwrap().amr;
            found.into_iter().map(|way| way.0).collect::<Vec<_>>()
        };
        assert_eq!(ways(r#"["pwd","otp","fed","a b"]"#), ["fed", "pwd", "otp"]);
        assert_eq!(ways(""), ["fed"]);
    }

    #[test]
    fn a_person_proved_themselves_when_the_provider_says_or_when_it_said_so() {
        let earlier = NOW.as_secs() - 3600;
        let told = person(&[("auth_time", &earlier.to_string())], &provider()).unwrap();
        assert_eq!(told.auth_time.as_secs(), earlier);
        assert_eq!(person(&[], &provider()).unwrap().auth_time, NOW);
    }
}
