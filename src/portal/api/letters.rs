//! Endpoints that send letters, and those that use what came in one. Who asks for a letter is told 202, whatever came of it.

use http::StatusCode;

use super::{Answer, Api, Ask};
use crate::auth::confirm::Confirmed;
use crate::model::credential::Password;
use crate::portal::shape::{Asked, ChangeEmail, ConfirmAddress, Registered, ResetPassword, UserView};
use crate::wire::reply;

impl Api {
    pub(super) async fn forgot(&self, ask: &Ask<'_>, body: Asked) -> Answer {
        self.auth.forgot(&ask.origin.caller, &body.email).await?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    pub(super) async fn reset_password(&self, ask: &Ask<'_>, body: ResetPassword) -> Answer {
        let new = Password::new(body.new);
        self.auth.reset_password(&ask.origin.caller, &body.token, new).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn confirm(&self, ask: &Ask<'_>, body: ConfirmAddress) -> Answer {
        let password = Password::new(body.password);
        let confirmed = self.auth.confirm(&ask.origin.caller, &body.token, password).await?;
        let (Confirmed::Account(user) | Confirmed::Moved(user)) = confirmed;
        let user = UserView::of(&user);
        Ok(reply::json(StatusCode::OK, &Registered { user }))
    }

    pub(super) async fn resend(&self, ask: &Ask<'_>, body: Asked) -> Answer {
        self.auth.resend(&ask.origin.caller, &body.email).await?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }

    pub(super) async fn change_email(&self, ask: &Ask<'_>, body: ChangeEmail) -> Answer {
        let who = self.changer(ask).await?;
        let password = Password::new(body.password);
        let caller = &ask.origin.caller;
        self.auth.ask_to_move(caller, &who, &body.email, password).await?;
        Ok(reply::empty(StatusCode::ACCEPTED))
    }
}
