//! What each endpoint does, for the document: one arm an endpoint, so that a new one does not compile until it is described.
//!
//! Of an operation it is said who may ask (`by_…`), what is sent (`reads`), what comes back (`gives`) and which refusals are its own (`refuses`). Those that
//! come with a body, with a person who must be signed in or with an attempt that is counted are added by saying so.

use http::StatusCode;
use schemars::JsonSchema;
use serde_json::Value;

use super::operation::Operation;
use crate::portal::endpoint::Endpoint;
use crate::portal::shape::factors::{Added, Begun, Code as FirstCode, Codes, Factors, Required, StepUp, Verify};
use crate::portal::shape::passkeys::{
    Add, AddedView, CreationOptions, Enter, PasskeyList, RelatedOrigins, Rename, RequestOptions, Step,
};
use crate::portal::shape::{
    Asked, ChangeEmail, ChangePassword, Confirm, ConfirmAddress, Granted, Listing, Login, Me, ProviderList, Refresh,
    Register, Registered, ResetPassword,
};
use crate::wire::reply::Code;

/// An object that other documents say more of.
#[derive(JsonSchema)]
#[schemars(rename = "KeySet")]
struct KeySet {
    /// JSON Web Keys (RFC 7517), public members only.
    #[expect(dead_code, reason = "it is described, never made")]
    keys: Vec<serde_json::Map<String, Value>>,
}

