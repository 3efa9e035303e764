//! The JSON face: JSON in and JSON out, endpoint by endpoint.
//!
//! Cookies are set when somebody signs in or refreshes by cookie, and taken away at sign-out, with the account, and when a refresh finds that the
//! session is certainly over. A store that fails takes none away, but for sign-out: there the person wants this browser to forget, whatever else happens.

mod letters;
mod passkeys;
mod second_factor;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, request};
use http_body::Body as _;

use super::credential::{bearer, identify};
use super::endpoint::Endpoint;
use super::intake;
use super::refusal::{Refusal, internal};
use super::shape::{
    ChangePassword, Confirm, Granted, Listed, Listing, Login, Me, Present, ProviderList, ProviderView, Refresh,
    Register, Registered, Transport, UserView, unused_life,
};
use crate::auth::devices::KNOWN_FOR;
use crate::auth::entry::Entered;
use crate::auth::step_up::Raised;
use crate::auth::{Auth, AuthError, SignedIn, register};
use crate::config::RevocationMode;
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::model::session::SessionId;
use crate::provider::Providers;
use crate::token::Tokens;
use crate::wire::cookie::{self, Ours};
use crate::wire::origin::Origin;
use crate::wire::reply::{self, Code, Problem};
use crate::wire::{Body, site};

/// At sign-out the browser forgets what this origin stored and cached, both of which may show the person. Not `"cookies"`: that reaches every host of
/// the registrable domain, and other sites' cookies are not ours to take.
pub(super) const FORGET: HeaderValue = HeaderValue::from_static(r#""cache", "storage""#);

/// How long the description of this face may be cached: it changes with the configuration and with a new version.
const DESCRIPTION_LIFE: Duration = Duration::from_secs(300);

type Answer = Result<Response<Body>, Refusal>;

/// The JSON face.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) base: String,
    pub(super) public_url: Uri,
    /// What the site is called.
    pub(super) name: String,
    pub(super) auth: Arc<Auth>,
    pub(super) providers: Arc<Providers>,
    pub(super) tokens: Arc<Tokens>,
    /// The origins of others that use the same passkeys.
    pub(super) related_origins: Vec<String>,
    /// What this face is, for programs.
    pub(super) description: Bytes,
}

/// A request without its body.
struct Ask<'a> {
    origin: &'a Origin,
    head: &'a request::Parts,
    cookies: Ours<'a>,
}

impl Api {
    /// Answers a request; every failure is an answer too.
    pub(super) async fn answer<B>(&self, origin: &Origin, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let answer = self.respond(origin, &head, body).await;
        let response = answer.unwrap_or_else(|refusal| refusal.into_response(&origin.caller.request_id));
        if head.method == Method::HEAD {
            return without_body(response);
        }
        response
    }

    async fn respond<B>(&self, origin: &Origin, head: &request::Parts, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let endpoint = Endpoint::find(&self.base, head.uri.path()).ok_or(AuthError::NotFound)?;
        if head.method == Method::OPTIONS {
            return Ok(options(endpoint));
        }
        if !endpoint.allow().split(", ").any(|method| head.method == method) {
            let words = format!("This endpoint is asked by {}.", endpoint.allow());
            let problem = Problem::new(Code::MethodNotAllowed, words);
            return Err(problem.allow(HeaderValue::from_static(endpoint.allow())).into());
        }
        let cookies = cookie::find(&head.headers)
            .map_err(|doubled| Problem::new(Code::BadRequest, format!("Cannot tell who is asking: {doubled}.")))?;
        let ask = Ask { origin, head, cookies };
        self.guard(&ask, endpoint)?;
        self.dispatch(&ask, endpoint, body).await
    }

