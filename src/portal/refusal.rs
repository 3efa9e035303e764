//! Refusals: `AuthError` becomes a status and public words, in one match. What lies behind a failure is logged here, once, and told to nobody.

use std::error::Error;
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderValue, Response};

use crate::auth::AuthError;
use crate::auth::factors::RECENT;
use crate::auth::federation::Federated;
use crate::provider::{Provider, ProviderError};
use crate::token::{Rejected, TokenError};
use crate::wire::Body;
use crate::wire::reply::{Code, Problem};
use crate::wire::step_up;

/// When to try again after a store failed, in seconds: longer than a restart or a failover's first moments, shorter than a person's patience.
const STORE_RETRY: u64 = 2;

/// When to try again after a provider failed: it is left alone for as long.
const PROVIDER_RETRY: u64 = 5;

/// An answer that says no, and what becomes of the cookies with it.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Problem,
    cookies: Vec<HeaderValue>,
}

impl Refusal {
    /// The refusal with these `Set-Cookie` lines.
    pub(super) fn with_cookies(mut self, cookies: Vec<HeaderValue>) -> Self {
        self.cookies = cookies;
        self
    }

    /// The refusal with other words.
    pub(super) fn with_detail(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.problem.detail);
        self
    }

    pub(super) fn into_response(self, request_id: &str) -> Response<Body> {
        let mut response = self.problem.into_response(request_id);
        for line in self.cookies {
            response.headers_mut().append(SET_COOKIE, line);
        }
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            cookies: Vec::new(),
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        problem(error).into()
    }
}

/// The one match from rules to HTTP.
pub(super) fn problem(error: AuthError) -> Problem {
    match error {
        AuthError::InvalidCredentials => {
            Problem::new(Code::InvalidCredentials, "The e-mail address or the password is wrong.")
        }
        AuthError::WrongCode => Problem::new(
            Code::InvalidCode,
            "The code is wrong, or was used before; wait for the next one, then try again.",
        ),
        AuthError::StepOver => Problem::new(
            Code::SignInExpired,
            "It took too long, or too many codes were tried. Begin again with your password.",
        ),
        AuthError::NotRecent { needs_two } => step_up::problem(needs_two, Some(RECENT)),
        AuthError::SessionOver { .. } => Problem::new(Code::InvalidToken, "The session is over; sign in again."),
        AuthError::RateLimited { retry_after } => {
            Problem::new(Code::RateLimited, "Too many attempts; wait, then try again.")
                .retry_after(seconds(retry_after))
        }
        AuthError::Overloaded { retry_after } => Problem::new(
            Code::Overloaded,
            "Too many people are signing in; try again in a moment.",
        )
        .retry_after(seconds(retry_after)),
        AuthError::EmailTaken => Problem::new(Code::EmailTaken, "Sign in with it, or use another address."),
        AuthError::InvalidEmail => Problem::new(Code::InvalidEmail, "Write it like ada@example.com."),
        AuthError::WeakPassword(words) => Problem::new(Code::WeakPassword, words),
        AuthError::RegistrationClosed => Problem::new(
            Code::RegistrationClosed,
            "Accounts are made by the operator of this site; ask for one.",
        ),
        AuthError::Federated(why) => federated(why),
        AuthError::LinkOver => Problem::new(
            Code::InvalidLink,
            "It was used before, a newer one was sent, or its time is over; ask for another.",
        ),
        AuthError::LastWayIn => Problem::new(
            Code::LastWayIn,
            "Set a password first, or add another passkey or provider.",
        ),
        AuthError::PasskeyRefused => Problem::new(
            Code::PasskeyRefused,
            "It was not made for this site, or it took too long; try again.",
        ),
        AuthError::PasskeyTaken => Problem::new(Code::PasskeyTaken, "It is an account's already; use another."),
        AuthError::TooManyPasskeys => Problem::new(
            Code::PasskeyTaken,
            "There are as many as an account can have; remove one first.",
        ),
        AuthError::BadName => Problem::new(Code::BadRequest, "A name has at most 64 letters that can be seen."),
        AuthError::NotFound => Problem::new(Code::NotFound, "There is no such thing here."),
        AuthError::Store(error) | AuthError::Token(TokenError::Store(error)) => store_unavailable(&error),
        AuthError::Token(error) => internal(&error),
        AuthError::Internal(_) => internal(&error),
    }
}

/// What a person is told whom a provider knows and who gets no further here.
fn federated(why: Federated) -> Problem {
    match why {
        Federated::NoAddress => Problem::new(
            Code::ProviderRefused,
            "The provider does not say that your e-mail address was verified; verify it there first.",
        ),
        Federated::TieFirst => Problem::new(
            Code::EmailTaken,
            "There is an account with your address here. Sign in to it as you did before, and connect the provider on your account page.",
        ),
        Federated::TiedElsewhere => Problem::new(
            Code::ProviderTaken,
            "You at this provider are connected to another account here; disconnect it there first.",
        ),
        Federated::TiedAlready => Problem::new(
            Code::ProviderTaken,
            "Your account is connected to somebody else at this provider; disconnect that first.",
        ),
        Federated::Disabled => Problem::new(
            Code::ProviderRefused,
            "Your account here was disabled; ask whoever runs this site.",
        ),
    }
}

