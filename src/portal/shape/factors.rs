//! What goes over the JSON face about second factors; described in `openapi.json` as well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Transport;
use super::passkeys::Answered;
use crate::auth::second_step::SecondStep;
use crate::auth::totp::Enrolment;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::portal::intake::Shape;

/// A second factor, for a sign-in that waits for it: a code, or what a passkey answered.
#[derive(Deserialize, JsonSchema)]
#[schemars(
    rename = "SecondStep",
    extend("anyOf" = [
        { "properties": { "method": { "enum": ["totp", "recovery"] } } },
        { "properties": { "passkey": { "type": "object" } }, "required": ["passkey"] },
    ])
)]
pub(in crate::portal) struct Verify {
    /// As `login` gave it.
    pub(in crate::portal) mfa_token: String,
    pub(in crate::portal) method: Method,
    #[serde(default)]
    pub(in crate::portal) code: String,
    pub(in crate::portal) passkey: Option<Answered>,
    #[serde(default)]
    pub(in crate::portal) transport: Transport,
}

/// Which second factor it is.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SecondStepMethod")]
pub(in crate::portal) enum Method {
    /// A code of an authenticator app.
    Totp,
    /// A recovery code.
    Recovery,
    /// A passkey.
    Passkey,
}

impl Shape for Verify {
    const SHAPE: &'static str = r#"Send {"mfa_token": "…", "method": "totp" or "recovery", "code": "…"}, or "method": "passkey" and "passkey": what PublicKeyCredential.toJSON() gives, and "transport": "body" to get the refresh token in the answer instead of cookies."#;
}

/// What a signed-in person proves themselves with once more.
#[derive(Default, Deserialize, JsonSchema)]
pub(in crate::portal) struct StepUp {
    /// Left out where the account has a second factor, which is then asked for.
    #[schemars(extend("format" = "password"))]
    #[serde(default)]
    pub(in crate::portal) password: Option<String>,
}

impl Shape for StepUp {
    const SHAPE: &'static str = r#"Send {"password": "…"}, or no body where the account has a second factor."#;
}

/// The first code of an authenticator app.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "FirstCode")]
pub(in crate::portal) struct Code {
    pub(in crate::portal) code: String,
}

impl Shape for Code {
    const SHAPE: &'static str = r#"Send {"code": "123456"}, as the app shows it."#;
}

/// Answer to `login` where the account has a second factor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondStepRequired")]
pub(in crate::portal) struct Required<'a> {
    #[schemars(extend("const" = true))]
    mfa_required: bool,
    /// For `mfa/verify`; to be kept like a password.
    mfa_token: &'a str,
    /// The ways to go on.
    #[schemars(with = "Vec<String>")]
    methods: &'a [FactorKind],
    /// For how long, in seconds.
    expires_in: u64,
}

impl<'a> Required<'a> {
    pub(in crate::portal) fn of(step: &'a SecondStep) -> Self {
        Self {
            mfa_required: true,
            mfa_token: &step.token,
            methods: &step.methods,
            expires_in: step.expires_in.as_secs(),
        }
    }
}

/// An authenticator app about to be added.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enrolment")]
pub(in crate::portal) struct Begun {
    /// In base 32, to be typed in.
    secret: String,
    /// The same with names: `otpauth://totp/…`.
    uri: String,
    /// That as a QR code.
    qr_svg: String,
    /// How long it waits for the first code, in seconds.
    expires_in: u64,
}

impl Begun {
    pub(in crate::portal) fn of(enrolment: Enrolment, qr_svg: String) -> Self {
        Self {
            secret: enrolment.secret,
            uri: enrolment.uri,
            qr_svg,
            expires_in: enrolment.expires_in.as_secs(),
        }
    }
}

/// New recovery codes, which are not shown again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
pub(in crate::portal) struct Codes {
    pub(in crate::portal) recovery_codes: Vec<String>,
}

/// An authenticator app that was added.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enrolled")]
pub(in crate::portal) struct Added<'a> {
    /// New ones, which are not shown again.
    pub(in crate::portal) recovery_codes: &'a [String],
    /// One that says that two factors were shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) access_token: Option<&'a str>,
}

/// What somebody has beside their password.
#[derive(Serialize, JsonSchema)]
pub(in crate::portal) struct Factors<'a> {
    factors: Vec<FactorView<'a>>,
    recovery_codes_left: usize,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Factor")]
struct FactorView<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: FactorId,
    /// `totp`, `passkey` or `provider`.
    #[schemars(with = "String")]
    kind: FactorKind,
    /// What its owner calls it.
    label: &'a str,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    used_at: Option<String>,
}

impl<'a> Factors<'a> {
    /// Recovery codes are counted, not listed: one is like the other.
    pub(in crate::portal) fn of(factors: &'a [Factor]) -> Self {
        let (codes, others): (Vec<&Factor>, Vec<&Factor>) =
            factors.iter().partition(|factor| factor.kind == FactorKind::Recovery);
        let view = |factor: &'a Factor| FactorView {
            id: factor.id,
            kind: factor.kind,
            label: &factor.label,
            created_at: factor.created_at.to_string(),
            used_at: factor.used_at.map(|moment| moment.to_string()),
        };
        Self {
            factors: others.into_iter().map(view).collect(),
            recovery_codes_left: codes.iter().filter(|code| code.counter == 0).count(),
        }
    }
}
