//! The page about how one signs in: what there is beside the password, adding it, taking it away.
//!
//! Whoever changes something here has signed in recently, or is taken through that first. A secret or a code is shown in the answer to the form that made
//! it, and never again.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{carry_over, stale};
use super::sign_out::PURPOSE;
use super::view::factors::{RecoveryCodes, Security, TotpSetup};
use super::view::{Complaint, Moment};
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::auth::AuthError;
use crate::auth::totp::Enrolment;
use crate::config::{RevocationMode, RouteKind};
use crate::model::factor::{Factor, FactorKind};
use crate::model::identity::Identity;
use crate::portal::form::Form;
use crate::portal::return_to::ReturnTo;
use crate::portal::{api, qr, refusal};
use crate::wire::navigation;
use crate::wire::reply::{Code, Problem};

/// Where it is, under `base_path`.
const HERE: &str = "/security";

/// What was done, by the word in the query.
const DONE: [(&str, &str); 4] = [
    ("totp_removed", "The authenticator app was removed."),
    (
        "passkey_added",
        "The passkey was added: from now on you can sign in with it.",
    ),
    ("passkey_renamed", "The passkey was renamed."),
    (
        "passkey_removed",
        "The passkey was removed: nobody signs in with it any more.",
    ),
];

impl Pages {
    /// The page; without a session, on to sign in.
    pub(super) async fn show_security(&self, visit: &mut Visit<'_>) -> Answer {
        let Some(who) = self.who(visit, RevocationMode::Cached).await? else {
            return self.sign_in_for_security(visit);
        };
        let place = self.place(visit, &visit.query("return_to"));
        self.security_page(visit, &who, StatusCode::OK, None, place.as_ref())
            .await
    }

