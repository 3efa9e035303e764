//! Signing in with a provider: the way there, the way back, and what an account is connected to.
//!
//! A form of ours begins it, and is answered with a page that leads on by itself: browsers hold `form-action` against every redirect of a form's answer, and
//! where a provider sends people is its own affair.

use http::{HeaderName, StatusCode};

use super::failure::complaint;
use super::sign_in::{Draft, PURPOSE, stale};
use super::sign_out;
use super::view::{Choices, Onward, Tie, Wrong};
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::auth::AuthError;
use crate::config::RevocationMode;
use crate::model::identity::Identity;
use crate::model::vouched::Vouched;
use crate::portal::errand::{Baggage, Errand, Errands};
use crate::portal::form::Form;
use crate::portal::{api, refusal};
use crate::provider::{self, Provider, ProviderError};
use crate::wire::cookie;
use crate::wire::reply::{Code, Problem};

/// The cookie that says by which provider somebody came in: they leave by it. It is worth nothing to anybody else.
pub(super) const CAME_BY: &str = "__Host-gateward-provider";

impl Pages {
    /// Sends a browser to a provider, to sign in or to connect an account.
    pub(super) async fn go_to_provider(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let provider = self.provider_at(visit.head.uri.path())?;
        let place = self.place(visit, form.get("return_to"));
        let mut draft = Draft::of(form, place.as_ref());
        if !visit.known {
            return self.circle(visit, None);
        }
        let ties = !form.get("tie").is_empty();
        let purpose = if ties { sign_out::PURPOSE } else { PURPOSE };
        let genuine = self
            .form_tokens
            .is_genuine(&visit.browser, purpose, form.get("form_token"));
        if !genuine {
            draft.error = Some(stale());
            return self.sign_in_form(visit, StatusCode::FORBIDDEN, draft);
        }
        if let Some(home) = self.elsewhere(visit) {
            return reply::see_other(&home);
        }
        if !ties {
            return match self.send_away(visit, provider, None, &draft).await {
                Ok(answer) => Ok(answer),
                Err(problem) => self.refuse_sign_in(visit, problem, draft),
            };
        }
        let Some(who) = self.who(visit, RevocationMode::Strict).await? else {
            return self.ask_to_sign_in(visit);
        };
        match self.send_away(visit, provider, Some(&who), &draft).await {
            Ok(answer) => Ok(answer),
            Err(problem) => self.refuse_tie(visit, &who, problem).await,
        }
    }

    /// Takes in whoever comes back from a provider.
    pub(super) async fn back_from_provider(&self, visit: &mut Visit<'_>) -> Answer {
        let provider = self.provider_at(visit.head.uri.path())?;
        let state = visit.query("state");
        let errand = self.errands.find(&visit.head.headers, &state, self.clock.now());
        let Some(errand) = errand.filter(|errand| errand.provider == provider.id()) else {
            return self.lost(visit, provider).await;
        };
        let baggage = self.auth.welcome_back(&state).await.map_err(refusal::problem)?;
        visit.cookies.extend(Errands::forget(&state));
        let opened = |sealed: Vec<u8>| {
            self.errands
                .unpack::<Baggage>(&state, std::str::from_utf8(&sealed).ok()?)
        };
        let Some(baggage) = baggage.and_then(opened) else {
            return self.lost(visit, provider).await;
        };
        let vouched = match self.answer_of(visit, provider, &errand).await {
            Ok(vouched) => Ok(vouched),
            Err(error) => {
                let why = error.to_string();
                self.auth.not_vouched(&visit.origin.caller, provider.id(), &why).await;
                Err(refusal::vouched_in_vain(provider, &error))
            }
        };
        if errand.tie.is_some() {
            return self.tie(visit, &errand, vouched).await;
        }
        self.let_in(visit, provider, vouched, &baggage).await
    }

