//! Passkeys on the pages: the script gets an answer from the browser, and puts it into the form that the page has anyway.

use super::failure::complaint;
use super::sign_in::{Draft, carry_over};
use super::view::Complaint;
use super::view::passkeys::PasskeyLine;
use super::visit::Visit;
use super::{Answer, Pages};
use crate::auth::AuthError;
use crate::auth::passkey::Used;
use crate::model::factor::{FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::portal::form::Form;
use crate::portal::refusal;
use crate::portal::shape::passkeys::{Answered, RequestOptions};

/// The field that an answer travels in.
pub(super) const FIELD: &str = "passkey";

/// What a passkey answered, if the form has it.
pub(super) fn answered(form: &Form) -> Option<Result<Used, AuthError>> {
    let text = Some(form.get(FIELD)).filter(|text| !text.is_empty())?;
    let read = serde_json::from_str::<Answered>(text).map(Answered::used);
    Some(read.map_err(|_| AuthError::InvalidCredentials))
}

impl Pages {
    /// Signs in with a passkey alone.
    pub(super) async fn enter_with_passkey(
        &self,
        visit: &mut Visit<'_>,
        answered: Result<Used, AuthError>,
        mut draft: Draft<'_>,
    ) -> Answer {
        let entered = match answered {
            Ok(used) => {
                let browser = Some(visit.browser.name());
                self.auth.enter_with_passkey(&visit.origin.caller, browser, &used).await
            }
            Err(unreadable) => Err(unreadable),
        };
        let error = match entered {
            Ok(signed_in) => return self.signed_in(visit, &signed_in, &draft).await,
            Err(error) => error,
        };
        let nobodys = matches!(error, AuthError::InvalidCredentials);
        let problem = refusal::problem(error);
        draft.error = Some(match nobodys {
            true => unknown(),
            false => complaint(&problem, &visit.origin.caller.request_id),
        });
        let mut response = self.sign_in_form(visit, Self::status_of(&problem), draft)?;
        carry_over(&problem, &mut response);
        Ok(response)
    }

    /// What a second step's page asks a passkey, where one is a way to go on. Without it the other ways stay.
    pub(super) async fn asked_of_passkey(
        &self,
        visit: &Visit<'_>,
        token: &str,
        methods: &[FactorKind],
    ) -> Option<String> {
        if !methods.contains(&FactorKind::Passkey) {
            return None;
        }
        let question = self
            .auth
            .ask_for_second_passkey(&visit.origin.caller, token)
            .await
            .ok()?;
        serde_json::to_string(&RequestOptions::of(&question)).ok()
    }

    /// The person's passkeys; `None` where there are none to be had.
    pub(super) async fn passkeys_of(&self, who: &Identity) -> Result<Option<Vec<PasskeyLine>>, AuthError> {
        if !self.passkeys {
            return Ok(None);
        }
        let passkeys = self.auth.passkeys_of(who).await?;
        Ok(Some(passkeys.into_iter().map(PasskeyLine::from).collect()))
    }

    pub(super) async fn rename_passkey(&self, visit: &Visit<'_>, who: &Identity, form: &Form) -> Result<(), AuthError> {
        let name = form.get("name");
        self.auth
            .rename_passkey(&visit.origin.caller, who, named(form)?, name)
            .await
    }

    pub(super) async fn remove_passkey(&self, visit: &Visit<'_>, who: &Identity, form: &Form) -> Result<(), AuthError> {
        self.auth.remove_passkey(&visit.origin.caller, who, named(form)?).await
    }
}

/// The same words whatever the reason.
fn unknown() -> Complaint {
    Complaint {
        title: "This passkey signs nobody in here.".to_owned(),
        detail: "Use another, or your password.".to_owned(),
        reference: String::new(),
    }
}

fn named(form: &Form) -> Result<FactorId, AuthError> {
    form.get(FIELD).parse().map(FactorId).map_err(|_| AuthError::NotFound)
}