    /// Does what a form of the page asks for.
    pub(super) async fn change_security(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let Some(who) = self.who(visit, RevocationMode::Strict).await? else {
            return self.sign_in_for_security(visit);
        };
        let place = self.place(visit, form.get("return_to"));
        let genuine = self
            .form_tokens
            .is_genuine(&visit.browser, PURPOSE, form.get("form_token"));
        if !visit.known || !genuine {
            return self
                .security_page(visit, &who, StatusCode::FORBIDDEN, Some(stale()), place.as_ref())
                .await;
        }
        match self.act_on_security(visit, &who, form, place.as_ref()).await {
            Ok(answer) => answer,
            Err(AuthError::NotRecent { needs_two }) => self.to_recent(needs_two, HERE),
            Err(AuthError::SessionOver { .. }) => {
                visit.cookies = api::cleared();
                self.sign_in_for_security(visit)
            }
            Err(error) => {
                let problem = refusal::problem(error);
                let error = Some(complaint(&problem, &visit.origin.caller.request_id));
                let status = Self::status_of(&problem);
                let mut response = self.security_page(visit, &who, status, error, place.as_ref()).await?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    async fn act_on_security(
        &self,
        visit: &mut Visit<'_>,
        who: &Identity,
        form: &Form,
        place: Option<&ReturnTo>,
    ) -> Result<Answer, AuthError> {
        let caller = &visit.origin.caller;
        match form.get("action") {
            "begin_totp" => {
                let enrolment = self.auth.begin_totp(who, &self.look.name).await?;
                Ok(self.totp_setup(visit, StatusCode::OK, &enrolment, None, place))
            }
            "confirm_totp" => match self.auth.confirm_totp(caller, who, form.get("totp")).await {
                Ok(enrolled) => {
                    let raised = enrolled.raised.as_ref();
                    visit.cookies.extend(raised.and_then(api::raised_cookie));
                    Ok(self.show_codes(&enrolled.recovery_codes, true, place))
                }
                Err(AuthError::WrongCode) => self.totp_setup_again(visit, who, place).await,
                Err(error) => Err(error),
            },
            "remove_totp" => {
                self.auth.remove_totp(caller, who).await?;
                Ok(self.done_here("?done=totp_removed"))
            }
            "rename_passkey" => {
                self.rename_passkey(visit, who, form).await?;
                Ok(self.done_here("?done=passkey_renamed"))
            }
            "remove_passkey" => {
                self.remove_passkey(visit, who, form).await?;
                Ok(self.done_here("?done=passkey_removed"))
            }
            // What a script asks for that was told that its person has not.
            "recent" => {
                self.auth.must_be_recent(who).await?;
                Ok(self.done_here(""))
            }
            "renew_codes" => {
                let codes = self.auth.renew_recovery_codes(caller, who).await?;
                Ok(self.show_codes(&codes, false, place))
            }
            _ => Ok(Err(Problem::new(
                Code::BadRequest,
                "The form asks for nothing that is known here.",
            ))),
        }
    }

    fn done_here(&self, query: &str) -> Answer {
        reply::see_other(&format!("{}{HERE}{query}", self.look.base))
    }

    /// A wrong first code: the same secret once more.
    async fn totp_setup_again(
        &self,
        visit: &mut Visit<'_>,
        who: &Identity,
        place: Option<&ReturnTo>,
    ) -> Result<Answer, AuthError> {
        let enrolment = self.auth.waiting_totp(who, &self.look.name).await?;
        let problem = refusal::problem(AuthError::WrongCode);
        let error = complaint(&problem, &visit.origin.caller.request_id);
        Ok(self.totp_setup(visit, Self::status_of(&problem), &enrolment, Some(error), place))
    }

    fn totp_setup(
        &self,
        visit: &mut Visit<'_>,
        status: StatusCode,
        enrolment: &Enrolment,
        error: Option<Complaint>,
        place: Option<&ReturnTo>,
    ) -> Answer {
        visit.name_browser();
        let page = TotpSetup {
            look: &self.look,
            error,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            return_to: place.map(ReturnTo::as_str),
            kept: None,
            qr: qr::svg(&enrolment.uri)?,
            secret: in_groups(&enrolment.secret),
        };
        self.policy.page(status, &page)
    }

    fn show_codes(&self, codes: &[String], added: bool, place: Option<&ReturnTo>) -> Answer {
        let page = RecoveryCodes {
            look: &self.look,
            codes,
            added,
            next: place.map(ReturnTo::as_str),
        };
        self.policy.page(StatusCode::OK, &page)
    }

    async fn security_page(
        &self,
        visit: &mut Visit<'_>,
        who: &Identity,
        status: StatusCode,
        error: Option<Complaint>,
        place: Option<&ReturnTo>,
    ) -> Answer {
        let factors = self.auth.factors(who).await.map_err(refusal::problem)?;
        let app = factors.iter().find(|factor| factor.kind == FactorKind::Totp);
        let word = visit.query("done");
        visit.name_browser();
        let page = Security {
            look: &self.look,
            error,
            done: DONE.iter().find(|(known, _)| *known == word).map(|(_, words)| *words),
            needed: visit.query("need") == "mfa" && app.is_none(),
            app: app.map(|app| Moment::from(app.created_at)),
            app_used: app.and_then(|app| app.used_at).map(Moment::from),
            passkeys: self.passkeys_of(who).await.map_err(refusal::problem)?,
            codes_left: factors.iter().filter(|factor| is_unused_code(factor)).count(),
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            return_to: place.map(ReturnTo::as_str),
            kept: None,
        };
        self.policy.page(status, &page)
    }

    fn sign_in_for_security(&self, visit: &Visit<'_>) -> Answer {
        if !navigation::is_persons(&visit.head.method, &visit.head.headers, RouteKind::Auto) {
            return Err(Problem::new(Code::NoToken, "Sign in first."));
        }
        reply::see_other(&self.sign_in_path(Some(&format!("{}{HERE}", self.look.base))))
    }
}

fn is_unused_code(factor: &Factor) -> bool {
    factor.kind == FactorKind::Recovery && factor.counter == 0
}

/// Four letters at a time, as one types them.
fn in_groups(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}
