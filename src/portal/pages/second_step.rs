//! The second page of a sign-in: a code, after the first factor was right.
//!
//! What stands for the first factor travels in the form, sealed for this browser: another one that gets hold of the page cannot go on with it.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{Draft, carry_over};
use super::view::factors::{SecondStep, Way};
use super::visit::Visit;
use super::{Answer, Pages, passkeys};
use crate::auth::entry::Entered;
use crate::auth::second_step::{Completed, Typed};
use crate::auth::{self, AuthError};
use crate::model::factor::FactorKind;
use crate::portal::form::Form;
use crate::portal::refusal;
use crate::portal::return_to::ReturnTo;

impl Pages {
    /// Whatever the first factor was: in, or on to the second.
    pub(super) async fn enter(&self, visit: &mut Visit<'_>, entered: Entered, draft: Draft<'_>) -> Answer {
        match entered {
            Entered::SignedIn(signed_in) => self.signed_in(visit, &signed_in, &draft).await,
            Entered::SecondStep(step) => self.begin_second_step(visit, &step, draft).await,
        }
    }

    /// The form, for the first time.
    pub(super) async fn begin_second_step(
        &self,
        visit: &mut Visit<'_>,
        step: &auth::second_step::SecondStep,
        draft: Draft<'_>,
    ) -> Answer {
        let ways = ways(&step.methods);
        let asked = self.asked_of_passkey(visit, &step.token, &step.methods).await;
        self.second_step_form(visit, StatusCode::OK, &step.token, asked, &ways, draft)
    }

    /// Takes the second step, or shows its form for another way.
    pub(super) async fn second_step(&self, visit: &mut Visit<'_>, form: &Form, draft: Draft<'_>) -> Answer {
        let Some(token) = self.opened_step(visit, form.get("step")) else {
            return self.refuse_sign_in(visit, refusal::problem(AuthError::StepOver), draft);
        };
        let answered = passkeys::answered(form).and_then(Result::ok);
        let typed = |way: Way| match (&answered, way) {
            (Some(used), _) => Typed::Passkey(used),
            (None, Way::Totp) => Typed::Totp(form.get("totp")),
            (None, Way::Recovery) => Typed::Recovery(form.get("recovery")),
        };
        let way = match Way::of_name(form.get("show")) {
            Some(way) => Err(way),
            None if form.get("recovery").is_empty() => Ok(Way::Totp),
            None => Ok(Way::Recovery),
        };
        let (way, error) = match way {
            Err(way) => (way, None),
            Ok(way) => {
                let taken = self.auth.take_second_step(&visit.origin.caller, &token, typed(way));
                match taken.await {
                    Ok(Completed::SignedIn(signed_in)) => return self.signed_in(visit, &signed_in, &draft).await,
                    Ok(Completed::Raised(raised)) => return self.raised(visit, &raised, &draft).await,
                    Err(error) => (way, Some(error)),
                }
            }
        };
        self.second_step_again(visit, &token, way, error, draft).await
    }

    /// The form once more, with what was wrong; or the first page, when the step is over.
    async fn second_step_again(
        &self,
        visit: &mut Visit<'_>,
        token: &str,
        way: Way,
        error: Option<AuthError>,
        mut draft: Draft<'_>,
    ) -> Answer {
        let problem = error.map(refusal::problem);
        let (mut ways, asked) = match self.auth.second_step_methods(token).await {
            Ok(methods) => (ways(&methods), self.asked_of_passkey(visit, token, &methods).await),
            Err(over) => {
                let problem = problem.unwrap_or_else(|| refusal::problem(over));
                return self.refuse_sign_in(visit, problem, draft);
            }
        };
        ways.sort_by_key(|known| *known != way);
        let Some(problem) = problem else {
            return self.second_step_form(visit, StatusCode::OK, token, asked, &ways, draft);
        };
        draft.error = Some(complaint(&problem, &visit.origin.caller.request_id));
        let status = Self::status_of(&problem);
        let mut response = self.second_step_form(visit, status, token, asked, &ways, draft)?;
        carry_over(&problem, &mut response);
        Ok(response)
    }

    fn second_step_form(
        &self,
        visit: &mut Visit<'_>,
        status: StatusCode,
        token: &str,
        asked: Option<String>,
        ways: &[Way],
        draft: Draft<'_>,
    ) -> Answer {
        let sealed = self.steps.seal(visit.browser.as_bytes(), token.as_bytes());
        visit.name_browser();
        let (way, others) = ways
            .split_first()
            .map_or((Way::Totp, &[][..]), |(way, others)| (*way, others));
        let page = SecondStep {
            look: &self.look,
            error: draft.error,
            form_token: self.form_tokens.token(&visit.browser, super::sign_in::PURPOSE),
            step: sealed.unwrap_or_default(),
            email: draft.email,
            return_to: draft.place.map(ReturnTo::as_str),
            kept: draft.kept,
            asked,
            way,
            others: others.to_vec(),
        };
        self.policy.page(status, &page)
    }

    /// The token of the second step that this browser brings.
    fn opened_step(&self, visit: &Visit<'_>, text: &str) -> Option<String> {
        let opened = self.steps.open(visit.browser.as_bytes(), text)?;
        String::from_utf8(opened).ok()
    }
}

/// Those that are typed in, in the order they are offered.
fn ways(methods: &[FactorKind]) -> Vec<Way> {
    let way = |kind: &FactorKind| match kind {
        FactorKind::Totp => Some(Way::Totp),
        FactorKind::Recovery => Some(Way::Recovery),
        FactorKind::Passkey | FactorKind::Provider => None,
    };
    methods.iter().filter_map(way).collect()
}
