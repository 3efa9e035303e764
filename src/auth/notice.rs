//! Telling the owner of an account what happened to it, so that what was not their doing does not stay unseen.
//!
//! A notice changes nothing and holds nothing up: where no mail is configured nobody is told, and a store that does not take the letter is logged.

use super::Auth;
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::caller::Caller;
use crate::model::user::{Email, UserId};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A sign-in from a device that the account has not seen.
    NewDevice,
    /// The password is another one.
    PasswordChanged,
    /// Another address was asked for, or confirmed; for the old one.
    EmailChanged,
    /// A second factor, a passkey or a provider was added or taken away.
    FactorChanged,
    /// Sessions were ended because a refresh token was used twice.
    SessionsEndedByReuse,
}

impl Auth {
    /// Writes to the owner of an account at an address of theirs.
    pub async fn notify(&self, caller: Option<&Caller>, to: &Email, notice: Notice) {
        let Some(mail) = &self.mail else { return };
        let (says, path) = match notice {
            Notice::NewDevice => (Says::NewDevice, "/account"),
            Notice::PasswordChanged => (Says::PasswordChanged, "/forgot"),
            Notice::EmailChanged => (Says::EmailChanged, "/account"),
            Notice::FactorChanged => (Says::FactorChanged, "/account"),
            Notice::SessionsEndedByReuse => (Says::SessionsEnded, "/account"),
        };
        let facts = Facts {
            path,
            good_for: None,
            origin: caller.map(|caller| caller.ip),
        };
        if let Err(error) = mail.write(to, says, facts).await {
            tracing::error!(%error, notice = ?notice, "the owner of an account could not be told what happened to it");
        }
    }

    /// The same for somebody whose address is not at hand.
    pub(super) async fn notify_user(&self, caller: Option<&Caller>, user: UserId, notice: Notice) {
        if self.mail.is_none() {
            return;
        }
        match self.stores.accounts.find(user).await {
            Ok(Some(account)) => self.notify(caller, &account.user.email, notice).await,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, notice = ?notice, "the owner of an account could not be told what happened to it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::auth::world::{World, caller, caller_at, password};

    #[tokio::test]
    async fn the_owner_is_told_of_a_sign_in_from_where_nobody_signed_in_before_and_once() {
        let world = World::new().await;
        let auth = world.with_letters();
        world.register().await;
        let told = async |ip: &str| {
            let before = world.stores.outbox.waiting().await.unwrap();
            let entered = auth.login(&caller_at(ip), "ada@example.com", password()).await;
            entered.map(|_| ()).unwrap();
            world.stores.outbox.waiting().await.unwrap() - before
        };
        assert_eq!(told("192.0.2.1").await, 0, "the account was just made");
        world.clock.advance(Duration::from_secs(2 * 60 * 60));
        assert_eq!(told("192.0.2.1").await, 0, "they were here before");
        assert_eq!(told("198.51.100.7").await, 1);
        assert_eq!(told("198.51.100.7").await, 0);
    }

    #[tokio::test]
    async fn the_owner_is_told_of_another_factor_where_letters_are_sent() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        world.auth.factor_changed(&caller(), &who, "factor.added").await;
        assert_eq!(world.stores.outbox.waiting().await.unwrap(), 0);
        world
            .with_letters()
            .factor_changed(&caller(), &who, "factor.added")
            .await;
        assert_eq!(world.stores.outbox.waiting().await.unwrap(), 1);
    }
}
