//! Keys whose value is one of a few words.

use super::nearest::hint;
use super::read::Text;
use super::{Access, Algorithm, Claim, OnReuse, RevocationMode, RouteKind};

/// The meaning of `word`, or the list of what it could have been.
fn one_of<T: Copy>(word: &str, known: &[(&'static str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let names = known.iter().map(|(name, _)| *name);
        format!("`{word}` is not known{}", hint(word, names))
    })
}

macro_rules! words {
    ($($type:ty { $($word:literal => $meaning:expr),* $(,)? })*) => {$(
        impl Text for $type {
            const WANTED: &'static str = concat!("one of", $(" \"", $word, "\""),*);

            fn parse(text: &str) -> Result<Self, String> {
                one_of(text, &[$(($word, $meaning)),*])
            }
        }
    )*};
}

words! {
    Algorithm { "RS256" => Self::Rs256, "ES256" => Self::Es256, "EdDSA" => Self::EdDsa }
    OnReuse { "family" => Self::Family, "user" => Self::User }
    Access { "public" => Self::Public, "optional" => Self::Optional, "required" => Self::Required }
    Requirement { "mfa" => Self::TwoFactors }
    RouteKind { "web" => Self::Web, "api" => Self::Api, "auto" => Self::Auto }
    RevocationMode { "cached" => Self::Cached, "strict" => Self::Strict, "off" => Self::Off }
    Claim {
        "sub" => Self::Subject, "email" => Self::Email, "roles" => Self::Roles, "sid" => Self::Session,
        "jti" => Self::Token, "auth_time" => Self::AuthTime, "amr" => Self::Amr,
    }
    Registration { "open" => Self::Open, "closed" => Self::Closed }
    TokenClaim { "email" => Self::Email, "roles" => Self::Roles }
    CredentialKind { "cookie" => Self::Cookie, "bearer" => Self::Bearer }
    Preset {
        "x-forwarded" => Self::XForwarded, "remote-user" => Self::RemoteUser,
        "x-auth-request" => Self::XAuthRequest, "none" => Self::None,
    }
    UserClaim { "sub" => Self::Subject, "email" => Self::Email }
    PathException { ";" => Self::Semicolon, "%2F" => Self::EncodedSlash }
}

/// `auth.registration`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    Open,
    Closed,
}

/// What a route may ask for beyond a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    TwoFactors,
}

/// An element of `tokens.claims`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenClaim {
    Email,
    Roles,
}

/// An element of a route's `credentials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialKind {
    Cookie,
    Bearer,
}

/// `identity.preset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    XForwarded,
    RemoteUser,
    XAuthRequest,
    None,
}

/// `identity.user`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserClaim {
    Subject,
    Email,
}

/// An element of a route's `path_exceptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathException {
    Semicolon,
    EncodedSlash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_gets_the_nearest_or_the_whole_list() {
        assert_eq!(
            Access::parse("requird"),
            Err("`requird` is not known; did you mean `required`?".to_owned())
        );
        assert_eq!(
            Access::parse("login"),
            Err("`login` is not known; there are: public, optional, required".to_owned())
        );
    }
}
