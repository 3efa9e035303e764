//! The page behind the link that confirms an address, which asks for the password (`auth::confirm` says why); and the one to wait at until it comes.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{Draft, carry_over, stale};
use super::view::{Complaint, Confirm, Waiting};
use super::visit::Visit;
use super::{Answer, Pages, recovery, reply};
use crate::auth::AuthError;
use crate::auth::confirm::Confirmed;
use crate::model::credential::Password;
use crate::portal::form::Form;
use crate::portal::refusal;

/// What was done, by the word in the query.
const DONE: [(&str, &str); 2] = [
    (
        "asked",
        "A letter with a link is on its way to your address. Open it to finish.",
    ),
    (
        "sent",
        "If a registration of that address waits, its letter is on its way once more.",
    ),
];

impl Pages {
    /// Asks for the password; or, without a link, what to do while one waits.
    pub(super) fn show_confirm(&self, visit: &mut Visit<'_>) -> Answer {
        let token = visit.query("token");
        if !token.is_empty() {
            return self.confirm_form(visit, StatusCode::OK, &token, None);
        }
        self.must_write_letters()?;
        let word = visit.query("done");
        let done = DONE.iter().find(|(known, _)| *known == word).map(|(_, words)| *words);
        self.waiting_room(visit, StatusCode::OK, done, "", None)
    }

    /// Confirms, or sends the letter once more.
    pub(super) async fn confirm_address(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        if form.get("token").is_empty() {
            return self.send_again(visit, form).await;
        }
        let token = form.get("token");
        if !self.is_ours(visit, form) {
            return self.confirm_form(visit, StatusCode::FORBIDDEN, token, Some(stale()));
        }
        let password = || Password::new(form.get("password").to_owned());
        let caller = &visit.origin.caller;
        match self.auth.confirm(caller, token, password()).await {
            Ok(Confirmed::Moved(_)) => reply::see_other(&format!("{}/account?done=moved", self.look.base)),
            Ok(Confirmed::Account(user)) => {
                let draft = Draft {
                    email: user.email.as_str(),
                    ..Draft::default()
                };
                match self.auth.login(caller, user.email.as_str(), password()).await {
                    Ok(entered) => self.enter(visit, entered, draft).await,
                    // The account is made; only the sign-in could not be done at once (limits, a busy moment).
                    Err(error) => self.refuse_sign_in(visit, refusal::problem(error), draft),
                }
            }
            Err(error @ AuthError::LinkOver) => self.link_refused(visit, error, ("Ask for another link", "/confirm")),
            Err(error) => {
                let problem = refusal::problem(error);
                let error = complaint(&problem, &visit.origin.caller.request_id);
                let mut response = self.confirm_form(visit, Self::status_of(&problem), token, Some(error))?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    async fn send_again(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        self.must_write_letters()?;
        let email = form.get("email");
        if !self.is_ours(visit, form) {
            return self.waiting_room(visit, StatusCode::FORBIDDEN, None, email, Some(stale()));
        }
        match self.auth.resend(&visit.origin.caller, email).await {
            Ok(()) => reply::see_other(&format!("{}/confirm?done=sent", self.look.base)),
            Err(error) => {
                let problem = refusal::problem(error);
                let error = complaint(&problem, &visit.origin.caller.request_id);
                let status = Self::status_of(&problem);
                let mut response = self.waiting_room(visit, status, None, email, Some(error))?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    fn confirm_form(&self, visit: &mut Visit<'_>, status: StatusCode, token: &str, error: Option<Complaint>) -> Answer {
        visit.name_browser();
        let page = Confirm {
            look: &self.look,
            error,
            token,
            form_token: self.form_tokens.token(&visit.browser, recovery::PURPOSE),
        };
        self.policy.page(status, &page)
    }

    fn waiting_room(
        &self,
        visit: &mut Visit<'_>,
        status: StatusCode,
        done: Option<&str>,
        email: &str,
        error: Option<Complaint>,
    ) -> Answer {
        visit.name_browser();
        let page = Waiting {
            look: &self.look,
            error,
            done,
            email,
            form_token: self.form_tokens.token(&visit.browser, recovery::PURPOSE),
        };
        self.policy.page(status, &page)
    }
}
