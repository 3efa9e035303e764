//! Time-based codes (RFC 6238): adding an authenticator app, and judging its codes.
//!
//! SHA-1, six digits, thirty seconds: what every app supports; HMAC does not suffer from what is known of SHA-1. The secret has 160 bits and rests
//! sealed. An app counts only once it has shown a right code; until then its secret waits under the session that asked for it. A code of the step before
//! or after is taken as well, and each step once (§5.2): the factor's counter is the last one, and only moves forward.

use std::time::Duration;

use totp_rs::{Builder, Totp};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::second_step::{Shown, Taken};
use super::step_up::Raised;
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::model::proof::Proof;
use crate::model::secret;
use crate::model::session::SessionId;
use crate::model::user::{Email, UserId};

/// How long an app may take to show its first code.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// An app about to be added.
pub struct Enrolment {
    /// The secret in base 32, to be typed in.
    pub secret: String,
    /// The same with names, as apps read it from a QR code (`otpauth://…`).
    pub uri: String,
    /// How long it waits for the first code.
    pub expires_in: Duration,
}

/// An app that was added.
pub struct Enrolled {
    /// Ten new codes, to be shown once.
    pub recovery_codes: Vec<String>,
    /// The session: its person has just shown a second factor. `None`: a store failed over it, and they are asked again when it matters.
    pub raised: Option<Raised>,
}

/// A secret that waits for its first code.
struct Waiting {
    factor: FactorId,
    secret: Zeroizing<Vec<u8>>,
    kept: Vec<u8>,
}

impl Auth {
    /// Makes a secret for an app, in place of one that waits. `site` is what the app is to call us.
    pub async fn begin_totp(&self, who: &Identity, site: &str) -> Result<Enrolment, AuthError> {
        let (user, _) = self.recent(who).await?;
        let now = self.clock.now();
        let factor = FactorId(secret::uuid_v7(now)?);
        let secret = Zeroizing::new(secret::random::<20>()?.to_vec());
        let sealed = self.vault.seal(who.user, factor, &secret)?;
        let kept = [factor.0.as_bytes().as_slice(), &sealed].concat();
        self.keep_waiting(who.session, &kept).await?;
        enrolment(&secret, &user.email, site)
    }

    /// The secret that waits, to be shown once more.
    pub async fn waiting_totp(&self, who: &Identity, site: &str) -> Result<Enrolment, AuthError> {
        let (user, _) = self.recent(who).await?;
        let waiting = self.waiting(who).await?;
        enrolment(&waiting.secret, &user.email, site)
    }

    /// The app shows its first code: it counts from now on, in place of an older one, and ten new recovery codes replace all others.
    pub async fn confirm_totp(&self, caller: &Caller, who: &Identity, code: &str) -> Result<Enrolled, AuthError> {
        let (user, session) = self.recent(who).await?;
        let waiting = self.waiting(who).await?;
        let now = self.clock.now();
        let step = totp(&waiting.secret).check(&digits(code), now.as_secs());
        let step = step.ok_or(AuthError::WrongCode)?;
        let taken = self.stores.ephemeral.take(&key_of(who.session), now).await?;
        taken.ok_or(AuthError::NotFound)?;
        let factor = Factor {
            id: waiting.factor,
            user: who.user,
            kind: FactorKind::Totp,
            label: String::new(),
            sealed: waiting.kept.get(16..).unwrap_or_default().to_vec(),
            link: None,
            counter: step,
            created_at: now,
            used_at: Some(now),
        };
        let added = self.put_totp(&factor).await;
        if let Err(AuthError::Store(_)) = added {
            // A store that fails costs the person nothing: the same app shows another code.
            self.keep_waiting(who.session, &waiting.kept).await?;
        }
        let recovery_codes = added?;
        self.factor_changed(caller, who, "totp.added").await;
        let proof = Proof::remembered(session.amr).with_second(&["otp"]);
        let raised = self.raise(caller, user, session.id, proof).await;
        if let Err(error) = &raised {
            tracing::warn!(%error, session.id = %session.id, "a session does not say yet that its person has shown a second factor");
        }
        Ok(Enrolled {
            recovery_codes,
            raised: raised.ok(),
        })
    }

    /// The app comes last: an account that asks for codes has recovery codes.
    async fn put_totp(&self, factor: &Factor) -> Result<Vec<String>, AuthError> {
        let codes = self.put_recovery_codes(factor.user).await?;
        let replaced = self
            .stores
            .factors
            .replace(factor.user, FactorKind::Totp, std::slice::from_ref(factor));
        if !replaced.await? {
            return Err(AuthError::SessionOver { dead: true });
        }
        Ok(codes)
    }

