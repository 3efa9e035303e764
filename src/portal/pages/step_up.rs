//! The pages where somebody who is signed in proves more, or once more, and then goes on.
//!
//! Only what is missing is asked for. A session that says enough already goes straight on with a token that says so too.

use std::time::Duration;

use http::{Response, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::complaint;
use super::sign_in::{Draft, PURPOSE, carry_over};
use super::view::factors::ProveAgain;
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::auth::AuthError;
use crate::auth::factors::RECENT;
use crate::auth::step_up::{Missing, Raised, Wanted};
use crate::config::RevocationMode;
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::portal::form::Form;
use crate::portal::return_to::ReturnTo;
use crate::portal::{api, refusal};
use crate::wire::Body;
use crate::wire::origin::Origin;

/// What stands in `prove` where two factors are wanted.
const TWO: &str = "mfa";
/// What stands there where a recent proof of any kind will do.
const ANY: &str = "again";

impl Pages {
    /// The redirect that takes a person from a proxied page through the missing step.
    pub(in crate::portal) fn to_step_up(
        &self,
        origin: &Origin,
        wanted: &Uri,
        two: bool,
        max_age: Option<Duration>,
    ) -> Option<Response<Body>> {
        let wanted = wanted.path_and_query()?.as_str();
        let place = self.places.parse(wanted, &origin.authority)?;
        reply::see_other(&self.step_up_path(Wanted { two, max_age }, place.as_str())).ok()
    }

    /// The same from a page of ours that changes how somebody signs in.
    pub(super) fn to_recent(&self, two: bool, page: &str) -> Answer {
        let wanted = Wanted {
            two,
            max_age: Some(RECENT),
        };
        reply::see_other(&self.step_up_path(wanted, &format!("{}{page}", self.look.base)))
    }

    fn step_up_path(&self, wanted: Wanted, place: &str) -> String {
        let word = if wanted.two { TWO } else { ANY };
        let age = wanted.max_age.map(|age| format!("&max_age={}", age.as_secs()));
        format!(
            "{}/login?prove={word}{}&return_to={}",
            self.look.base,
            age.unwrap_or_default(),
            utf8_percent_encode(place, NON_ALPHANUMERIC)
        )
    }

    /// What a sign-in page is asked to have proved, if it is.
    pub(super) fn wanted(visit: &Visit<'_>) -> Option<Wanted> {
        let word = visit.query("prove");
        let known = word == TWO || word == ANY;
        known.then(|| Wanted {
            two: word == TWO,
            max_age: visit.query("max_age").parse().ok().map(Duration::from_secs),
        })
    }

    /// Asks for what is missing.
    pub(super) async fn show_step_up(
        &self,
        visit: &mut Visit<'_>,
        who: &Identity,
        wanted: Wanted,
        place: Option<&ReturnTo>,
    ) -> Answer {
        let draft = Draft {
            place,
            ..Draft::default()
        };
        match self.auth.missing(who, wanted).await.map_err(refusal::problem)? {
            Missing::Nothing(raised) => self.raised(visit, &raised, &draft).await,
            Missing::SecondStep(step) => self.begin_second_step(visit, &step, draft).await,
            Missing::Password => self.prove_form(visit, who, StatusCode::OK, draft).await,
            Missing::Factor => reply::see_other(&self.with_return("security?need=mfa", place)),
            Missing::SignIn => reply::see_other(&self.with_return("login?anew=1", place)),
        }
    }

    /// The password once more.
    pub(super) async fn prove_again(&self, visit: &mut Visit<'_>, form: &Form, mut draft: Draft<'_>) -> Answer {
        let Some(who) = self.who(visit, RevocationMode::Strict).await? else {
            return self.sign_in_form(visit, StatusCode::OK, draft);
        };
        let password = Password::new(form.get("password").to_owned());
        match self.auth.prove_again(&visit.origin.caller, &who, password).await {
            Ok(Ok(raised)) => self.raised(visit, &raised, &draft).await,
            Ok(Err(step)) => self.begin_second_step(visit, &step, draft).await,
            Err(AuthError::SessionOver { .. }) => {
                visit.cookies = api::cleared();
                self.sign_in_form(visit, StatusCode::OK, draft)
            }
            Err(error) => {
                let problem = refusal::problem(error);
                draft.error = Some(complaint(&problem, &visit.origin.caller.request_id));
                let mut response = self.prove_form(visit, &who, Self::status_of(&problem), draft).await?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    /// Goes on with a session that says more than before.
    pub(super) async fn raised(&self, visit: &mut Visit<'_>, raised: &Raised, draft: &Draft<'_>) -> Answer {
        visit.cookies.extend(api::raised_cookie(raised));
        self.take_along(visit, draft)
    }

    fn with_return(&self, page: &str, place: Option<&ReturnTo>) -> String {
        let place = place.map(|place| utf8_percent_encode(place.as_str(), NON_ALPHANUMERIC));
        let back = place.map(|place| format!("&return_to={place}"));
        format!("{}/{page}{}", self.look.base, back.unwrap_or_default())
    }

    async fn prove_form(&self, visit: &mut Visit<'_>, who: &Identity, status: StatusCode, draft: Draft<'_>) -> Answer {
        let (user, _) = self.auth.me(who).await.map_err(refusal::problem)?;
        visit.name_browser();
        let page = ProveAgain {
            look: &self.look,
            error: draft.error,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            email: user.email.as_str(),
            return_to: draft.place.map(ReturnTo::as_str),
            kept: draft.kept,
        };
        self.policy.page(status, &page)
    }
}
