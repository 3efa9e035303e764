//! The registration page.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{Draft, PURPOSE, carry_over, stale};
use super::view::{Complaint, Register};
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::model::credential::Password;
use crate::portal::form::Form;
use crate::portal::refusal;
use crate::portal::return_to::ReturnTo;
use crate::wire::reply::{Code, Problem};

impl Pages {
    /// The form.
    pub(super) fn show_registration(&self, visit: &mut Visit<'_>) -> Answer {
        if !self.registration {
            let words = "Accounts are made by whoever runs this site.";
            return Err(Problem::new(Code::RegistrationClosed, words));
        }
        let place = self.place(visit, &visit.query("return_to"));
        self.registration_form(visit, StatusCode::OK, "", place.as_ref(), None, None)
    }

    /// Makes the account and signs in to it.
    pub(super) async fn register(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let place = self.place(visit, form.get("return_to"));
        let (email, password) = (form.get("email"), form.get("password"));
        if !visit.known {
            return self.circle(visit, None);
        }
        if !self
            .form_tokens
            .is_genuine(&visit.browser, PURPOSE, form.get("form_token"))
        {
            return self.registration_form(visit, StatusCode::FORBIDDEN, email, place.as_ref(), Some(stale()), None);
        }
        let caller = &visit.origin.caller;
        if let Err(error) = self
            .auth
            .register(caller, email, Password::new(password.to_owned()))
            .await
        {
            let problem = refusal::problem(error);
            let error = Some(complaint(&problem, &caller.request_id));
            let status = Self::status_of(&problem);
            let mut response =
                self.registration_form(visit, status, email, place.as_ref(), error, Some(problem.code))?;
            carry_over(&problem, &mut response);
            return Ok(response);
        }
        match self.auth.login(caller, email, Password::new(password.to_owned())).await {
            Ok(signed_in) => {
                let draft = Draft {
                    place: place.as_ref(),
                    ..Draft::default()
                };
                self.signed_in(visit, &signed_in, &draft).await
            }
            // The account is made; only the sign-in could not be done at once (limits, a busy moment).
            Err(_) => reply::see_other(&self.sign_in_path(place.as_ref().map(ReturnTo::as_str))),
        }
    }

    fn registration_form(
        &self,
        visit: &mut Visit<'_>,
        status: StatusCode,
        email: &str,
        place: Option<&ReturnTo>,
        error: Option<Complaint>,
        code: Option<Code>,
    ) -> Answer {
        visit.name_browser();
        let page = Register {
            look: &self.look,
            error,
            wrong_email: matches!(code, Some(Code::EmailTaken | Code::InvalidEmail)),
            wrong_password: code == Some(Code::WeakPassword),
            email,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            return_to: place.map(ReturnTo::as_str),
            min_length: self.password_length.0,
            max_length: self.password_length.1,
        };
        self.policy.page(status, &page)
    }
}