    /// Whether a code is right and of a step that was not taken yet. What is counted before it, in a row, makes guessing hopeless in the long run too.
    pub(super) async fn totp_shown(
        &self,
        caller: &Caller,
        taken: &Taken,
        code: &str,
    ) -> Result<Option<Shown>, AuthError> {
        let Some(factor) = taken.factors.iter().find(|factor| factor.kind == FactorKind::Totp) else {
            return Ok(None);
        };
        if let Err(refusal) = self.throttle.admit_in_a_row(factor, taken.device).await {
            self.record("second_step.limited", Some(caller), Some(factor.user), None)
                .await;
            return Err(refusal);
        }
        let Ok(secret) = self.vault.open(factor.user, factor.id, &factor.sealed) else {
            tracing::error!(user.id = %factor.user, factor.id = %factor.id, "an authenticator app's secret cannot be opened");
            return Ok(None);
        };
        let step = totp(&secret).check(&digits(code), self.clock.now().as_secs());
        Ok(step.filter(|step| *step > factor.counter).map(|step| Shown {
            factor: factor.id,
            counter: step,
            words: &["otp"],
        }))
    }

    async fn waiting(&self, who: &Identity) -> Result<Waiting, AuthError> {
        let kept = self
            .stores
            .ephemeral
            .peek(&key_of(who.session), self.clock.now())
            .await?;
        let kept = kept.ok_or(AuthError::NotFound)?;
        self.open_waiting(who.user, kept).ok_or(AuthError::NotFound)
    }

    fn open_waiting(&self, user: UserId, kept: Vec<u8>) -> Option<Waiting> {
        let (id, sealed) = kept.split_first_chunk::<16>()?;
        let factor = FactorId(Uuid::from_bytes(*id));
        let secret = self.vault.open(user, factor, sealed).ok()?;
        Some(Waiting { factor, secret, kept })
    }

    async fn keep_waiting(&self, session: SessionId, kept: &[u8]) -> Result<(), AuthError> {
        let until = self.clock.now().plus(LIFE);
        Ok(self.stores.ephemeral.keep(&key_of(session), kept, until).await?)
    }
}

fn enrolment(secret: &[u8], email: &Email, site: &str) -> Result<Enrolment, AuthError> {
    // Neither name may hold the colon that stands between them.
    let site = site.replace(':', " ");
    let named = parameters(secret)
        .with_issuer(Some(site))
        .with_account_name(email.as_str());
    let named = named.build().map_err(|error| AuthError::Internal(error.to_string()))?;
    Ok(Enrolment {
        secret: named.secret().to_base32(),
        uri: named.to_url().map_err(|error| AuthError::Internal(error.to_string()))?,
        expires_in: LIFE,
    })
}

fn totp(secret: &[u8]) -> Totp {
    parameters(secret).build_noncompliant()
}

/// Those of the library are SHA-1, six digits, thirty seconds and one step of tolerance each way; its comparison takes the same time whatever differs.
fn parameters(secret: &[u8]) -> Builder {
    Builder::new().with_secret(secret.to_vec())
}

/// A code as apps show it, in two groups, or as it is.
fn digits(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

fn key_of(session: SessionId) -> String {
    format!("totp:{session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of its eight digits: its secret has 160 bits as ours have.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let totp = totp(b"12345678901234567890");
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(totp.check(code, seconds), Some(seconds / 30));
        }
    }

    #[test]
    fn one_step_to_each_side_is_tolerated_and_no_more() {
        let totp = totp(b"12345678901234567890");
        let step = 1_234_567_890 / 30;
        let code = totp.generate(step * 30).to_string();
        for (late, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let found = totp.check(&code, (step * 30).saturating_add_signed(late * 30));
            assert_eq!(found, taken.then_some(step), "{late}");
        }
    }

    #[test]
    fn an_app_is_told_who_we_are_whatever_the_site_is_called() {
        let email = "ada@example.com".parse().unwrap();
        let made = enrolment(&[7; 20], &email, "Wid: gets & co").unwrap();
        let read = Totp::from_url(&made.uri).unwrap();
        assert_eq!(
            (read.issuer(), read.account_name()),
            (Some("Wid  gets & co"), "ada@example.com")
        );
        assert_eq!(read.secret().to_base32(), made.secret);
        assert_eq!(made.secret.len(), 32);
    }
}
