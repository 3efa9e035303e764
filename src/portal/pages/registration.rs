//! The registration page.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{Draft, PURPOSE, carry_over, only_shows, stale};
use super::view::Register;
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::auth::register::Registered;
use crate::model::credential::Password;
use crate::portal::form::Form;
use crate::portal::refusal;
use crate::portal::return_to::ReturnTo;
use crate::wire::reply::{Code, Problem};

impl Pages {
    /// The form.
    pub(super) fn show_registration(&self, visit: &mut Visit<'_>) -> Answer {
        let place = self.place(visit, &visit.query("return_to"));
        let draft = Draft {
            place: place.as_ref(),
            ..Draft::default()
        };
        self.empty_registration(visit, draft)
    }

    /// Makes the account and signs in to it; where letters can be sent, first its owner is asked.
    pub(super) async fn register(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
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
            return self.registration_form(visit, StatusCode::FORBIDDEN, draft, None);
        }
        if only_shows(form) {
            return self.empty_registration(visit, draft);
        }
        let (caller, email, password) = (&visit.origin.caller, draft.email, form.get("password"));
        let password = || Password::new(password.to_owned());
        match self.auth.register(caller, email, password()).await {
            Ok(Registered::Made(_)) => {}
            Ok(Registered::Asked) => return reply::see_other(&format!("{}/confirm?done=asked", self.look.base)),
            Err(error) => return self.refuse_registration(visit, refusal::problem(error), draft),
        }
        match self.auth.login(caller, email, password()).await {
            Ok(entered) => self.enter(visit, entered, draft).await,
            // The account is made; only the sign-in could not be done at once (limits, a busy moment).
            Err(error) => self.refuse_sign_in(visit, refusal::problem(error), draft),
        }
    }

    fn empty_registration(&self, visit: &mut Visit<'_>, draft: Draft<'_>) -> Answer {
        if !self.registration {
            let words = "Accounts are made by whoever runs this site.";
            return Err(Problem::new(Code::RegistrationClosed, words));
        }
        self.registration_form(visit, StatusCode::OK, draft, None)
    }

    fn refuse_registration(&self, visit: &mut Visit<'_>, problem: Problem, mut draft: Draft<'_>) -> Answer {
        draft.error = Some(complaint(&problem, &visit.origin.caller.request_id));
        let status = Self::status_of(&problem);
        let mut response = self.registration_form(visit, status, draft, Some(problem.code))?;
        carry_over(&problem, &mut response);
        Ok(response)
    }

    fn registration_form(
        &self,
        visit: &mut Visit<'_>,
        status: StatusCode,
        draft: Draft<'_>,
        code: Option<Code>,
    ) -> Answer {
        visit.name_browser();
        let page = Register {
            look: &self.look,
            error: draft.error,
            wrong_email: matches!(code, Some(Code::EmailTaken | Code::InvalidEmail)),
            wrong_password: code == Some(Code::WeakPassword),
            email: draft.email,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            return_to: draft.place.map(ReturnTo::as_str),
            kept: draft.kept,
            min_length: self.password_length.0,
            max_length: self.password_length.1,
            choices: self.choices(draft.again),
        };
        self.policy.page(status, &page)
    }
}
