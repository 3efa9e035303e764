//! Answers of our own: problem documents (RFC 9457), JSON, redirects.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::Body;

/// The `code` of a problem document: a promise to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400
    BadRequest,
    /// 401, at sign-in and wherever a password is asked for again.
    InvalidCredentials,
    /// 401: the second factor.
    InvalidCode,
    /// 401: the second step of a sign-in came too late.
    SignInExpired,
    /// 401: what was proved is not enough for this, or too long ago (RFC 9470).
    InsufficientUserAuthentication,
    /// 401
    InvalidToken,
    /// 401
    NoToken,
    /// 403
    Forbidden,
    /// 403
    CrossSite,
    /// 403: registration is closed.
    RegistrationClosed,
    /// 403: a provider's word is not believed, or not enough.
    ProviderRefused,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408
    RequestTimeout,
    /// 409
    EmailTaken,
    /// 409: an account and a person at a provider are tied already, but not to each other.
    ProviderTaken,
    /// 409
    LastWayIn,
    /// 410: a link out of a letter.
    InvalidLink,
    /// 409: a passkey that is there already, or one too many.
    PasskeyTaken,
    /// 413
    PayloadTooLarge,
    /// 415
    UnsupportedMediaType,
    /// 421: another certificate's host.
    MisdirectedRequest,
    /// 422: what a browser says of a new passkey does not hold.
    PasskeyRefused,
    /// 422
    WeakPassword,
    /// 422
    InvalidEmail,
    /// 429
    RateLimited,
    /// 431
    HeadersTooLarge,
    /// 500
    Internal,
    /// 501
    NotImplemented,
    /// 502
    BadGateway,
    /// 503
    Overloaded,
    /// 503
    StoreUnavailable,
    /// 503
    ProviderUnavailable,
    /// 504
    GatewayTimeout,
}

impl Code {
    /// Status, code and title.
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request cannot be understood",
            ),
            Self::InvalidCredentials => (
                StatusCode::UNAUTHORIZED,
                "invalid_credentials",
                "Wrong e-mail or password",
            ),
            Self::InvalidCode => (StatusCode::UNAUTHORIZED, "invalid_code", "Wrong code"),
            Self::SignInExpired => (StatusCode::UNAUTHORIZED, "sign_in_expired", "The sign-in took too long"),
            Self::InsufficientUserAuthentication => (
                StatusCode::UNAUTHORIZED,
                "insufficient_user_authentication",
                "Sign in once more",
            ),
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token", "The token is not valid"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no_token", "Sign in first"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross_site",
                "The request came from another site",
            ),
            Self::RegistrationClosed => (StatusCode::FORBIDDEN, "registration_closed", "Registration is closed"),
            Self::ProviderRefused => (
                StatusCode::FORBIDDEN,
                "provider_refused",
                "The provider's answer does not let you in",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The request took too long to arrive",
            ),
            Self::EmailTaken => (
                StatusCode::CONFLICT,
                "email_taken",
                "The address has an account already",
            ),
            Self::ProviderTaken => (
                StatusCode::CONFLICT,
                "provider_taken",
                "Connected to another account already",
            ),
            Self::LastWayIn => (
                StatusCode::CONFLICT,
                "last_way_in",
                "Nobody could sign in to the account any more",
            ),
            Self::InvalidLink => (StatusCode::GONE, "invalid_link", "The link is not good any more"),
            Self::PasskeyTaken => (StatusCode::CONFLICT, "passkey_taken", "The passkey cannot be added"),
            Self::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The body is too large",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body is of the wrong type",
            ),
            Self::MisdirectedRequest => (
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected_request",
                "Wrong connection for this host",
            ),
            Self::PasskeyRefused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "passkey_refused",
                "The passkey cannot be verified",
            ),
            Self::WeakPassword => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "weak_password",
                "The password is too weak",
            ),
            Self::InvalidEmail => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_email",
                "Not an e-mail address",
            ),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many attempts"),
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The header block is too large",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here",
            ),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not_implemented", "Not supported"),
            Self::BadGateway => (
                StatusCode::BAD_GATEWAY,
                "bad_gateway",
                "The application behind the gateway did not answer properly",
            ),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too busy"),
            Self::StoreUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "A store cannot be reached",
            ),
            Self::ProviderUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "provider_unavailable",
                "The provider does not answer",
            ),
            Self::GatewayTimeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "gateway_timeout",
                "The application behind the gateway took too long",
            ),
        }
    }

    /// The status it goes with.
    pub const fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The word in `code`.
    pub const fn word(self) -> &'static str {
        self.facts().1
    }

    /// One line for people.
    pub const fn title(self) -> &'static str {
        self.facts().2
    }
}

