//! The HTML face: pages that work without script, over the same machine that the JSON face speaks to.
//!
//! A page is found by its path; a form is told from a program's request by its media type. Every POST must prove that it comes from a page of ours that was
//! written for this browser. What a person did is answered with a redirect, so that "reload" repeats nothing.

pub mod accent;
mod account;
mod confirmation;
pub mod device;
mod failure;
mod going_on;
pub mod look;
mod passkeys;
mod path;
mod providers;
mod recovery;
mod registration;
mod reply;
mod second_step;
mod security;
mod sign_in;
mod sign_out;
mod step_up;
mod turn_away;
pub mod view;
mod visit;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, request};

use super::csrf::FormTokens;
use super::errand::Errands;
use super::form::Form;
use super::intake;
use super::kept_form::Sealer;
use super::return_to::Places;
use super::seal::Seal;
use crate::auth::Auth;
use crate::config::{RouteKind, Settings};
use crate::model::clock::Clock;
use crate::model::secret::{NoEntropy, Secret};
use crate::provider::Providers;
use crate::token::Tokens;
use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};
use crate::wire::{Body, navigation, site};
use look::Look;
pub(super) use path::{CHANGE_PASSWORD, NOT_THERE, Page};
use reply::Policy;
use visit::Visit;

/// A page, or why there is none.
type Answer = Result<Response<Body>, Problem>;

/// The HTML face.
#[derive(Debug)]
pub(super) struct Pages {
    look: Look,
    policy: Policy,
    places: Places,
    public_url: Uri,
    /// Where our own pages stand, for others: scheme, authority and `base_path`.
    site: String,
    providers: Arc<Providers>,
    errands: Errands,
    registration: bool,
    passkeys: bool,
    password_length: (usize, usize),
    form_tokens: FormTokens,
    sealer: Sealer,
    /// Seals what stands for a first factor.
    steps: Seal,
    auth: Arc<Auth>,
    tokens: Arc<Tokens>,
    clock: Arc<dyn Clock>,
}

impl Pages {
    /// The pages under the given settings.
    pub(super) fn new(
        settings: &Settings,
        auth: Arc<Auth>,
        providers: Arc<Providers>,
        tokens: Arc<Tokens>,
        secret: &Secret,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NoEntropy> {
        let rules = &settings.auth;
        let places = Places::new(&settings.server.public_url, &rules.return_to_hosts, &rules.base_path);
        Ok(Self {
            look: Look::new(&settings.portal, &rules.base_path),
            policy: Policy::new(&places),
            places,
            public_url: settings.server.public_url.clone(),
            site: settings.site(),
            providers,
            errands: Errands::new(secret)?,
            registration: rules.registration,
            passkeys: rules.passkeys.is_some(),
            password_length: (rules.password.min_length, rules.password.max_length),
            form_tokens: FormTokens::new(secret)?,
            sealer: Sealer::new(secret)?,
            steps: Seal::new(secret, "second-step")?,
            auth,
            tokens,
            clock,
        })
    }

    /// The page that a request is for, if it is for one.
    pub(super) fn find(&self, head: &request::Parts) -> Option<Page> {
        let page = Page::find(&self.look.base, head.uri.path())?;
        page.takes(&head.method, &head.headers).then_some(page)
    }

    /// Whether there is a page of exactly this path.
    pub(super) fn has(&self, path: &str) -> bool {
        match Page::find(&self.look.base, path) {
            Some(Page::Asset) => self.look.asset(path).is_some(),
            Some(Page::Provider | Page::Callback) => self.has_provider_at(path),
            page => page.is_some(),
        }
    }

    /// Answers a request for a page.
    pub(super) async fn answer<B>(&self, page: Page, origin: &Origin, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let mut visit = match Visit::begin(origin, &head) {
            Ok(visit) => visit,
            Err(problem) => return self.fail(problem, origin, &head),
        };
        let answer = self.respond(page, &mut visit, body).await;
        let cookies = std::mem::take(&mut visit.cookies);
        let mut response = answer.unwrap_or_else(|problem| self.fail(problem, origin, &head));
        response
            .headers_mut()
            .extend(cookies.into_iter().map(|line| (SET_COOKIE, line)));
        response
    }

    async fn respond<B>(&self, page: Page, visit: &mut Visit<'_>, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let reads = visit.head.method == Method::GET || visit.head.method == Method::HEAD;
        match page {
            Page::Asset => self.asset(visit.head.uri.path()),
            Page::Home => reply::see_other(&format!("{}/account", self.look.base)),
            Page::ChangePassword => reply::see_other(&format!("{}/account#change", self.look.base)),
            Page::SignIn if reads => self.show_sign_in(visit).await,
            Page::Register if reads => self.show_registration(visit),
            Page::SignOut if reads => self.show_sign_out(visit).await,
            Page::Account if reads => self.show_account(visit).await,
            Page::Security if reads => self.show_security(visit).await,
            Page::Callback => self.back_from_provider(visit).await,
            Page::Forgot if reads => self.show_forgot(visit),
            Page::Reset if reads => self.show_reset(visit).await,
            Page::Confirm if reads => self.show_confirm(visit),
            _ if visit.head.method != Method::POST => {
                let allow = HeaderValue::from_static("GET, HEAD, POST");
                Err(Problem::new(Code::MethodNotAllowed, "Open this page with GET.").allow(allow))
            }
            _ => {
                let form = Form::read(&intake::bytes(body).await?);
                let form = form.ok_or_else(|| Problem::new(Code::BadRequest, "The form cannot be read."))?;
                self.act(page, visit, &form).await
            }
        }
    }

    async fn act(&self, page: Page, visit: &mut Visit<'_>, form: &Form) -> Answer {
        self.must_come_from_us(visit)?;
        match page {
            Page::SignIn => self.sign_in(visit, form).await,
            Page::Register => self.register(visit, form).await,
            Page::SignOut => self.sign_out(visit, form).await,
            Page::Security => self.change_security(visit, form).await,
            Page::Provider => self.go_to_provider(visit, form).await,
            Page::Forgot => self.forgot(visit, form).await,
            Page::Reset => self.reset(visit, form).await,
            Page::Confirm => self.confirm_address(visit, form).await,
            _ => self.change_account(visit, form).await,
        }
    }

    /// No other site may send our forms. A browser that says nothing about where a form comes from (`Origin: null` is what `no-referrer` makes of our own) is let
    /// through to the form token, which no other site can have.
    fn must_come_from_us(&self, visit: &Visit<'_>) -> Result<(), Problem> {
        let headers = &visit.head.headers;
        let named = headers.get(http::header::ORIGIN).is_some_and(|origin| origin != "null");
        let silent = !headers.contains_key("sec-fetch-site") && !named;
        if silent || site::comes_from_us(headers, &self.public_url, visit.origin) {
            return Ok(());
        }
        Err(Problem::new(
            Code::CrossSite,
            "Forms must come from a page of this site.",
        ))
    }

    fn asset(&self, path: &str) -> Answer {
        self.look
            .asset(path)
            .ok_or_else(|| Problem::new(Code::NotFound, "There is no such file."))
    }

    /// A problem as whoever asked can use it: a page for people.
    fn fail(&self, problem: Problem, origin: &Origin, head: &request::Parts) -> Response<Body> {
        let response = problem.into_response(&origin.caller.request_id);
        if navigation::is_persons(&head.method, &head.headers, RouteKind::Auto) {
            return self.dress(response, origin, None);
        }
        response
    }

    fn status_of(problem: &Problem) -> StatusCode {
        problem.code.status()
    }
}
