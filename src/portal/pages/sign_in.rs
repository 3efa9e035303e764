//! The sign-in page.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::failure::complaint;
use super::providers::CAME_BY;
use super::view::{Complaint, KeptForm, SignIn};
use super::visit::Visit;
use super::{Answer, Pages, passkeys};
use crate::auth::{AuthError, SignedIn};
use crate::config::RevocationMode;
use crate::model::credential::Password;
use crate::portal::form::Form;
use crate::portal::return_to::ReturnTo;
use crate::portal::shape::unused_life;
use crate::portal::{api, kept_form, refusal};
use crate::wire::cookie;
use crate::wire::reply::Problem;

/// What sign-in and registration forms are for.
pub(super) const PURPOSE: &str = "sign-in";

/// What stands in the form already.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) email: &'a str,
    pub(super) place: Option<&'a ReturnTo>,
    pub(super) kept: Option<&'a str>,
    pub(super) error: Option<Complaint>,
    /// Whether whoever is signed in is to prove themselves anew.
    pub(super) again: bool,
    /// By which provider they come in.
    pub(super) provider: Option<&'a str>,
}

impl<'a> Draft<'a> {
    /// What a form brings along.
    pub(super) fn of(form: &'a Form, place: Option<&'a ReturnTo>) -> Self {
        Self {
            email: form.get("email"),
            place,
            kept: Some(form.get("kept")).filter(|kept| !kept.is_empty()),
            error: None,
            again: !form.get("again").is_empty(),
            provider: None,
        }
    }
}

/// Whether a form only asks for the other page. A link would do, but for the kept form that it brings along.
pub(super) fn only_shows(form: &Form) -> bool {
    !form.get("show").is_empty()
}

impl Pages {
    /// The form; or, for somebody who is signed in and not asked to do so again, straight on.
    pub(super) async fn show_sign_in(&self, visit: &mut Visit<'_>) -> Answer {
        let place = self.place(visit, &visit.query("return_to"));
        // Whether the stores answer shows when the form is sent; until then it can be filled in.
        let anew = !visit.query("anew").is_empty();
        if let (false, Ok(Some(who))) = (anew, self.who(visit, RevocationMode::Cached).await) {
            match self.auth.me(&who).await {
                Ok(_) if let Some(wanted) = Self::wanted(visit) => {
                    return self.show_step_up(visit, &who, wanted, place.as_ref()).await;
                }
                Ok(_) => return self.go_on(visit, place.as_ref()),
                Err(AuthError::SessionOver { dead: true }) => visit.cookies = api::cleared(),
                Err(_) => {}
            }
        }
        let draft = Draft {
            place: place.as_ref(),
            again: anew,
            ..Draft::default()
        };
        self.sign_in_form(visit, StatusCode::OK, draft)
    }

    /// Signs in.
    pub(super) async fn sign_in(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let place = self.place(visit, form.get("return_to"));
        let mut draft = Draft::of(form, place.as_ref());
        if !visit.known {
            return self.circle(visit, None);
        }
        if !self
            .form_tokens
            .is_genuine(&visit.browser, PURPOSE, form.get("form_token"))
        {
            draft.error = Some(stale());
            return self.sign_in_form(visit, StatusCode::FORBIDDEN, draft);
        }
        if !form.get("step").is_empty() {
            return self.second_step(visit, form, draft).await;
        }
        if !form.get("again").is_empty() {
            return self.prove_again(visit, form, draft).await;
        }
        if only_shows(form) {
            return self.sign_in_form(visit, StatusCode::OK, draft);
        }
        if let Some(answered) = passkeys::answered(form) {
            return self.enter_with_passkey(visit, answered, draft).await;
        }
        let password = Password::new(form.get("password").to_owned());
        match self.auth.login(&visit.origin.caller, draft.email, password).await {
            Ok(entered) => self.enter(visit, entered, draft).await,
            Err(error) => self.refuse_sign_in(visit, refusal::problem(error), draft),
        }
    }

