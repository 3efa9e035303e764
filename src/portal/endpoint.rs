//! Which path of ours is which endpoint, what it is called in metrics, and by which methods it can be asked.
//!
//! `PLACES` is the whole list: what is not in it cannot be asked for, and what is in it the document at `openapi.json` must describe.

use super::pages::{CHANGE_PASSWORD, NOT_THERE};
use crate::model::factor::FactorId;
use crate::model::session::SessionId;

/// Paths that others look for at the same place of every site (RFC 8615); they do not stand under `base_path`.
pub(super) const WELL_KNOWN: &str = "/.well-known/";

/// Where the public keys are.
const JWKS: &str = "/.well-known/jwks.json";

/// Where browsers look for origins that use the same passkeys (WebAuthn §5.11). Ours only where there are some: a site behind us may have a list of its own.
pub(super) const RELATED_ORIGINS: &str = "/.well-known/webauthn";

/// A path under `base_path`, or a well-known one, and the endpoint there. At most one part of it, in braces, may be anything, and is what the endpoint is
/// made from. The first that fits counts.
type Place = (&'static str, fn(&str) -> Endpoint);

/// Every endpoint.
pub(super) const PLACES: &[Place] = &[
    ("/register", |_| Endpoint::Register),
    ("/login", |_| Endpoint::Login),
    ("/refresh", |_| Endpoint::Refresh),
    ("/logout", |_| Endpoint::Logout),
    ("/logout/all", |_| Endpoint::LogoutAll),
    ("/me", |_| Endpoint::Me),
    ("/password", |_| Endpoint::Password),
    ("/password/forgot", |_| Endpoint::Forgot),
    ("/password/reset", |_| Endpoint::Reset),
    ("/confirm", |_| Endpoint::Confirm),
    ("/confirm/resend", |_| Endpoint::Resend),
    ("/email", |_| Endpoint::Email),
    ("/sessions", |_| Endpoint::Sessions),
    ("/sessions/{id}", |id| Endpoint::Session(id.parse().ok().map(SessionId))),
    ("/step-up", |_| Endpoint::StepUp),
    ("/mfa", |_| Endpoint::Mfa),
    ("/mfa/verify", |_| Endpoint::MfaVerify),
    ("/mfa/totp", |_| Endpoint::MfaTotp),
    ("/mfa/totp/confirm", |_| Endpoint::MfaConfirm),
    ("/mfa/recovery", |_| Endpoint::MfaRecovery),
    ("/providers", |_| Endpoint::Providers),
    ("/providers/{provider}", |_| Endpoint::Provider),
    ("/mfa/passkey/options", |_| Endpoint::MfaPasskey),
    ("/passkeys", |_| Endpoint::Passkeys),
    ("/passkeys/options", |_| Endpoint::PasskeyOptions),
    ("/passkeys/login", |_| Endpoint::PasskeyLogin),
    ("/passkeys/login/options", |_| Endpoint::PasskeyQuestion),
    ("/passkeys/{id}", |id| Endpoint::Passkey(id.parse().ok().map(FactorId))),
    ("/openapi.json", |_| Endpoint::OpenApi),
    (JWKS, |_| Endpoint::Jwks),
    (RELATED_ORIGINS, |_| Endpoint::RelatedOrigins),
];

/// One of our endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Register,
    Login,
    Refresh,
    Logout,
    LogoutAll,
    Me,
    Password,
    Forgot,
    Reset,
    Confirm,
    Resend,
    Email,
    Sessions,
    /// `None`: what stands in the path cannot be a session's id.
    Session(Option<SessionId>),
    OpenApi,
    Providers,
    /// One of them, whatever it is called.
    Provider,
    Jwks,
    /// Proving more, or once more.
    StepUp,
    /// The second step of a sign-in.
    MfaVerify,
    /// What somebody has beside their password.
    Mfa,
    /// An authenticator app.
    MfaTotp,
    /// Its first code.
    MfaConfirm,
    /// Recovery codes.
    MfaRecovery,
    /// What a passkey is asked in a second step.
    MfaPasskey,
    /// A person's passkeys.
    Passkeys,
    /// What a browser needs to have one made.
    PasskeyOptions,
    /// Signing in with one alone.
    PasskeyLogin,
    /// What one is asked for that.
    PasskeyQuestion,
    /// One of them; `None`: what stands in the path cannot be its id.
    Passkey(Option<FactorId>),
    /// Origins that use the same passkeys.
    RelatedOrigins,
}

impl Endpoint {
    /// The endpoint of a path; `base` is `base_path`.
    pub(super) fn find(base: &str, path: &str) -> Option<Self> {
        let path = if path.starts_with(WELL_KNOWN) {
            path
        } else {
            path.strip_prefix(base)?
        };
        PLACES
            .iter()
            .find_map(|(place, endpoint)| part(place, path).map(endpoint))
    }

    /// Whether a path is ours, whatever stands there.
    pub(super) fn owns(base: &str, path: &str) -> bool {
        let rest = path.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || [JWKS, CHANGE_PASSWORD, NOT_THERE].contains(&path)
    }

