//! Who waits for the answer of a proxied request: a person looking at a page, or a program; and a page of which origin may read it.
//!
//! Learnt before the request's head is sent on, and asked only where an answer is ours.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};

use crate::config::{Route, RouteKind};
use crate::portal::Portal;
use crate::wire::origin::Origin;
use crate::wire::{Body, cors, navigation};

/// Who waits for an answer.
pub(super) struct Audience {
    /// A person who waits for a page.
    pub(super) is_person: bool,
    /// What was asked for, where asking again harms nobody.
    uri: Option<Uri>,
    /// The page's own origin, where it is another one's script that asks.
    origin: Option<HeaderValue>,
}

impl Audience {
    pub(super) fn of<B>(request: &Request<B>, kind: RouteKind) -> Self {
        let is_person = navigation::is_persons(request.method(), request.headers(), kind);
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        Self {
            is_person,
            uri: (is_person && reads).then(|| request.uri().clone()),
            origin: request.headers().get(ORIGIN).cloned(),
        }
    }

    /// An answer as they can use it: people get pages in place of our problem documents, and pages that may call a route may read what it answers.
    pub(super) fn present(
        self,
        response: Response<Body>,
        portal: &Portal,
        origin: &Origin,
        route: Option<&Route>,
    ) -> Response<Body> {
        let mut response = response;
        if self.is_person {
            let asked = self.uri.as_ref().and_then(Uri::path_and_query);
            response = portal.dress(response, origin, asked.map(|asked| asked.as_str()));
        }
        if let (Some(cors), Some(from)) = (route.and_then(|route| route.cors.as_ref()), self.origin) {
            let asked = HeaderMap::from_iter([(ORIGIN, from)]);
            cors::share(cors, &asked, response.headers_mut());
        }
        response
    }
}