    /// Takes somebody in who has just proved who they are, and sends them on.
    pub(super) async fn signed_in(&self, visit: &mut Visit<'_>, signed_in: &SignedIn, draft: &Draft<'_>) -> Answer {
        self.leave_former_session(visit).await;
        visit.cookies.extend(api::cookies_of(signed_in)?);
        visit.cookies.extend(came_by(visit, signed_in, draft.provider));
        self.take_along(visit, draft)
    }

    /// On to where they were going, or to what they were sending.
    pub(super) fn take_along(&self, visit: &mut Visit<'_>, draft: &Draft<'_>) -> Answer {
        let kept = draft
            .kept
            .and_then(|kept| self.sealer.open(&visit.browser, kept, self.clock.now()));
        match kept {
            Some(kept) => self.confirm(kept),
            None => self.go_on(visit, draft.place),
        }
    }

    /// The form, with what stands in it.
    pub(super) fn sign_in_form(&self, visit: &mut Visit<'_>, status: StatusCode, draft: Draft<'_>) -> Answer {
        visit.name_browser();
        let return_to = draft.place.map(ReturnTo::as_str);
        let elsewhere = return_to.and_then(|place| place.split_once("://"));
        let page = SignIn {
            look: &self.look,
            error: draft.error,
            email: draft.email,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            return_to,
            destination: elsewhere.and_then(|(_, rest)| rest.split('/').next()),
            kept: draft.kept,
            registration: self.registration,
            choices: self.choices(draft.again),
            letters: self.auth.writes_letters(),
            passkeys: self.passkeys,
        };
        self.policy.page(status, &page)
    }

    /// The form, with what kept the person out.
    pub(super) fn refuse_sign_in(&self, visit: &mut Visit<'_>, problem: Problem, mut draft: Draft<'_>) -> Answer {
        draft.error = Some(complaint(&problem, &visit.origin.caller.request_id));
        let mut response = self.sign_in_form(visit, Self::status_of(&problem), draft)?;
        carry_over(&problem, &mut response);
        Ok(response)
    }

    /// Whoever signs in anew leaves the session that this browser had: nobody could find it again but in the list.
    async fn leave_former_session(&self, visit: &Visit<'_>) {
        let Ok(ours) = cookie::find(&visit.head.headers) else {
            return;
        };
        if ours != cookie::Ours::default()
            && let Err(error) = self.auth.logout(&visit.origin.caller, ours.access, ours.refresh).await
        {
            tracing::warn!(%error, "a session that was left behind could not be ended");
        }
    }

    fn confirm(&self, kept: kept_form::KeptForm) -> Answer {
        let target = kept.target.clone();
        let page = KeptForm {
            look: &self.look,
            instead: target.split('?').next().unwrap_or("/"),
            target: &target,
            fields: kept.fields(),
        };
        let mut response = self.policy.page(StatusCode::OK, &page)?;
        // The form goes to a site behind us, which is protected by `Origin` where a browser knows no `Sec-Fetch-Site`; `no-referrer` would make it `null`.
        let policy = HeaderValue::from_static("same-origin");
        response.headers_mut().insert(http::header::REFERRER_POLICY, policy);
        Ok(response)
    }
}

/// The cookie by which somebody who came in by a provider leaves by it, and nobody else.
fn came_by(visit: &Visit<'_>, signed_in: &SignedIn, provider: Option<&str>) -> Option<HeaderValue> {
    match provider {
        Some(id) => cookie::set(CAME_BY, id, unused_life(&signed_in.session)),
        None => cookie::named(&visit.head.headers, CAME_BY).and_then(|_| cookie::clear(CAME_BY)),
    }
}

/// What a problem says in headers, a page says too.
pub(super) fn carry_over(problem: &Problem, response: &mut http::Response<crate::wire::Body>) {
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = problem.challenge() {
        headers.insert(http::header::WWW_AUTHENTICATE, challenge);
    }
}

/// The form was written for another browser, or so long ago that its cookie is gone.
pub(super) fn stale() -> Complaint {
    Complaint {
        title: "This page was open for too long.".to_owned(),
        detail: "Nothing was sent. Please try once more.".to_owned(),
        reference: String::new(),
    }
}
