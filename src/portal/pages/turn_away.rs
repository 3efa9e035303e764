//! What becomes of a proxied request that needs a session and has none.
//!
//! A page is sent to sign in and remembers where it was going. A small form is kept and shown again. Programs, and all else, get the problem as it is.

use std::error::Error;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{Request, Response, StatusCode, request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::sign_in::Draft;
use super::visit::Visit;
use super::{Pages, reply};
use crate::config::RouteKind;
use crate::portal::{intake, kept_form};
use crate::wire::origin::Origin;
use crate::wire::reply::Problem;
use crate::wire::{Body, navigation, site};

impl Pages {
    /// The answer to a request that `problem` keeps out for want of a session.
    pub(in crate::portal) async fn turn_away<B>(
        &self,
        origin: &Origin,
        kind: RouteKind,
        request: Request<B>,
        problem: Problem,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if navigation::is_page(&head.method, &head.headers, kind) {
            return self
                .to_sign_in(origin, &head)
                .unwrap_or_else(|| problem.into_response(&origin.caller.request_id));
        }
        if self.is_worth_keeping(origin, kind, &head, &body)
            && let Some(response) = self.keep(origin, &head, body).await
        {
            return response;
        }
        problem.into_response(&origin.caller.request_id)
    }

    /// The way to the sign-in page, from where one goes on to `place`.
    pub(super) fn sign_in_path(&self, place: Option<&str>) -> String {
        let base = &self.look.base;
        match place {
            Some(place) => format!(
                "{base}/login?return_to={}",
                utf8_percent_encode(place, NON_ALPHANUMERIC)
            ),
            None => format!("{base}/login"),
        }
    }

    fn to_sign_in(&self, origin: &Origin, head: &request::Parts) -> Option<Response<Body>> {
        let wanted = head.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
        let place = wanted.and_then(|wanted| self.places.parse(wanted, &origin.authority));
        let path = self.sign_in_path(place.as_ref().map(crate::portal::return_to::ReturnTo::as_str));
        reply::see_other(&path).ok()
    }

    /// Another site's form is not kept: it would be shown to the person as if it were their own.
    fn is_worth_keeping(
        &self,
        origin: &Origin,
        kind: RouteKind,
        head: &request::Parts,
        body: &impl http_body::Body,
    ) -> bool {
        navigation::is_form(&head.method, &head.headers, kind)
            && site::comes_from_us(&head.headers, &self.public_url, origin)
            && body.size_hint().lower() <= kept_form::LARGEST as u64
    }

    async fn keep<B>(&self, origin: &Origin, head: &request::Parts, body: B) -> Option<Response<Body>>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let body = intake::bytes(body)
            .await
            .ok()
            .filter(|body| body.len() <= kept_form::LARGEST)?;
        let target = head.uri.path_and_query()?.as_str();
        let place = self.places.parse(target, &origin.authority)?;
        let mut visit = Visit::begin(origin, head).ok()?;
        let sealed = self
            .sealer
            .seal(&visit.browser, place.as_str(), &body, self.clock.now())?;
        let draft = Draft {
            kept: Some(&sealed),
            ..Draft::default()
        };
        let mut response = self.sign_in_form(&mut visit, StatusCode::OK, draft).ok()?;
        let cookies = visit.cookies.into_iter().map(|line| (SET_COOKIE, line));
        response.headers_mut().extend(cookies);
        Some(response)
    }
}