/// What a person is told who comes back from a provider in vain; the log says why.
pub(super) fn vouched_in_vain(provider: &Provider, error: &ProviderError) -> Problem {
    let name = provider.name();
    match error {
        ProviderError::Refused(code) if code == "access_denied" => {
            let words = format!("{name} was not allowed to tell us who you are. Try again, or sign in another way.");
            return Problem::new(Code::ProviderRefused, words);
        }
        ProviderError::Outsider => {
            let words = "Your address there is of no domain that may sign in here, or was not verified.";
            return Problem::new(Code::ProviderRefused, words);
        }
        _ => {
            tracing::warn!(provider.id = provider.id(), error = %chain(error), "a sign-in at a provider came to nothing")
        }
    }
    match error {
        ProviderError::Unreachable(_) => {
            let words = format!("{name} does not answer properly. Try again in a moment, or sign in another way.");
            Problem::new(Code::ProviderUnavailable, words).retry_after(PROVIDER_RETRY)
        }
        _ => {
            let words = format!(
                "What {name} told us cannot be believed, so nothing was done. Try again, or sign in another way."
            );
            Problem::new(Code::ProviderRefused, words)
        }
    }
}

/// What a caller is told whose access token was not accepted: never why.
pub(super) fn rejected(error: Rejected) -> Problem {
    match error {
        Rejected::Invalid(_) | Rejected::Expired | Rejected::Revoked => Problem::new(
            Code::InvalidToken,
            "The access token is not accepted; refresh it, or sign in again.",
        ),
        Rejected::Unavailable(error) => store_unavailable(&error),
    }
}

/// Something that should not happen: logged with its cause.
pub(super) fn internal(error: &dyn Error) -> Problem {
    tracing::error!(error = %chain(error), "a request to our own endpoints failed");
    Problem::new(Code::Internal, "The fault is logged under the id in `instance`.")
}

fn store_unavailable(error: &dyn Error) -> Problem {
    tracing::warn!(error = %chain(error), "a request to our own endpoints needed a store that failed");
    Problem::new(
        Code::StoreUnavailable,
        "Nothing was lost, and you are still signed in if you were.",
    )
    .retry_after(STORE_RETRY)
}

fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

/// Whole seconds, rounded up, so that nobody comes back too early.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::store_failures;

    #[test]
    fn each_refusal_has_its_promised_code() {
        let wait = Duration::from_millis(1_500);
        let cases = [
            (AuthError::InvalidCredentials, Code::InvalidCredentials, None),
            (AuthError::WrongCode, Code::InvalidCode, None),
            (AuthError::StepOver, Code::SignInExpired, None),
            (
                AuthError::NotRecent { needs_two: false },
                Code::InsufficientUserAuthentication,
                None,
            ),
            (AuthError::SessionOver { dead: false }, Code::InvalidToken, None),
            (AuthError::SessionOver { dead: true }, Code::InvalidToken, None),
            (AuthError::RateLimited { retry_after: wait }, Code::RateLimited, Some(2)),
            (AuthError::Overloaded { retry_after: wait }, Code::Overloaded, Some(2)),
            (AuthError::EmailTaken, Code::EmailTaken, None),
            (AuthError::InvalidEmail, Code::InvalidEmail, None),
            (AuthError::WeakPassword("short".into()), Code::WeakPassword, None),
            (AuthError::RegistrationClosed, Code::RegistrationClosed, None),
            (AuthError::NotFound, Code::NotFound, None),
            (AuthError::Token(TokenError::NoSigningKey), Code::Internal, None),
            (AuthError::LinkOver, Code::InvalidLink, None),
            (AuthError::Internal("x".into()), Code::Internal, None),
        ];
        for (error, code, retry_after) in cases {
            let words = format!("{error:?}");
            let told = problem(error);
            assert_eq!((told.code, told.retry_after), (code, retry_after), "{words}");
        }
        for error in store_failures() {
            let told = problem(error);
            assert_eq!(
                (told.code, told.retry_after),
                (Code::StoreUnavailable, Some(STORE_RETRY))
            );
        }
    }

    #[test]
    fn a_cause_is_not_told() {
        let told = problem(AuthError::Internal("secret detail".into()));
        assert!(!told.detail.contains("secret"));
        for why in [Rejected::Invalid("bad signature"), Rejected::Expired, Rejected::Revoked] {
            assert_eq!(rejected(why).detail, rejected(Rejected::Expired).detail);
        }
    }
}
