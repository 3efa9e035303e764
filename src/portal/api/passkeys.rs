//! Passkeys over the JSON face: signing in with one, and having them.
//!
//! A challenge belongs to the browser that asked for it. A program that is none has no name to go by; what it is given is good for programs only, and since
//! no page of another site can make a browser speak like one, an answer of somebody else's cannot be slipped in.

use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;

use super::{Answer, Api, Ask, granted, is_browsers, public};
use crate::auth::AuthError;
use crate::model::factor::FactorId;
use crate::portal::csrf::Browser;
use crate::portal::endpoint::RELATED_ORIGINS;
use crate::portal::shape::passkeys::{
    Add, AddedView, CreationOptions, Enter, PasskeyList, RelatedOrigins, Rename, RequestOptions, Step,
};
use crate::wire::reply;

/// How long browsers may keep the list of related origins.
const RELATED_LIFE: Duration = Duration::from_secs(300);

impl Api {
    pub(super) async fn ask_for_passkey(&self, ask: &Ask<'_>) -> Answer {
        let headers = &ask.head.headers;
        let browser = match Browser::of(headers) {
            None if is_browsers(headers) => Some(Browser::named().map_err(AuthError::from)?),
            known => known,
        };
        let name = browser.as_ref().map(Browser::name);
        let question = self.auth.ask_for_passkey(&ask.origin.caller, name).await?;
        let mut response = reply::json(StatusCode::OK, &RequestOptions::of(&question));
        if let Some(line) = browser.and_then(|browser| browser.set_cookie()) {
            response.headers_mut().append(SET_COOKIE, line);
        }
        Ok(response)
    }

    pub(super) async fn enter_with_passkey(&self, ask: &Ask<'_>, body: Enter) -> Answer {
        let browser = Browser::of(&ask.head.headers);
        let name = browser.as_ref().map(Browser::name);
        let used = body.answered.used();
        let signed_in = self.auth.enter_with_passkey(&ask.origin.caller, name, &used).await?;
        granted(&signed_in, body.transport)
    }

    pub(super) async fn ask_for_second_passkey(&self, ask: &Ask<'_>, body: Step) -> Answer {
        let question = self
            .auth
            .ask_for_second_passkey(&ask.origin.caller, &body.mfa_token)
            .await?;
        Ok(reply::json(StatusCode::OK, &RequestOptions::of(&question)))
    }

    pub(super) async fn begin_passkey(&self, ask: &Ask<'_>) -> Answer {
        let who = self.changer(ask).await?;
        let creation = self.auth.begin_passkey(&who).await?;
        Ok(reply::json(StatusCode::OK, &CreationOptions::of(&creation, &self.name)))
    }

    pub(super) async fn add_passkey(&self, ask: &Ask<'_>, body: Add) -> Answer {
        let who = self.changer(ask).await?;
        let (name, made) = body.made();
        let added = self.auth.add_passkey(&ask.origin.caller, &who, &name, &made).await?;
        Ok(reply::json(StatusCode::CREATED, &AddedView::of(&added)))
    }

    pub(super) async fn list_passkeys(&self, ask: &Ask<'_>) -> Answer {
        let who = self.reader(ask).await?;
        let passkeys = self.auth.passkeys_of(&who).await?;
        Ok(reply::json(StatusCode::OK, &PasskeyList::of(&passkeys)))
    }

    pub(super) async fn rename_passkey(&self, ask: &Ask<'_>, id: Option<FactorId>, body: Rename) -> Answer {
        let who = self.changer(ask).await?;
        let id = id.ok_or(AuthError::NotFound)?;
        self.auth
            .rename_passkey(&ask.origin.caller, &who, id, &body.name)
            .await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn remove_passkey(&self, ask: &Ask<'_>, id: Option<FactorId>) -> Answer {
        let who = self.changer(ask).await?;
        let id = id.ok_or(AuthError::NotFound)?;
        self.auth.remove_passkey(&ask.origin.caller, &who, id).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    /// Whether a path is that of the list of origins, and there is one.
    pub(in crate::portal) fn lists_related_origins(&self, path: &str) -> bool {
        path == RELATED_ORIGINS && !self.related_origins.is_empty()
    }

    pub(super) fn related_origins(&self) -> Answer {
        let origins = &self.related_origins;
        let list =
            serde_json::to_vec(&RelatedOrigins { origins }).map_err(|error| AuthError::Internal(error.to_string()))?;
        Ok(public(list.into(), RELATED_LIFE))
    }
}
