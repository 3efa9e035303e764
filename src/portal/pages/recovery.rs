//! The pages of a forgotten password: where one asks for a letter, and where the link in it leads.
//!
//! Opening a link changes nothing, however often it is done: mail scanners open every link. Only the form behind it uses it up.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{carry_over, stale};
use super::view::{Complaint, Forgot, Message, Reset};
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::auth::AuthError;
use crate::model::credential::Password;
use crate::portal::form::Form;
use crate::portal::refusal;
use crate::wire::reply::Problem;

/// What the forms of people without a session are for, who ask for letters or come from one.
pub(super) const PURPOSE: &str = "letter";

impl Pages {
    /// Asks for the address; or says that a letter is on its way.
    pub(super) fn show_forgot(&self, visit: &mut Visit<'_>) -> Answer {
        self.must_write_letters()?;
        if visit.query("done") != "sent" {
            return self.forgot_form(visit, StatusCode::OK, "", None);
        }
        self.message(
            StatusCode::OK,
            "Look into your mail",
            "If there is an account of that address, a letter with a link is on its way to it. The link is good for 30 minutes.",
            ("Back to sign in", "/login"),
        )
    }

    /// Sends the letter.
    pub(super) async fn forgot(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        self.must_write_letters()?;
        let email = form.get("email");
        if !self.is_ours(visit, form) {
            return self.forgot_form(visit, StatusCode::FORBIDDEN, email, Some(stale()));
        }
        match self.auth.forgot(&visit.origin.caller, email).await {
            Ok(()) => reply::see_other(&format!("{}/forgot?done=sent", self.look.base)),
            Err(error) => {
                let problem = refusal::problem(error);
                let error = complaint(&problem, &visit.origin.caller.request_id);
                let mut response = self.forgot_form(visit, Self::status_of(&problem), email, Some(error))?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    fn forgot_form(&self, visit: &mut Visit<'_>, status: StatusCode, email: &str, error: Option<Complaint>) -> Answer {
        visit.name_browser();
        let page = Forgot {
            look: &self.look,
            error,
            email,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
        };
        self.policy.page(status, &page)
    }

    /// Asks for the new password; or says that it is set.
    pub(super) async fn show_reset(&self, visit: &mut Visit<'_>) -> Answer {
        if visit.query("done") == "set" {
            return self.message(
                StatusCode::OK,
                "Your password is set",
                "All sessions of your account have ended. Sign in with the new password.",
                ("Sign in", "/login"),
            );
        }
        let token = visit.query("token");
        match self.auth.may_reset(&token).await {
            Ok(()) => self.reset_form(visit, StatusCode::OK, &token, None),
            Err(error) => self.link_refused(visit, error, ("Ask for another link", "/forgot")),
        }
    }

    /// Sets it.
    pub(super) async fn reset(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let token = form.get("token");
        if !self.is_ours(visit, form) {
            return self.reset_form(visit, StatusCode::FORBIDDEN, token, Some(stale()));
        }
        let new = Password::new(form.get("new").to_owned());
        match self.auth.reset_password(&visit.origin.caller, token, new).await {
            Ok(()) => reply::see_other(&format!("{}/reset?done=set", self.look.base)),
            Err(error @ AuthError::LinkOver) => self.link_refused(visit, error, ("Ask for another link", "/forgot")),
            Err(error) => {
                let problem = refusal::problem(error);
                let error = complaint(&problem, &visit.origin.caller.request_id);
                let mut response = self.reset_form(visit, Self::status_of(&problem), token, Some(error))?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    fn reset_form(&self, visit: &mut Visit<'_>, status: StatusCode, token: &str, error: Option<Complaint>) -> Answer {
        visit.name_browser();
        let page = Reset {
            look: &self.look,
            error,
            token,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            min_length: self.password_length.0,
            max_length: self.password_length.1,
        };
        self.policy.page(status, &page)
    }

    /// Whether a form was written by us for this browser.
    pub(super) fn is_ours(&self, visit: &Visit<'_>, form: &Form) -> bool {
        let token = form.get("form_token");
        visit.known && self.form_tokens.is_genuine(&visit.browser, PURPOSE, token)
    }

    /// Without letters there is nothing to ask for here.
    pub(super) fn must_write_letters(&self) -> Result<(), Problem> {
        if self.auth.writes_letters() {
            return Ok(());
        }
        Err(refusal::problem(AuthError::NotFound))
    }

    /// A link that leads nowhere; what went wrong otherwise is a page of its own as anywhere.
    pub(super) fn link_refused(&self, visit: &Visit<'_>, error: AuthError, way_on: (&str, &str)) -> Answer {
        let problem = refusal::problem(error);
        if problem.code != crate::wire::reply::Code::InvalidLink {
            return Err(problem);
        }
        // Where no letter can be asked for, whoever made the link makes another.
        let way_on = if self.auth.writes_letters() {
            way_on
        } else {
            ("Sign in", "/login")
        };
        tracing::debug!(request.id = %visit.origin.caller.request_id, "a link was opened that is not good any more");
        let detail = "It was used before, a newer one was sent, or its time is over.";
        self.message(Self::status_of(&problem), problem.code.title(), detail, way_on)
    }

    /// A page that says one thing and where to go on.
    pub(super) fn message(
        &self,
        status: StatusCode,
        heading: &str,
        detail: &str,
        (button, path): (&str, &str),
    ) -> Answer {
        let page = Message {
            look: &self.look,
            heading,
            detail,
            button,
            way_on: format!("{}{path}", self.look.base),
        };
        self.policy.page(status, &page)
    }
}
