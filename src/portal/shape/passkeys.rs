//! What goes over the JSON face about passkeys: in the words of WebAuthn (§5.1, `toJSON`), so that a page hands on what its browser gives and takes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::Transport;
use crate::auth::passkey::{self, CHALLENGE_LIFE, Creation, Known, Made, Question, Used};
use crate::model::factor::FactorId;
use crate::portal::intake::Shape;

/// RFC 4648 §5 without padding, and with no bit set that stands for nothing (§3.5).
const BASE64URL: &str = "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$";
/// What a passkey may be called, as `auth` judges it.
const NAME: &str = r"^[^\u0000-\u001f\u007f-\u009f]{0,64}$";

/// Octets, base64url without padding.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Base64Url", extend("pattern" = BASE64URL))]
struct Octets(String);

impl Octets {
    fn of(octets: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(octets))
    }
}

/// The same, read: one spelling only.
#[derive(JsonSchema)]
#[schemars(rename = "Base64Url", extend("pattern" = BASE64URL))]
struct Decoded(#[schemars(with = "String")] Vec<u8>);

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A passkey that was made, as `PublicKeyCredential.toJSON()` gives it, and its name.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewPasskey")]
pub(in crate::portal) struct Add {
    /// What its owner calls it.
    #[schemars(extend("pattern" = NAME))]
    #[serde(default)]
    pub(in crate::portal) name: String,
    id: Decoded,
    response: Attestation,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "clientDataJSON")]
    client_data: Decoded,
    attestation_object: Decoded,
    #[serde(default)]
    transports: Vec<String>,
}

impl Shape for Add {
    const SHAPE: &'static str =
        r#"Send what PublicKeyCredential.toJSON() gives of a new passkey, and "name": "…" if it is to have one."#;
}

impl Add {
    pub(in crate::portal) fn made(self) -> (String, Made) {
        let made = Made {
            id: self.id.0,
            client_data: self.response.client_data.0,
            attestation: self.response.attestation_object.0,
            transports: self.response.transports,
        };
        (self.name, made)
    }
}

/// What a passkey answered, as `PublicKeyCredential.toJSON()` gives it.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasskeyAnswer")]
pub(in crate::portal) struct Answered {
    id: Decoded,
    response: Assertion,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    #[serde(rename = "clientDataJSON")]
    client_data: Decoded,
    authenticator_data: Decoded,
    signature: Decoded,
    user_handle: Option<Decoded>,
}

impl Answered {
    pub(in crate::portal) fn used(self) -> Used {
        Used {
            id: self.id.0,
            client_data: self.response.client_data.0,
            authenticator_data: self.response.authenticator_data.0,
            signature: self.response.signature.0,
            user_handle: self.response.user_handle.map(|handle| handle.0),
        }
    }
}

/// A sign-in with a passkey alone.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasskeySignIn")]
pub(in crate::portal) struct Enter {
    #[serde(flatten)]
    pub(in crate::portal) answered: Answered,
    #[serde(default)]
    pub(in crate::portal) transport: Transport,
}

impl Shape for Enter {
    const SHAPE: &'static str = r#"Send what PublicKeyCredential.toJSON() gives of the passkey's answer, and "transport": "body" to get the refresh token in the answer instead of cookies."#;
}

/// Which second step a passkey is asked for.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SecondStepToken")]
pub(in crate::portal) struct Step {
    /// As `login` gave it.
    pub(in crate::portal) mfa_token: String,
}

impl Shape for Step {
    const SHAPE: &'static str = r#"Send {"mfa_token": "…"}, as it was given at sign-in."#;
}

/// Another name.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PasskeyName")]
pub(in crate::portal) struct Rename {
    #[schemars(extend("pattern" = NAME))]
    pub(in crate::portal) name: String,
}

impl Shape for Rename {
    const SHAPE: &'static str = r#"Send {"name": "…"}."#;
}

/// For `PublicKeyCredential.parseCreationOptionsFromJSON()`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyCreationOptions")]
pub(in crate::portal) struct CreationOptions<'a> {
    rp: RelyingParty<'a>,
    user: Owner<'a>,
    challenge: Octets,
    pub_key_cred_params: Vec<Parameters>,
    /// In milliseconds.
    timeout: u64,
    exclude_credentials: Vec<Descriptor<'a>>,
    authenticator_selection: Selection,
    attestation: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct RelyingParty<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Owner<'a> {
    id: Octets,
    name: &'a str,
    display_name: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Parameters {
    r#type: &'static str,
    alg: i64,
}

