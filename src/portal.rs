//! Our own site: everything under `base_path`, and the JWKS. It knows which path is whose and hands each to one of two faces, JSON and pages, of the one machine in `auth`.

mod api;
pub mod bounce;
mod credential;
pub mod csrf;
mod endpoint;
mod errand;
pub mod form;
mod intake;
pub mod kept_form;
mod openapi;
pub mod pages;
mod qr;
mod refusal;
pub mod return_to;
mod seal;
mod shape;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;

use crate::auth::{Auth, AuthError};
use crate::config::{RouteKind, Settings};
use crate::model::clock::Clock;
use crate::model::secret::{NoEntropy, Secret};
use crate::provider::Providers;
use crate::token::Tokens;
use crate::wire::origin::Origin;
use crate::wire::reply::Problem;
use crate::wire::{Body, cookie, navigation};
use api::Api;
use endpoint::{Endpoint, WELL_KNOWN};
use pages::{Page, Pages};

/// A session renewed in the middle of a proxied request.
#[derive(Clone)]
pub struct Renewed {
    /// The new access token, to go on with.
    pub access: String,
    /// What the answer must carry.
    pub set_cookies: Vec<HeaderValue>,
}

/// Why a proxied request could not be renewed.
#[derive(Debug)]
pub enum NotRenewed {
    /// The session is over (or there never was one): the request goes on as one without credentials. `clear`: these `Set-Cookie` lines take the dead cookies away.
    Over {
        /// Empty unless the family is certainly dead.
        clear: Vec<HeaderValue>,
    },
    /// It cannot be told at this moment: answer with this.
    Failed(Problem),
}

fn related_origins(settings: &Settings) -> Vec<String> {
    let passkeys = settings.auth.passkeys.as_ref();
    passkeys.map_or_else(Vec::new, |passkeys| passkeys.related_origins.clone())
}

/// Our own site.
#[derive(Debug)]
pub struct Portal {
    api: Api,
    pages: Pages,
}

impl Portal {
    /// The site under the given settings.
    ///
    /// # Errors
    /// The keys of forms cannot be derived from the secret.
    pub fn new(
        settings: &Settings,
        auth: Arc<Auth>,
        providers: Arc<Providers>,
        tokens: Arc<Tokens>,
        secret: &Secret,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NoEntropy> {
        let pages = Pages::new(
            settings,
            Arc::clone(&auth),
            Arc::clone(&providers),
            Arc::clone(&tokens),
            secret,
            clock,
        )?;
        let api = Api {
            base: settings.auth.base_path.clone(),
            public_url: settings.server.public_url.clone(),
            name: settings.portal.name.clone(),
            related_origins: related_origins(settings),
            auth,
            providers,
            tokens,
            description: openapi::document(
                &settings.auth.base_path,
                &settings.server.public_url,
                !related_origins(settings).is_empty(),
            ),
        };
        Ok(Self { api, pages })
    }

    /// Whether a path is ours.
    pub fn owns(&self, uri: &Uri) -> bool {
        Endpoint::owns(&self.api.base, uri.path()) || self.api.lists_related_origins(uri.path())
    }

    /// The name of one of our endpoints for metrics and logs (`auth.login`); a fixed set.
    pub fn endpoint(&self, uri: &Uri) -> &'static str {
        let (base, path) = (&self.api.base, uri.path());
        let endpoint = Endpoint::find(base, path).map(Endpoint::name);
        let page = || Page::find(base, path).map(Page::name);
        endpoint.or_else(page).unwrap_or("auth.unknown")
    }

    /// Whether a path is at a place of ours, however its letters are spelled: under `base_path`, or where every site keeps its well-known paths.
    pub fn is_near(&self, path: &str) -> bool {
        let base = &self.api.base;
        let below = path.get(..base.len()).filter(|start| start.eq_ignore_ascii_case(base));
        let rest = below.and_then(|start| path.strip_prefix(start));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || path.starts_with(WELL_KNOWN)
    }

    /// Whether a path is one of ours to the letter, with nothing in it that somebody made up.
    pub fn has(&self, path: &str) -> bool {
        match Endpoint::find(&self.api.base, path) {
            Some(Endpoint::Provider) => self.pages.has(path),
            Some(endpoint) => endpoint.is_plain(),
            None => self.pages.has(path) || path == pages::NOT_THERE,
        }
    }

    /// Answers a request for one of our paths. Runs on the control plane.
    pub async fn answer(&self, origin: &Origin, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let origin = &with_device(origin, &head.headers);
        if let Some(page) = self.pages.find(&head) {
            return Box::pin(self.pages.answer(page, origin, Request::from_parts(head, body))).await;
        }
        let waits = navigation::is_persons(&head.method, &head.headers, RouteKind::Auto);
        let response = self.api.answer(origin, Request::from_parts(head, body)).await;
        if waits {
            self.dress(response, origin, None)
        } else {
            response
        }
    }

    /// The answer to a proxied request that `problem` keeps out for want of a session: a person is sent to sign in, a program gets the problem. Runs on the control
    /// plane, since a small form is read and kept for after signing in.
    pub async fn turn_away(
        &self,
        origin: &Origin,
        kind: RouteKind,
        request: Request<Incoming>,
        problem: Problem,
    ) -> Response<Body> {
        Box::pin(self.pages.turn_away(origin, kind, request, problem)).await
    }

    /// On to the page where somebody who is signed in proves more, and then back. `None`: back is no place that one may be sent to.
    pub fn step_up(
        &self,
        origin: &Origin,
        wanted: &Uri,
        two: bool,
        max_age: Option<Duration>,
    ) -> Option<Response<Body>> {
        self.pages.to_step_up(origin, wanted, two, max_age)
    }

    /// Puts an error page in the place of a problem document of ours, for a person who waits for a page; any other answer stays as it is. `path`: path and query of what was
    /// asked for, where asking again harms nobody.
    pub fn dress(&self, response: Response<Body>, origin: &Origin, path: Option<&str>) -> Response<Body> {
        self.pages.dress(response, origin, path)
    }

    /// Renews a session by its refresh cookie while a proxied request waits. Runs on the control plane.
    pub async fn renew(&self, origin: &Origin, refresh: &str) -> Result<Renewed, NotRenewed> {
        match self.api.auth.refresh(&origin.caller, refresh).await {
            Ok(signed_in) => {
                let set_cookies = api::cookies_of(&signed_in).map_err(NotRenewed::Failed)?;
                let access = signed_in.access.jwt;
                Ok(Renewed { access, set_cookies })
            }
            Err(AuthError::SessionOver { dead: true }) => Err(NotRenewed::Over { clear: api::cleared() }),
            Err(AuthError::SessionOver { dead: false }) => Err(NotRenewed::Over { clear: Vec::new() }),
            Err(error) => Err(NotRenewed::Failed(refusal::problem(error))),
        }
    }
}

/// Whoever asks for one of our own endpoints may be on a device that an account knows.
fn with_device(origin: &Origin, headers: &HeaderMap) -> Origin {
    let mut origin = origin.clone();
    origin.caller.device = cookie::named(headers, cookie::DEVICE).map(Arc::from);
    origin
}
