//! One request for a page: which browser it is, who is in it, and the cookies that will go back.

use http::HeaderValue;
use http::request;

use super::Pages;
use crate::auth::AuthError;
use crate::config::RevocationMode;
use crate::model::identity::Identity;
use crate::portal::csrf::Browser;
use crate::portal::form::Form;
use crate::portal::{api, refusal};
use crate::token::Rejected;
use crate::wire::cookie;
use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};

/// A request for a page.
pub(super) struct Visit<'a> {
    pub(super) origin: &'a Origin,
    pub(super) head: &'a request::Parts,
    /// The browser, under the name that it has or gets.
    pub(super) browser: Browser,
    /// Whether it had its name already.
    pub(super) known: bool,
    /// What goes back with the answer.
    pub(super) cookies: Vec<HeaderValue>,
}

impl<'a> Visit<'a> {
    pub(super) fn begin(origin: &'a Origin, head: &'a request::Parts) -> Result<Self, Problem> {
        let found = Browser::of(&head.headers);
        let known = found.is_some();
        let browser = match found {
            Some(browser) => browser,
            None => Browser::named().map_err(|error| refusal::internal(&error))?,
        };
        Ok(Self {
            origin,
            head,
            browser,
            known,
            cookies: Vec::new(),
        })
    }

    /// Lets the browser keep its name: for pages with a form.
    pub(super) fn name_browser(&mut self) {
        self.cookies.extend(self.browser.set_cookie());
    }

    /// A field of the query; empty where there is none.
    pub(super) fn query(&self, name: &str) -> String {
        let query = self.head.uri.query().unwrap_or_default();
        Form::read(query.as_bytes()).map_or_else(String::new, |form| form.get(name).to_owned())
    }
}

impl Pages {
    /// Who is signed in in this browser. An access token that has expired is renewed on the way, as on any proxied request; cookies of a session that is certainly
    /// over are taken away.
    pub(super) async fn who(&self, visit: &mut Visit<'_>, mode: RevocationMode) -> Result<Option<Identity>, Problem> {
        let ours = cookie::find(&visit.head.headers)
            .map_err(|doubled| Problem::new(Code::BadRequest, format!("Cannot tell who is asking: {doubled}.")))?;
        if let Some(access) = ours.access {
            match self.tokens.verify(access, mode).await {
                Ok(verified) => return Ok(Some(verified.identity.clone())),
                Err(Rejected::Unavailable(error)) => return Err(refusal::problem(AuthError::Store(error))),
                Err(_) => {}
            }
        }
        let Some(refresh) = ours.refresh else { return Ok(None) };
        match self.auth.refresh(&visit.origin.caller, refresh).await {
            Ok(signed_in) => {
                visit.cookies.extend(api::cookies_of(&signed_in)?);
                Ok(Some(signed_in.access.identity))
            }
            Err(AuthError::SessionOver { dead }) => {
                visit.cookies.extend(dead.then(api::cleared).into_iter().flatten());
                Ok(None)
            }
            Err(error) => Err(refusal::problem(error)),
        }
    }
}