    /// Each endpoint's own work is boxed: a task carries the room of its largest future about, and moves it whole several times.
    async fn dispatch<B>(&self, ask: &Ask<'_>, endpoint: Endpoint, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let headers = &ask.head.headers;
        match endpoint {
            Endpoint::Register => Box::pin(self.register(ask, intake::read(headers, body).await?)).await,
            Endpoint::Login => Box::pin(self.login(ask, intake::read(headers, body).await?)).await,
            Endpoint::Refresh => Box::pin(self.refresh(ask, intake::read_optional(headers, body).await?)).await,
            Endpoint::Logout => Box::pin(self.logout(ask, intake::read_optional(headers, body).await?)).await,
            Endpoint::LogoutAll => Box::pin(self.logout_all(ask)).await,
            Endpoint::Me if ask.head.method == Method::DELETE => {
                Box::pin(self.delete_account(ask, intake::read(headers, body).await?)).await
            }
            Endpoint::Me => Box::pin(self.me(ask)).await,
            Endpoint::Password => Box::pin(self.change_password(ask, intake::read(headers, body).await?)).await,
            Endpoint::Forgot => Box::pin(self.forgot(ask, intake::read(headers, body).await?)).await,
            Endpoint::Reset => Box::pin(self.reset_password(ask, intake::read(headers, body).await?)).await,
            Endpoint::Confirm => Box::pin(self.confirm(ask, intake::read(headers, body).await?)).await,
            Endpoint::Resend => Box::pin(self.resend(ask, intake::read(headers, body).await?)).await,
            Endpoint::Email => Box::pin(self.change_email(ask, intake::read(headers, body).await?)).await,
            Endpoint::Sessions => Box::pin(self.sessions(ask)).await,
            Endpoint::Session(id) => Box::pin(self.end_session(ask, id)).await,
            Endpoint::OpenApi => Ok(public(self.description.clone(), DESCRIPTION_LIFE)),
            Endpoint::Providers => Box::pin(self.providers(ask)).await,
            Endpoint::Provider => Box::pin(self.untie(ask)).await,
            Endpoint::Jwks => self.jwks(),
            Endpoint::MfaVerify => Box::pin(self.verify_second_step(ask, intake::read(headers, body).await?)).await,
            Endpoint::StepUp => Box::pin(self.step_up(ask, intake::read_optional(headers, body).await?)).await,
            Endpoint::Mfa => Box::pin(self.factors(ask)).await,
            Endpoint::MfaTotp if ask.head.method == Method::DELETE => Box::pin(self.remove_totp(ask)).await,
            Endpoint::MfaTotp => Box::pin(self.begin_totp(ask)).await,
            Endpoint::MfaConfirm => Box::pin(self.confirm_totp(ask, intake::read(headers, body).await?)).await,
            Endpoint::MfaPasskey => {
                Box::pin(self.ask_for_second_passkey(ask, intake::read(headers, body).await?)).await
            }
            Endpoint::PasskeyQuestion => Box::pin(self.ask_for_passkey(ask)).await,
            Endpoint::PasskeyLogin => Box::pin(self.enter_with_passkey(ask, intake::read(headers, body).await?)).await,
            Endpoint::PasskeyOptions => Box::pin(self.begin_passkey(ask)).await,
            Endpoint::Passkeys if ask.head.method == Method::POST => {
                Box::pin(self.add_passkey(ask, intake::read(headers, body).await?)).await
            }
            Endpoint::Passkeys => Box::pin(self.list_passkeys(ask)).await,
            Endpoint::Passkey(id) if ask.head.method == Method::DELETE => Box::pin(self.remove_passkey(ask, id)).await,
            Endpoint::Passkey(id) => Box::pin(self.rename_passkey(ask, id, intake::read(headers, body).await?)).await,
            Endpoint::RelatedOrigins => self.related_origins(),
            Endpoint::MfaRecovery => Box::pin(self.renew_recovery_codes(ask)).await,
        }
    }

    /// An unsafe request that leans on our cookies, or that would move them, must come from a page of ours. A program without cookies sends neither
    /// `Origin` nor `Sec-Fetch-Site`, and nobody can make a browser send such a request: it may pass.
    fn guard(&self, ask: &Ask<'_>, endpoint: Endpoint) -> Result<(), Refusal> {
        let headers = &ask.head.headers;
        let by_cookie = ask.cookies != Ours::default();
        let must_prove = by_cookie || (is_browsers(headers) && endpoint.moves_cookies());
        if !must_prove || site::is_same_site(&ask.head.method, headers, &self.public_url, ask.origin) {
            return Ok(());
        }
        let words = "Requests that use or change cookies must come from a page of this site.";
        Err(Problem::new(Code::CrossSite, words).into())
    }