/// A refusal or failure, told to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// What to do about it.
    pub detail: String,
    /// When to try again, whole seconds.
    pub retry_after: Option<u64>,
    /// The methods that would have been right, of a 405 (RFC 9110 §10.2.1).
    pub allow: Option<HeaderValue>,
    /// What `WWW-Authenticate` says in place of the usual.
    pub challenge: Option<Box<HeaderValue>>,
}

/// A problem document (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document<'a> {
    /// `urn:gateward:problem:` and the code.
    r#type: String,
    /// What it is, always the same words for the same code.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What to do about it.
    detail: &'a str,
    /// The id of the request, as it stands in the logs.
    instance: &'a str,
    /// What it is, in a word to go by.
    #[schemars(with = "Code")]
    code: &'a str,
}

impl Problem {
    /// A problem with words for the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
            allow: None,
            challenge: None,
        }
    }

    /// Adds `Retry-After` (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds `Allow`, which a 405 must carry (RFC 9110 §15.5.6).
    #[must_use]
    pub fn allow(mut self, methods: HeaderValue) -> Self {
        self.allow = Some(methods);
        self
    }

    /// `WWW-Authenticate`, which every 401 must carry (RFC 9110 §15.5.2), as RFC 6750 §3 has it.
    pub fn challenge(&self) -> Option<HeaderValue> {
        let usual = match self.code {
            Code::InvalidToken => r#"Bearer realm="gateward", error="invalid_token""#,
            code if code.status() == StatusCode::UNAUTHORIZED => r#"Bearer realm="gateward""#,
            _ => return None,
        };
        Some(
            self.challenge
                .as_deref()
                .cloned()
                .unwrap_or(HeaderValue::from_static(usual)),
        )
    }

    /// The answer. A 401 carries its challenge; nothing of it is cached.
    ///
    /// The problem goes along as an extension, so that whoever knows that a person is waiting can put a page in the document's place.
    pub fn into_response(self, request_id: &str) -> Response<Body> {
        let (status, code, title) = self.code.facts();
        let document = Document {
            r#type: format!("urn:gateward:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance: request_id,
            code,
        };
        let mut response = Response::new(Body::Full(serde_json::to_vec(&document).unwrap_or_default().into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow.clone() {
            headers.insert(ALLOW, methods);
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A JSON answer that no cache may keep.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from(serde_json::to_vec(value).unwrap_or_default())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without content.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A redirect that no cache may keep. `None`: the target cannot stand in a header.
pub fn redirect(status: StatusCode, to: &str) -> Option<Response<Body>> {
    let mut response = empty(status);
    response.headers_mut().insert(LOCATION, HeaderValue::from_str(to).ok()?);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_are_described_are_the_words_that_are_sent() {
        let schema = schemars::schema_for!(Code);
        let words = schema.get("oneOf").unwrap().as_array().unwrap();
        assert!(words.len() > 20);
        for word in words.iter().map(|variant| &variant["const"]) {
            let code: Code = serde_json::from_value(word.clone()).unwrap();
            assert_eq!(code.word(), word);
        }
    }
}