#[derive(Serialize, JsonSchema)]
struct Descriptor<'a> {
    r#type: &'static str,
    id: Octets,
    transports: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Selection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

const KIND: &str = "public-key";

impl<'a> CreationOptions<'a> {
    /// `site`: what the site is called.
    pub(in crate::portal) fn of(creation: &'a Creation, site: &'a str) -> Self {
        let email = creation.user.email.as_str();
        Self {
            rp: RelyingParty {
                id: &creation.rp_id,
                name: site,
            },
            user: Owner {
                id: Octets::of(creation.user.id.0.as_bytes()),
                name: email,
                display_name: email,
            },
            challenge: Octets::of(creation.challenge.as_bytes()),
            pub_key_cred_params: creation.algorithms.map(|alg| Parameters { r#type: KIND, alg }).into(),
            timeout: timeout(),
            exclude_credentials: creation.known.iter().map(Descriptor::of).collect(),
            authenticator_selection: Selection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "required",
            },
            attestation: "none",
        }
    }
}

impl<'a> Descriptor<'a> {
    fn of(known: &'a Known) -> Self {
        Self {
            r#type: KIND,
            id: Octets::of(&known.id),
            transports: &known.transports,
        }
    }
}

/// For `PublicKeyCredential.parseRequestOptionsFromJSON()`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyRequestOptions")]
pub(in crate::portal) struct RequestOptions<'a> {
    challenge: Octets,
    rp_id: &'a str,
    /// In milliseconds.
    timeout: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_credentials: Vec<Descriptor<'a>>,
    user_verification: &'static str,
}

impl<'a> RequestOptions<'a> {
    /// Where any passkey may answer, it is all that is asked for: then the authenticator must verify its person.
    pub(in crate::portal) fn of(question: &'a Question) -> Self {
        let alone = question.allowed.is_empty();
        Self {
            challenge: Octets::of(question.challenge.as_bytes()),
            rp_id: &question.rp_id,
            timeout: timeout(),
            allow_credentials: question.allowed.iter().map(Descriptor::of).collect(),
            user_verification: if alone { "required" } else { "preferred" },
        }
    }
}

fn timeout() -> u64 {
    CHALLENGE_LIFE.as_secs() * 1000
}

/// A passkey as its owner sees it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Passkey")]
pub(in crate::portal) struct PasskeyView<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: FactorId,
    name: &'a str,
    /// Whether its owner's other devices may have it too.
    synced: bool,
    /// Whether it signs in alone; if not, it is good as a second step only.
    signs_in_alone: bool,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    used_at: Option<String>,
}

impl<'a> PasskeyView<'a> {
    fn of(passkey: &'a passkey::Passkey) -> Self {
        Self {
            id: passkey.id,
            name: &passkey.name,
            synced: passkey.synced,
            signs_in_alone: passkey.signs_in_alone,
            created_at: passkey.created_at.to_string(),
            used_at: passkey.used_at.map(|moment| moment.to_string()),
        }
    }
}

/// The person's passkeys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Passkeys")]
pub(in crate::portal) struct PasskeyList<'a> {
    passkeys: Vec<PasskeyView<'a>>,
}

impl<'a> PasskeyList<'a> {
    pub(in crate::portal) fn of(passkeys: &'a [passkey::Passkey]) -> Self {
        Self {
            passkeys: passkeys.iter().map(PasskeyView::of).collect(),
        }
    }
}

/// A passkey that was added.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AddedPasskey")]
pub(in crate::portal) struct AddedView<'a> {
    passkey: PasskeyView<'a>,
    /// New recovery codes, which are not shown again; where the account had no second factor before.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<&'a [String]>,
}

impl<'a> AddedView<'a> {
    pub(in crate::portal) fn of(added: &'a passkey::Added) -> Self {
        Self {
            passkey: PasskeyView::of(&added.passkey),
            recovery_codes: added.recovery_codes.as_deref(),
        }
    }
}

/// The origins that use the same passkeys (§5.11.1).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RelatedOrigins")]
pub(in crate::portal) struct RelatedOrigins<'a> {
    pub(in crate::portal) origins: &'a [String],
}