    async fn register(&self, ask: &Ask<'_>, body: Register) -> Answer {
        let password = Password::new(body.password);
        match self.auth.register(&ask.origin.caller, &body.email, password).await? {
            register::Registered::Made(user) => {
                let user = UserView::of(&user);
                Ok(reply::json(StatusCode::CREATED, &Registered { user }))
            }
            register::Registered::Asked => Ok(reply::empty(StatusCode::ACCEPTED)),
        }
    }

    async fn login(&self, ask: &Ask<'_>, body: Login) -> Answer {
        let password = Password::new(body.password);
        match self.auth.login(&ask.origin.caller, &body.email, password).await? {
            Entered::SignedIn(signed_in) => granted(&signed_in, body.transport),
            Entered::SecondStep(step) => second_factor::required(&step),
        }
    }

    async fn refresh(&self, ask: &Ask<'_>, body: Option<Refresh>) -> Answer {
        let in_body = body.and_then(|body| body.refresh_token);
        let (token, transport) = match (&in_body, ask.cookies.refresh) {
            (Some(token), None) => (token.as_str(), Transport::Body),
            (None, Some(token)) => (token, Transport::Cookie),
            (None, None) => {
                let words = "Send a refresh token, or sign in first.";
                return Err(Problem::new(Code::NoToken, words).into());
            }
            (Some(_), Some(_)) => {
                let words = "Send the refresh token in the body or in the cookie, not in both.";
                return Err(Problem::new(Code::BadRequest, words).into());
            }
        };
        match self.auth.refresh(&ask.origin.caller, token).await {
            Ok(signed_in) => granted(&signed_in, transport),
            Err(AuthError::SessionOver { dead: true }) if transport == Transport::Cookie => {
                Err(Refusal::from(AuthError::SessionOver { dead: true }).with_cookies(cleared()))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn logout(&self, ask: &Ask<'_>, body: Option<Refresh>) -> Answer {
        let in_body = body.and_then(|body| body.refresh_token);
        let access = bearer(&ask.head.headers)?.or(ask.cookies.access);
        let refresh = in_body.as_deref().or(ask.cookies.refresh);
        match self.auth.logout(&ask.origin.caller, access, refresh).await {
            Ok(()) => Ok(signed_out()),
            Err(error) => {
                let words =
                    "This browser has forgotten you, but the session may live on until the store answers; try again.";
                Err(Refusal::from(error).with_detail(words).with_cookies(cleared()))
            }
        }
    }

    async fn logout_all(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        self.auth.logout_all(&ask.origin.caller, &who).await?;
        Ok(signed_out())
    }

    async fn me(&self, ask: &Ask<'_>) -> Answer {
        let who = self.reader(ask).await?;
        let (user, session) = self.auth.me(&who).await?;
        let user = UserView::with_age(&user);
        let session = Present::of(&session);
        Ok(reply::json(StatusCode::OK, &Me { user, session }))
    }

    async fn delete_account(&self, ask: &Ask<'_>, body: Confirm) -> Answer {
        let who = self.changer(ask).await?;
        let password = Password::new(body.password);
        self.auth.delete_account(&ask.origin.caller, &who, password).await?;
        Ok(signed_out())
    }

    async fn change_password(&self, ask: &Ask<'_>, body: ChangePassword) -> Answer {
        let who = self.changer(ask).await?;
        let (current, new) = (Password::new(body.current), Password::new(body.new));
        self.auth
            .change_password(&ask.origin.caller, &who, current, new)
            .await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    async fn sessions(&self, ask: &Ask<'_>) -> Answer {
        let who = self.reader(ask).await?;
        let sessions = self.auth.sessions(&who).await?;
        let sessions = sessions
            .iter()
            .map(|session| Listed::of(session, who.session))
            .collect();
        Ok(reply::json(StatusCode::OK, &Listing { sessions }))
    }

    async fn end_session(&self, ask: &Ask<'_>, id: Option<SessionId>) -> Answer {
        let who = self.changer(ask).await?;
        let id = id.ok_or(AuthError::NotFound)?;
        self.auth.end_session(&ask.origin.caller, &who, id).await?;
        if id == who.session {
            return Ok(signed_out());
        }
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    /// For everybody; whoever is signed in sees as well what their account is connected to.
    async fn providers(&self, ask: &Ask<'_>) -> Answer {
        let ties = match self.reader(ask).await {
            Ok(who) => Some(self.auth.ties(&who).await?),
            Err(problem) if problem.code == Code::NoToken => None,
            Err(problem) => return Err(problem.into()),
        };
        let view = |provider| ProviderView::of(provider, ties.as_deref());
        let providers = self.providers.iter().map(view).collect();
        Ok(reply::json(StatusCode::OK, &ProviderList { providers }))
    }

    async fn untie(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        let path = ask.head.uri.path();
        let id = path.rsplit('/').next().unwrap_or_default();
        let provider = self.providers.find(id).ok_or(AuthError::NotFound)?;
        self.auth.untie(&ask.origin.caller, &who, provider.issuer()).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    fn jwks(&self) -> Answer {
        let (keys, max_age) = self.tokens.jwks();
        if keys.is_empty() {
            let words = "The keys have not been read yet; try again in a moment.";
            return Err(Problem::new(Code::StoreUnavailable, words).retry_after(1).into());
        }
        Ok(public(keys, max_age))
    }

    /// Who wants to see something: as on any proxied request.
    async fn reader(&self, ask: &Ask<'_>) -> Result<Identity, Problem> {
        self.identify(ask, RevocationMode::Cached).await
    }

    /// Who wants to change something: the store is asked whether the token still counts.
    async fn changer(&self, ask: &Ask<'_>) -> Result<Identity, Problem> {
        self.identify(ask, RevocationMode::Strict).await
    }

    async fn identify(&self, ask: &Ask<'_>, mode: RevocationMode) -> Result<Identity, Problem> {
        let verified = identify(&self.tokens, &ask.head.headers, &ask.cookies, mode).await?;
        Ok(verified.identity.clone())
    }
}

/// The cookies of somebody who is signed in, living as long as the session does unused; and, after a sign-in, what makes the device known.
///
/// # Errors
/// A token of ours holds what no cookie may: that should not happen.
pub(super) fn cookies_of(signed_in: &SignedIn) -> Result<Vec<HeaderValue>, Problem> {
    let life = unused_life(&signed_in.session);
    let access = cookie::set(cookie::ACCESS, &signed_in.access.jwt, life);
    let refresh = cookie::set(cookie::REFRESH, signed_in.refresh.expose(), life);
    let device = signed_in
        .device
        .as_ref()
        .map(|word| cookie::set(cookie::DEVICE, word, KNOWN_FOR.as_secs()));
    let all: Option<Vec<HeaderValue>> = [access, refresh].into_iter().chain(device).collect();
    all.ok_or_else(|| internal(&AuthError::Internal("a token does not fit into a cookie".to_owned())))
}

/// The cookie of a session that goes on with a token that says more.
pub(super) fn raised_cookie(raised: &Raised) -> Option<HeaderValue> {
    cookie::set(cookie::ACCESS, &raised.access.jwt, unused_life(&raised.session))
}

/// The lines that take both cookies away.
pub(super) fn cleared() -> Vec<HeaderValue> {
    [cookie::ACCESS, cookie::REFRESH]
        .into_iter()
        .filter_map(cookie::clear)
        .collect()
}

fn granted(signed_in: &SignedIn, transport: Transport) -> Answer {
    let mut response = reply::json(StatusCode::OK, &Granted::of(signed_in, transport));
    if transport == Transport::Cookie {
        add_cookies(&mut response, cookies_of(signed_in)?);
    }
    Ok(response)
}

fn signed_out() -> Response<Body> {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert("clear-site-data", FORGET);
    add_cookies(&mut response, cleared());
    response
}

/// JSON that says nothing of anybody and may be cached.
/// Whether a browser asks, which says so itself.
fn is_browsers(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site")
}

fn public(json: Bytes, life: Duration) -> Response<Body> {
    let mut response = Response::new(Body::Full(json));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(line) = HeaderValue::try_from(format!("public, max-age={}", life.as_secs())) {
        headers.insert(CACHE_CONTROL, line);
    }
    response
}

fn add_cookies(response: &mut Response<Body>, lines: Vec<HeaderValue>) {
    for line in lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
}

fn options(endpoint: Endpoint) -> Response<Body> {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(endpoint.allow()));
    response
}

/// The head of an answer to GET, for HEAD (RFC 9110 §9.3.2).
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, Body::Empty)
}

#[cfg(test)]
mod tests;
