//! Signing out, and the page after it.

use http::{HeaderName, StatusCode};

use super::view::SignedOut;
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::config::RevocationMode;
use crate::portal::form::Form;
use crate::portal::{api, refusal};
use crate::wire::cookie;

/// What the forms of somebody who is signed in are for.
pub(super) const PURPOSE: &str = "session";

impl Pages {
    /// Asks somebody who is signed in; tells everybody else that they are not.
    pub(super) async fn show_sign_out(&self, visit: &mut Visit<'_>) -> Answer {
        let signed_in = matches!(self.who(visit, RevocationMode::Cached).await, Ok(Some(_)));
        let (heading, detail) = match visit.query("done").as_str() {
            _ if signed_in => ("Sign out", ""),
            "everywhere" => (
                "You are signed out everywhere",
                "All your sessions, on all devices, have ended.",
            ),
            "deleted" => ("Your account is deleted", "The account and all its sessions are gone."),
            _ => ("You are signed out", "Nothing of your session is left in this browser."),
        };
        if signed_in {
            visit.name_browser();
        }
        let page = SignedOut {
            look: &self.look,
            heading,
            detail,
            form_token: signed_in.then(|| self.form_tokens.token(&visit.browser, PURPOSE)),
        };
        self.policy.page(StatusCode::OK, &page)
    }

    /// Signs out. A form of a site behind us, on the same origin but without our token, is asked to confirm.
    pub(super) async fn sign_out(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let genuine = visit.known
            && self
                .form_tokens
                .is_genuine(&visit.browser, PURPOSE, form.get("form_token"));
        if !genuine {
            return reply::see_other(&format!("{}/logout", self.look.base));
        }
        let ours = cookie::find(&visit.head.headers).unwrap_or_default();
        let ended = self.auth.logout(&visit.origin.caller, ours.access, ours.refresh).await;
        visit.cookies = api::cleared();
        match ended {
            Ok(()) => match self.leave_provider(visit).await {
                Some(answer) => answer,
                None => self.forget(""),
            },
            Err(error) => {
                let mut problem = refusal::problem(error);
                problem.detail =
                    "This browser has forgotten you, but the session may live on until our store answers. \
                                  Sign in and out again in a few minutes to be sure."
                        .to_owned();
                Err(problem)
            }
        }
    }

    /// On to the page after it; the browser drops what it stored of this origin, so that "back" shows nothing private.
    pub(super) fn forget(&self, done: &str) -> Answer {
        let query = if done.is_empty() {
            String::new()
        } else {
            format!("?done={done}")
        };
        let mut response = reply::see_other(&format!("{}/logout{query}", self.look.base))?;
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("clear-site-data"), api::FORGET);
        Ok(response)
    }
}
