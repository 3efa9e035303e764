//! Our own site: everything under `base_path`, and the JWKS. It knows which path is whose and hands each to one of two faces, JSON and pages, of the one machine in `auth`.

pub mod api;
pub mod bounce;
pub mod csrf;
pub mod form;
pub mod kept_form;
pub mod pages;
pub mod refusal;
pub mod return_to;

use std::sync::Arc;

use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;

use crate::auth::Auth;
use crate::config::Settings;
use crate::token::Tokens;
use crate::wire::Body;
use crate::wire::origin::Origin;

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
pub struct Portal {}

impl Portal {
    /// The site under the given settings.
    pub fn new(settings: &Settings, auth: Arc<Auth>, tokens: Arc<Tokens>) -> Self {
        let _ = (settings, auth, tokens);
        todo!()
    }

    /// Whether a path is ours.
    pub fn owns(&self, uri: &Uri) -> bool {
        let _ = uri;
        todo!()
    }

    /// The name of one of our endpoints for metrics and logs (`auth.login`); a fixed set.
    pub fn endpoint(&self, uri: &Uri) -> &'static str {
        let _ = uri;
        todo!()
    }

    /// Answers a request for one of our paths. Runs on the control plane.
    pub async fn answer(&self, origin: &Origin, request: Request<Incoming>) -> Response<Body> {
        let _ = (origin, request);
        todo!()
    }

    /// Renews a session by its refresh cookie while a proxied request waits. Runs on the control plane.
    pub async fn renew(&self, origin: &Origin, refresh: &str) -> Result<Renewed, NotRenewed> {
        let _ = (origin, refresh);
        todo!()
    }
}