    /// Whether its path holds nothing that somebody made up.
    pub(super) fn is_plain(self) -> bool {
        ![Self::Session(None), Self::Passkey(None)].contains(&self)
    }

    /// Its name in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Register => "auth.register",
            Self::Login => "auth.login",
            Self::Refresh => "auth.refresh",
            Self::Logout => "auth.logout",
            Self::LogoutAll => "auth.logout_all",
            Self::Me => "auth.me",
            Self::Password => "auth.password",
            Self::Forgot => "auth.forgot",
            Self::Reset => "auth.reset",
            Self::Confirm => "auth.confirm",
            Self::Resend => "auth.confirm_resend",
            Self::Email => "auth.email",
            Self::Sessions => "auth.sessions",
            Self::Session(_) => "auth.session",
            Self::OpenApi => "auth.openapi",
            Self::Providers => "auth.providers",
            Self::Provider => "auth.provider",
            Self::Jwks => "auth.jwks",
            Self::StepUp => "auth.step_up",
            Self::MfaVerify => "auth.mfa_verify",
            Self::Mfa => "auth.mfa",
            Self::MfaTotp => "auth.mfa_totp",
            Self::MfaConfirm => "auth.mfa_confirm",
            Self::MfaRecovery => "auth.mfa_recovery",
            Self::MfaPasskey => "auth.mfa_passkey",
            Self::Passkeys => "auth.passkeys",
            Self::PasskeyOptions => "auth.passkey_options",
            Self::PasskeyLogin => "auth.passkey_login",
            Self::PasskeyQuestion => "auth.passkey_question",
            Self::Passkey(_) => "auth.passkey",
            Self::RelatedOrigins => "auth.related_origins",
        }
    }

    /// Its methods, as `Allow` lists them.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Register
            | Self::Login
            | Self::Refresh
            | Self::Logout
            | Self::LogoutAll
            | Self::Password
            | Self::StepUp
            | Self::MfaVerify
            | Self::MfaConfirm
            | Self::MfaRecovery
            | Self::MfaPasskey
            | Self::PasskeyOptions
            | Self::PasskeyLogin
            | Self::PasskeyQuestion => "POST, OPTIONS",
            Self::Forgot | Self::Reset | Self::Confirm | Self::Resend | Self::Email => "POST, OPTIONS",
            Self::Passkeys => "GET, HEAD, POST, OPTIONS",
            Self::Passkey(_) => "PATCH, DELETE, OPTIONS",
            Self::MfaTotp => "POST, DELETE, OPTIONS",
            Self::Me => "GET, HEAD, DELETE, OPTIONS",
            Self::Sessions | Self::Providers | Self::OpenApi | Self::Jwks | Self::RelatedOrigins | Self::Mfa => {
                "GET, HEAD, OPTIONS"
            }
            Self::Session(_) | Self::Provider => "DELETE, OPTIONS",
        }
    }

    /// Whether its answer may set cookies or take them away: then another site must not make a browser ask, cookies or none.
    pub(super) fn moves_cookies(self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::Login
                | Self::Logout
                | Self::LogoutAll
                | Self::MfaVerify
                | Self::PasskeyLogin
                | Self::PasskeyQuestion
        )
    }
}

/// What stands in the place of the braces; nothing where a place has none. `None`: the path is another.
fn part<'a>(place: &str, path: &'a str) -> Option<&'a str> {
    match place.split_once('{') {
        None => (place == path).then_some(""),
        Some((before, rest)) => {
            let (_, after) = rest.split_once('}')?;
            let part = path.strip_prefix(before)?.strip_suffix(after)?;
            (!part.contains('/')).then_some(part)
        }
    }
}

/// Whether a path is at a place.
#[cfg(test)]
pub(super) fn is_at(place: &str, path: &str) -> bool {
    part(place, path).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ours_at_a_segment_border_only() {
        for ours in ["/auth", "/auth/", "/auth/x", "/.well-known/jwks.json", CHANGE_PASSWORD] {
            assert!(Endpoint::owns("/auth", ours), "{ours}");
        }
        for other in [
            "/",
            "/authors",
            "/author/auth",
            "/.well-known/jwks.json/",
            "/.well-known/other",
        ] {
            assert!(!Endpoint::owns("/auth", other), "{other}");
        }
    }

    #[test]
    fn an_endpoint_is_spelled_exactly() {
        assert_eq!(Endpoint::find("/auth", "/auth/logout/all"), Some(Endpoint::LogoutAll));
        assert_eq!(
            Endpoint::find("/auth", "/auth/sessions/nonsense"),
            Some(Endpoint::Session(None))
        );
        let id = SessionId(uuid::Uuid::nil());
        let path = format!("/auth/sessions/{id}");
        assert_eq!(Endpoint::find("/auth", &path), Some(Endpoint::Session(Some(id))));
        assert_eq!(part("/things/{id}/parts", "/things/x/parts"), Some("x"));
        assert_eq!(part("/things/{id}/parts", "/things/x"), None);
        for none in [
            "/auth",
            "/auth/",
            "/auth/login/",
            "/auth/Login",
            "/auth//login",
            "/authlogin",
        ] {
            assert_eq!(Endpoint::find("/auth", none), None, "{none}");
        }
    }
}
