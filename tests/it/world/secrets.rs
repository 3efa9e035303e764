//! Every secret that passed through a world's clients, to be searched for in whatever the gateway wrote.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

/// Values that may never be written anywhere, and problem documents to search for them.
#[derive(Debug, Default)]
pub struct Secrets {
    values: Mutex<BTreeSet<String>>,
    problems: Mutex<String>,
}

/// Members of JSON bodies that hold secrets.
const MEMBERS: &[&str] = &[
    "password",
    "current",
    "new",
    "token",
    "access_token",
    "refresh_token",
    "mfa_token",
];

impl Secrets {
    /// Remembers one value. Short ones would be found by chance.
    pub fn remember(&self, value: &str) {
        if value.len() >= 8 {
            self.values
                .lock()
                .expect("secrets can be kept")
                .insert(value.to_owned());
        }
    }

    /// Remembers the secret members of a JSON body.
    pub fn remember_members(&self, body: &Value) {
        for value in MEMBERS.iter().filter_map(|name| body.get(name)?.as_str()) {
            self.remember(value);
        }
    }

    /// Keeps an error body for the search.
    pub fn problem(&self, text: &str) {
        let mut problems = self.problems.lock().expect("problems can be kept");
        problems.push_str(text);
        problems.push('\n');
    }

    /// Fails when a secret is found in a text, naming the text and the line, not the secret.
    #[track_caller]
    pub fn must_not_occur_in(&self, written: &[(&str, String)]) {
        let problems = self.problems.lock().expect("problems can be read").clone();
        let values = self.values.lock().expect("secrets can be read");
        let written = written
            .iter()
            .map(|(place, text)| (*place, text))
            .chain([("a problem document", &problems)]);
        for (place, text) in written {
            for line in text.lines() {
                if let Some(found) = values.iter().find(|value| occurs(line, value)) {
                    panic!(
                        "a secret stands in {place}: {}",
                        line.replace(needle(found), "<SECRET>")
                    );
                }
            }
        }
    }
}

/// The paths under `/auth` of more than one part.
const OF_TWO_PARTS: [&str; 12] = [
    "confirm/resend",
    "logout/all",
    "mfa/passkey/options",
    "mfa/recovery",
    "mfa/totp",
    "mfa/totp/confirm",
    "mfa/verify",
    "passkeys/login",
    "passkeys/login/options",
    "passkeys/options",
    "password/forgot",
    "password/reset",
];

/// Fails when the access log shows a path under `/auth` that somebody made up: it might be a token.
#[track_caller]
pub fn no_path_of_ours_is_made_up(access_log: &[Value]) {
    for path in access_log.iter().filter_map(|entry| entry["path"].as_str()) {
        let Some(rest) = path.strip_prefix("/auth/") else {
            continue;
        };
        let known = match rest.split_once('/') {
            Some(("sessions", id)) => id.parse::<uuid::Uuid>().is_ok(),
            Some(("providers", name)) => ["corp", "corp/callback", "other/callback"].contains(&name),
            Some(("assets", name)) => name.split_once('.').is_some_and(|(hash, _)| hash.len() == 16),
            Some(("passkeys", id)) if id.parse::<uuid::Uuid>().is_ok() => true,
            Some(_) => OF_TWO_PARTS.contains(&rest),
            None if ["openapi.json", "step-up"].contains(&rest) => true,
            None => rest.bytes().all(|byte| byte.is_ascii_lowercase()) && rest.len() < 10,
        };
        assert!(known, "the access log shows a path as it came: {path}");
    }
}

fn occurs(line: &str, value: &str) -> bool {
    line.contains(needle(value))
}

/// What is searched for: of a signed token, the signature is its secret part and the rest may be cut off before it, so its second half counts.
fn needle(value: &str) -> &str {
    let signature = value.rsplit_once('.').map_or(value, |(_, signature)| signature);
    let needle = if signature.len() >= 16 { signature } else { value };
    needle.get(..needle.len().min(64)).unwrap_or(needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a secret stands in the log")]
    fn a_planted_secret_is_found() {
        let secrets = Secrets::default();
        secrets.remember_members(&serde_json::json!({"password": "correct horse battery"}));
        secrets.must_not_occur_in(&[("the log", "{\"body\":\"x=correct horse battery\"}".to_owned())]);
    }

    #[test]
    #[should_panic(expected = "a secret stands in a problem document")]
    fn a_planted_signature_is_found_in_a_problem() {
        let secrets = Secrets::default();
        secrets.remember("eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJlLXNpZ25hdHVyZQ");
        secrets.problem("bad token …c2lnbmF0dXJlLXNpZ25hdHVyZQ");
        secrets.must_not_occur_in(&[]);
    }
}