/// Answer to a first factor.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Entrance")]
#[expect(dead_code, reason = "it is described, never made")]
enum Entrance<'a> {
    /// Signed in.
    Granted(Granted<'a>),
    /// The account has a second factor.
    Required(Required<'a>),
}

/// What can be asked at an endpoint.
pub(super) fn operations(endpoint: Endpoint) -> Vec<Operation> {
    match endpoint {
        Endpoint::Register => vec![
            post("register", "Make an account; nobody is signed in by it")
                .reads::<Register>()
                .an_attempt()
                .gives::<Registered<'_>>(StatusCode::CREATED, "The new account.")
                .accepts("Where letters are sent: one is on its way, whether or not the address has an account.")
                .refuses(&[
                    Code::RegistrationClosed,
                    Code::EmailTaken,
                    Code::WeakPassword,
                    Code::InvalidEmail,
                ]),
        ],
        Endpoint::Login => vec![
            post("login", "Sign in with a password")
                .reads::<Login>()
                .an_attempt()
                .gives::<Entrance<'_>>(
                    StatusCode::OK,
                    "Signed in; or a second factor is asked for, and no cookie is set.",
                )
                .and_moves_cookies()
                .refuses(&[Code::InvalidCredentials]),
        ],
        Endpoint::StepUp => vec![
            post("stepUp", "Prove more, or once more; the session goes on")
                .by_the_signed_in()
                .may_read::<StepUp>()
                .an_attempt()
                .gives::<Entrance<'_>>(
                    StatusCode::OK,
                    "Proven, without a new refresh token; or a second factor is asked for.",
                )
                .and_moves_cookies()
                .refuses(&[Code::InvalidCredentials, Code::InsufficientUserAuthentication]),
        ],
        Endpoint::MfaVerify => vec![
            post("verifySecondStep", "Show the second factor, and be signed in")
                .reads::<Verify>()
                .an_attempt()
                .gives::<Granted<'_>>(StatusCode::OK, "Signed in.")
                .and_moves_cookies()
                .refuses(&[Code::InvalidCode, Code::SignInExpired, Code::InvalidCredentials]),
        ],
        Endpoint::Mfa => vec![
            get("factors", "What the person has beside their password")
                .by_the_signed_in()
                .gives::<Factors<'_>>(StatusCode::OK, "The factors."),
        ],
        Endpoint::MfaTotp => vec![
            post(
                "beginTotp",
                "Make a secret for an authenticator app; it counts after its first right code",
            )
            .changes_factors()
            .gives::<Begun>(StatusCode::OK, "The secret."),
            delete(
                "removeTotp",
                "Take the authenticator app away, and the recovery codes with the last second factor",
            )
            .changes_factors()
            .gives_nothing("Gone.")
            .refuses(&[Code::NotFound]),
        ],
        Endpoint::MfaConfirm => vec![
            post(
                "confirmTotp",
                "Show the app's first code: from now on a sign-in takes two steps",
            )
            .changes_factors()
            .reads::<FirstCode>()
            .gives::<Added<'_>>(StatusCode::OK, "Added; ten recovery codes in place of all others.")
            .and_moves_cookies()
            .refuses(&[Code::InvalidCode, Code::NotFound]),
        ],
        Endpoint::MfaRecovery => vec![
            post("renewRecoveryCodes", "Make ten recovery codes in place of all others")
                .changes_factors()
                .gives::<Codes>(StatusCode::OK, "The codes.")
                .refuses(&[Code::NotFound]),
        ],
        Endpoint::MfaPasskey => vec![
            post("askForSecondPasskey", "What a passkey is to sign for a second step")
                .reads::<Step>()
                .an_attempt()
                .gives::<RequestOptions<'_>>(StatusCode::OK, "For the browser.")
                .refuses(&[Code::SignInExpired, Code::NotFound]),
        ],
        Endpoint::PasskeyQuestion => vec![
            post("askForPasskey", "What a passkey is to sign to sign in with it alone")
                .an_attempt()
                .gives::<RequestOptions<'_>>(StatusCode::OK, "For the browser, the same for everybody.")
                .and_moves_cookies()
                .refuses(&[Code::NotFound]),
        ],
        Endpoint::PasskeyLogin => vec![
            post("enterWithPasskey", "Sign in with a passkey alone")
                .reads::<Enter>()
                .an_attempt()
                .gives::<Granted<'_>>(StatusCode::OK, "Signed in.")
                .and_moves_cookies()
                .refuses(&[Code::InvalidCredentials, Code::NotFound]),
        ],
        Endpoint::PasskeyOptions => vec![
            post("beginPasskey", "What a browser needs to have a passkey made")
                .changes_factors()
                .gives::<CreationOptions<'_>>(StatusCode::OK, "For the browser.")
                .refuses(&[Code::PasskeyTaken, Code::NotFound]),
        ],
        Endpoint::Passkeys => vec![
            get("passkeys", "The person's passkeys")
                .by_the_signed_in()
                .gives::<PasskeyList<'_>>(StatusCode::OK, "The passkeys."),
            post("addPasskey", "Add the passkey that was made")
                .changes_factors()
                .reads::<Add>()
                .gives::<AddedView<'_>>(StatusCode::CREATED, "Added.")
                .refuses(&[Code::PasskeyRefused, Code::PasskeyTaken, Code::NotFound]),
        ],
        Endpoint::Passkey(_) => vec![
            Operation::new("patch", "renamePasskey", "Call a passkey something else")
                .by_the_signed_in()
                .reads::<Rename>()
                .gives_nothing("Renamed.")
                .refuses(&[Code::NotFound]),
            delete(
                "removePasskey",
                "Take a passkey away, and the recovery codes with the last second factor",
            )
            .changes_factors()
            .gives_nothing("Gone.")
            .refuses(&[Code::NotFound, Code::LastWayIn]),
        ],
        Endpoint::RelatedOrigins => vec![
            get("relatedOrigins", "The origins of others that use the same passkeys")
                .gives::<RelatedOrigins<'_>>(StatusCode::OK, "The list (WebAuthn, 5.11.1)."),
        ],
        Endpoint::Refresh => vec![
            post("refresh", "Exchange a refresh token, of the cookie or of the body")
                .by(&["", "refreshCookie"])
                .may_read::<Refresh>()
                .gives::<Granted<'_>>(StatusCode::OK, "Renewed, over the transport of the token.")
                .and_moves_cookies()
                .refuses(&[Code::NoToken, Code::InvalidToken, Code::StoreUnavailable]),
        ],
        Endpoint::Logout => vec![
            post(
                "logout",
                "End this session, by either token; fine when it is over already",
            )
            .by(&["", "bearer", "cookie", "refreshCookie"])
            .may_read::<Refresh>()
            .gives_nothing("Signed out.")
            .and_moves_cookies()
            .refuses(&[Code::StoreUnavailable]),
        ],
        Endpoint::LogoutAll => vec![
            post("logoutAll", "End every session of the person")
                .by_the_signed_in()
                .gives_nothing("Signed out everywhere.")
                .and_moves_cookies(),
        ],
        Endpoint::Me => vec![
            get("me", "Who is signed in, and in which session")
                .by_the_signed_in()
                .gives::<Me<'_>>(StatusCode::OK, "The person and the session."),
            delete("deleteAccount", "Take the account away, with its sessions")
                .by_the_signed_in()
                .reads::<Confirm>()
                .an_attempt()
                .gives_nothing("The account is gone.")
                .and_moves_cookies()
                .refuses(&[Code::InvalidCredentials, Code::InsufficientUserAuthentication]),
        ],
        Endpoint::Password => vec![
            post("changePassword", "Change the password; the other sessions end")
                .by_the_signed_in()
                .reads::<ChangePassword>()
                .an_attempt()
                .gives_nothing("Changed.")
                .refuses(&[
                    Code::InvalidCredentials,
                    Code::InsufficientUserAuthentication,
                    Code::WeakPassword,
                ]),
        ],
        Endpoint::Forgot => vec![
            post(
                "forgotPassword",
                "Ask for a letter that sets a new password; where letters are sent",
            )
            .reads::<Asked>()
            .an_attempt()
            .accepts("If the address has an account, a letter is on its way.")
            .refuses(&[Code::InvalidEmail, Code::NotFound]),
        ],
        Endpoint::Reset => vec![
            post(
                "resetPassword",
                "Set the password with the token of a letter; every session ends, and nobody is signed in by it",
            )
            .reads::<ResetPassword>()
            .an_attempt()
            .gives_nothing("Set.")
            .refuses(&[Code::InvalidLink, Code::WeakPassword]),
        ],
        Endpoint::Confirm => vec![
            post("confirmAddress", "Confirm an address with the token of a letter")
                .reads::<ConfirmAddress>()
                .an_attempt()
                .gives::<Registered<'_>>(StatusCode::OK, "The account, with the address.")
                .refuses(&[
                    Code::InvalidLink,
                    Code::InvalidCredentials,
                    Code::RegistrationClosed,
                    Code::EmailTaken,
                ]),
        ],
        Endpoint::Resend => vec![
            post(
                "resendConfirmation",
                "Ask for the letter of a registration once more; where letters are sent",
            )
            .reads::<Asked>()
            .an_attempt()
            .accepts("If a registration of the address waits, a letter is on its way.")
            .refuses(&[Code::InvalidEmail, Code::NotFound]),
        ],
        Endpoint::Email => vec![
            post(
                "changeEmail",
                "Ask for another address, which a letter confirms; where letters are sent",
            )
            .by_the_signed_in()
            .reads::<ChangeEmail>()
            .an_attempt()
            .accepts("A letter is on its way.")
            .refuses(&[
                Code::InvalidCredentials,
                Code::InsufficientUserAuthentication,
                Code::InvalidEmail,
                Code::NotFound,
            ]),
        ],
        Endpoint::Sessions => vec![
            get("sessions", "Where the person is signed in")
                .by_the_signed_in()
                .gives::<Listing<'_>>(StatusCode::OK, "The sessions."),
        ],
        Endpoint::Session(_) => vec![
            delete("endSession", "End one of the person's sessions")
                .by_the_signed_in()
                .gives_nothing("Ended.")
                .and_moves_cookies()
                .refuses(&[Code::NotFound]),
        ],
        Endpoint::Providers => vec![
            get("providers", "Whose sign-in counts here as well")
                .by(&["", "bearer", "cookie"])
                .gives::<ProviderList<'_>>(StatusCode::OK, "The providers.")
                .refuses(&[Code::InvalidToken, Code::StoreUnavailable]),
        ],
        Endpoint::Provider => vec![
            delete("disconnect", "Disconnect the account from a provider")
                .by_the_signed_in()
                .gives_nothing("Disconnected.")
                .refuses(&[Code::InsufficientUserAuthentication, Code::LastWayIn, Code::NotFound]),
        ],
        Endpoint::OpenApi => {
            let words = "An OpenAPI document.";
            vec![get("openapi", "This document").gives::<serde_json::Map<String, Value>>(StatusCode::OK, words)]
        }
        Endpoint::Jwks => vec![
            get("keys", "The public keys that access tokens verify with")
                .gives::<KeySet>(StatusCode::OK, "A JWK set (RFC 7517).")
                .refuses(&[Code::StoreUnavailable]),
        ],
    }
}

fn get(name: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", name, summary)
}

fn post(name: &'static str, summary: &'static str) -> Operation {
    Operation::new("post", name, summary)
}

fn delete(name: &'static str, summary: &'static str) -> Operation {
    Operation::new("delete", name, summary)
}