    /// The providers as buttons.
    pub(super) fn choices(&self, again: bool) -> Choices<'_> {
        Choices {
            list: self.providers.iter().map(|one| (one.id(), one.name())).collect(),
            again,
        }
    }

    /// The providers as an account is connected to them.
    pub(super) async fn ties_of(&self, who: &Identity) -> Result<Vec<Tie<'_>>, AuthError> {
        let ties = self.auth.ties(who).await?;
        let tie = |provider| {
            let found = ties.iter().find(|tie| tie.issuer == Provider::issuer(provider));
            Tie {
                id: provider.id(),
                name: provider.name(),
                tied: found.is_some(),
                label: found.map(|tie| tie.label.clone()).unwrap_or_default(),
            }
        };
        Ok(self.providers.iter().map(tie).collect())
    }

    /// Disconnects an account from a provider.
    pub(super) async fn untie(&self, visit: &Visit<'_>, who: &Identity, id: &str) -> Result<(), AuthError> {
        let provider = self.providers.find(id).ok_or(AuthError::NotFound)?;
        self.auth.untie(&visit.origin.caller, who, provider.issuer()).await
    }

    /// Out of the provider as well, for somebody who has signed out here and came in by it; `None`: there is no such way.
    pub(super) async fn leave_provider(&self, visit: &mut Visit<'_>) -> Option<Answer> {
        let provider = self.providers.find(cookie::named(&visit.head.headers, CAME_BY)?)?;
        visit.cookies.extend(cookie::clear(CAME_BY));
        let address = provider.way_out(&format!("{}/logout", self.site)).await?;
        let page = Onward {
            look: &self.look,
            heading: "You are signed out",
            detail: format!(
                "Nothing of your session is left in this browser. {} may still know you: on to sign out there as well.",
                provider.name()
            ),
            name: provider.name(),
            address: &address,
        };
        Some(self.policy.page(StatusCode::OK, &page).map(|mut response| {
            let name = HeaderName::from_static("clear-site-data");
            response.headers_mut().insert(name, api::FORGET);
            response
        }))
    }

    /// Whether there is such a page of a provider.
    pub(super) fn has_provider_at(&self, path: &str) -> bool {
        self.provider_at(path).is_ok()
    }

    fn provider_at(&self, path: &str) -> Result<&Provider, Problem> {
        let rest = path.strip_prefix(&self.look.base);
        let rest = rest.and_then(|rest| rest.strip_prefix("/providers/"));
        let id = rest.map(|rest| rest.strip_suffix("/callback").unwrap_or(rest));
        id.and_then(|id| self.providers.find(id))
            .ok_or_else(|| Problem::new(Code::NotFound, "There is no such provider."))
    }

    /// Providers send people back to `public_url`, where cookies of another host would be missing: whoever is at one goes there first.
    fn elsewhere(&self, visit: &Visit<'_>) -> Option<String> {
        let home = self.public_url.authority();
        (home != Some(&visit.origin.authority)).then(|| format!("{}/login", self.site))
    }

    async fn send_away(
        &self,
        visit: &mut Visit<'_>,
        provider: &Provider,
        who: Option<&Identity>,
        draft: &Draft<'_>,
    ) -> Answer {
        let session = who.map(|who| who.session);
        let errand =
            Errand::new(provider.id(), session, self.clock.now()).map_err(|error| refusal::internal(&error))?;
        let address = provider.address(&errand.question, draft.again).await;
        let address = address.map_err(|error| refusal::vouched_in_vain(provider, &error))?;
        let baggage = Baggage {
            return_to: draft.place.map(ToString::to_string),
            kept: draft.kept.map(str::to_owned),
        };
        let state = &errand.question.state;
        let unsealed = || refusal::problem(AuthError::Internal("an errand cannot be sealed".to_owned()));
        let baggage = self.errands.pack(state, &baggage).ok_or_else(unsealed)?;
        let cookie = self.errands.cookie(&errand).ok_or_else(unsealed)?;
        let sent = self
            .auth
            .send_away(&visit.origin.caller, state, baggage.as_bytes())
            .await;
        sent.map_err(refusal::problem)?;
        visit.cookies.push(cookie);
        let page = Onward {
            look: &self.look,
            heading: "One moment",
            detail: format!("On to {}, where you say who you are.", provider.name()),
            name: provider.name(),
            address: &address,
        };
        self.policy.page(StatusCode::OK, &page)
    }

    async fn answer_of(
        &self,
        visit: &Visit<'_>,
        provider: &Provider,
        errand: &Errand,
    ) -> Result<Vouched, ProviderError> {
        let (code, issuer, error) = (visit.query("code"), visit.query("iss"), visit.query("error"));
        if !error.is_empty() {
            provider.must_be_from(&issuer).await?;
            return Err(ProviderError::refusal(&error));
        }
        if code.is_empty() {
            return Err(ProviderError::Distrusted("an answer without a code"));
        }
        let answer = provider::Answer {
            code: &code,
            issuer: &issuer,
        };
        provider.redeem(&errand.question, &answer).await
    }

    async fn let_in(
        &self,
        visit: &mut Visit<'_>,
        provider: &Provider,
        vouched: Result<Vouched, Problem>,
        baggage: &Baggage,
    ) -> Answer {
        let place = baggage.return_to.as_deref().and_then(|place| self.place(visit, place));
        let draft = Draft {
            place: place.as_ref(),
            kept: baggage.kept.as_deref(),
            provider: Some(provider.id()),
            ..Draft::default()
        };
        let vouched = match vouched {
            Ok(vouched) => vouched,
            Err(problem) => return self.refuse_sign_in(visit, problem, draft),
        };
        let caller = &visit.origin.caller;
        match self.auth.sign_in_vouched(caller, &vouched, provider.registers()).await {
            Ok(entered) => self.enter(visit, entered, draft).await,
            Err(error) => self.refuse_sign_in(visit, refusal::problem(error), draft),
        }
    }

    /// Connects the account of whoever is signed in, if they are the one who asked for it.
    async fn tie(&self, visit: &mut Visit<'_>, errand: &Errand, vouched: Result<Vouched, Problem>) -> Answer {
        let who = self.who(visit, RevocationMode::Strict).await?;
        let Some(who) = who.filter(|who| errand.tie == Some(who.session)) else {
            return self.ask_to_sign_in(visit);
        };
        let caller = &visit.origin.caller;
        let tied = match vouched {
            Ok(vouched) => self.auth.tie(caller, &who, &vouched).await.map_err(refusal::problem),
            Err(problem) => Err(problem),
        };
        match tied {
            Ok(()) => self.done("tied"),
            Err(problem) => self.refuse_tie(visit, &who, problem).await,
        }
    }

    async fn refuse_tie(&self, visit: &mut Visit<'_>, who: &Identity, problem: Problem) -> Answer {
        let error = Some(complaint(&problem, &visit.origin.caller.request_id));
        let status = Self::status_of(&problem);
        self.account_page(visit, who, status, None, error, Wrong::Nothing).await
    }

    /// An answer to no question of this browser, or to one that was answered.
    async fn lost(&self, visit: &mut Visit<'_>, provider: &Provider) -> Answer {
        let why = "an answer to no question of this browser";
        self.auth.not_vouched(&visit.origin.caller, provider.id(), why).await;
        let words = "This sign-in was begun in another browser, took longer than ten minutes, or was finished before. Begin it once more.";
        self.refuse_sign_in(visit, Problem::new(Code::ProviderRefused, words), Draft::default())
    }
}
