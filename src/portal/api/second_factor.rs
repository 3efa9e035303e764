//! Second factors over the JSON face: the second step of a sign-in, step-up, an authenticator app, recovery codes.

use http::StatusCode;

use super::{Answer, Api, Ask, add_cookies, bearer, granted, raised_cookie};
use crate::auth::second_step::{Completed, SecondStep, Typed};
use crate::auth::step_up::{Missing, Raised, Wanted};
use crate::model::credential::Password;
use crate::portal::intake::Shape as _;
use crate::portal::qr;
use crate::portal::shape::Granted;
use crate::portal::shape::factors::{Added, Begun, Code, Codes, Factors, Method, Required, StepUp, Verify};
use crate::portal::shape::passkeys::Answered;
use crate::wire::reply::{self, Code as Refusal, Problem};
use crate::wire::step_up;

impl Api {
    pub(super) async fn verify_second_step(&self, ask: &Ask<'_>, body: Verify) -> Answer {
        let used = body.passkey.map(Answered::used);
        let typed = match (body.method, &used) {
            (Method::Totp, _) => Typed::Totp(&body.code),
            (Method::Recovery, _) => Typed::Recovery(&body.code),
            (Method::Passkey, Some(used)) => Typed::Passkey(used),
            (Method::Passkey, None) => return Err(Problem::new(Refusal::BadRequest, Verify::SHAPE).into()),
        };
        let caller = &ask.origin.caller;
        match self.auth.take_second_step(caller, &body.mfa_token, typed).await? {
            Completed::SignedIn(signed_in) => granted(&signed_in, body.transport),
            Completed::Raised(raised) => granted_again(ask, &raised),
        }
    }

    /// Without a password: the second factor, if the account has one.
    pub(super) async fn step_up(&self, ask: &Ask<'_>, body: Option<StepUp>) -> Answer {
        let who = self.changer(ask).await?;
        let Some(password) = body.unwrap_or_default().password else {
            return match self.auth.missing(&who, Wanted::ONCE_MORE).await? {
                Missing::Nothing(raised) => granted_again(ask, &raised),
                Missing::SecondStep(step) => required(&step),
                Missing::Password | Missing::Factor | Missing::SignIn => {
                    let mut problem = step_up::problem(false, None);
                    problem.detail = "The account has no second factor; send its password.".to_owned();
                    Err(problem.into())
                }
            };
        };
        let password = Password::new(password);
        match self.auth.prove_again(&ask.origin.caller, &who, password).await? {
            Ok(raised) => granted_again(ask, &raised),
            Err(step) => required(&step),
        }
    }

    pub(super) async fn factors(&self, ask: &Ask<'_>) -> Answer {
        let who = self.reader(ask).await?;
        let factors = self.auth.factors(&who).await?;
        Ok(reply::json(StatusCode::OK, &Factors::of(&factors)))
    }

    pub(super) async fn begin_totp(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        let enrolment = self.auth.begin_totp(&who, &self.name).await?;
        let qr_svg = qr::svg(&enrolment.uri)?;
        Ok(reply::json(StatusCode::OK, &Begun::of(enrolment, qr_svg)))
    }

    pub(super) async fn confirm_totp(&self, ask: &Ask<'_>, body: Code) -> Answer {
        let who = self.changer(ask).await?;
        let enrolled = self.auth.confirm_totp(&ask.origin.caller, &who, &body.code).await?;
        let raised = enrolled.raised.as_ref();
        let added = Added {
            recovery_codes: &enrolled.recovery_codes,
            access_token: raised.map(|raised| raised.access.jwt.as_str()),
        };
        let mut response = reply::json(StatusCode::OK, &added);
        if leans_on_cookies(ask) {
            add_cookies(&mut response, raised.and_then(raised_cookie).into_iter().collect());
        }
        Ok(response)
    }

    pub(super) async fn remove_totp(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        self.auth.remove_totp(&ask.origin.caller, &who).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn renew_recovery_codes(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        let recovery_codes = self.auth.renew_recovery_codes(&ask.origin.caller, &who).await?;
        Ok(reply::json(StatusCode::OK, &Codes { recovery_codes }))
    }
}

/// The first factor is right, and the account has a second.
pub(super) fn required(step: &SecondStep) -> Answer {
    Ok(reply::json(StatusCode::OK, &Required::of(step)))
}

/// The access token of a session that goes on, over the way that the old one came.
fn granted_again(ask: &Ask<'_>, raised: &Raised) -> Answer {
    let mut response = reply::json(StatusCode::OK, &Granted::raised(raised));
    if leans_on_cookies(ask) {
        add_cookies(&mut response, raised_cookie(raised).into_iter().collect());
    }
    Ok(response)
}

fn leans_on_cookies(ask: &Ask<'_>) -> bool {
    ask.cookies.access.is_some() && bearer(&ask.head.headers).is_ok_and(|bearer| bearer.is_none())
}
