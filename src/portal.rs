//! Our own site: everything under `base_path`, and the JWKS. It knows which path is whose and hands each to one of two faces, JSON and pages, of the one machine in `auth`.

mod api;
pub mod bounce;
mod credential;
pub mod csrf;
mod endpoint;
pub mod form;
mod intake;
pub mod kept_form;
pub mod pages;
mod refusal;
pub mod return_to;
mod shape;

use std::sync::Arc;

use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;

use crate::auth::{Auth, AuthError};
use crate::config::Settings;
use crate::token::Tokens;
use crate::wire::Body;
use crate::wire::origin::Origin;
use api::Api;
use endpoint::Endpoint;

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
    Failed(crate::wire::reply::Problem),
}

/// Our own site.
#[derive(Debug)]
pub struct Portal {
    api: Api,
}

impl Portal {
    /// The site under the given settings.
    pub fn new(settings: &Settings, auth: Arc<Auth>, tokens: Arc<Tokens>) -> Self {
        let api = Api {
            base: settings.auth.base_path.clone(),
            public_url: settings.server.public_url.clone(),
            auth,
            tokens,
        };
        Self { api }
    }

    /// Whether a path is ours.
    pub fn owns(&self, uri: &Uri) -> bool {
        Endpoint::owns(&self.api.base, uri.path())
    }

    /// The name of one of our endpoints for metrics and logs (`auth.login`); a fixed set.
    pub fn endpoint(&self, uri: &Uri) -> &'static str {
        Endpoint::find(&self.api.base, uri.path()).map_or("auth.unknown", Endpoint::name)
    }

    /// Answers a request for one of our paths. Runs on the control plane.
    pub async fn answer(&self, origin: &Origin, request: Request<Incoming>) -> Response<Body> {
        self.api.answer(origin, request).await
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
