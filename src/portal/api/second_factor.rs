//! Second factors over the JSON face: the second step of a sign-in, an authenticator app, recovery codes.

use http::StatusCode;

use super::{Answer, Api, Ask, granted};
use crate::auth::second_step::{SecondStep, Typed};
use crate::portal::qr;
use crate::portal::shape::factors::{Begun, Code, Codes, Factors, Method, Required, Verify};
use crate::wire::reply;

impl Api {
    pub(super) async fn verify_second_step(&self, ask: &Ask<'_>, body: Verify) -> Answer {
        let typed = match body.method {
            Method::Totp => Typed::Totp(&body.code),
            Method::Recovery => Typed::Recovery(&body.code),
        };
        let caller = &ask.origin.caller;
        let signed_in = self.auth.take_second_step(caller, &body.mfa_token, typed).await?;
        granted(&signed_in, body.transport)
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
        let recovery_codes = self.auth.confirm_totp(&ask.origin.caller, &who, &body.code).await?;
        Ok(reply::json(StatusCode::OK, &Codes { recovery_codes }))
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
