//! A forgotten password: a letter with a link, and the new password that the link sets.
//!
//! Asking is answered alike for every address, after the same steps. A link is good for the account as it was when it was asked for: once the password is
//! another, whoever changed it, the link is over. A new password ends every session and every token, leaves second factors as they are, and signs nobody
//! in: who reads somebody's letters is not yet them where more is asked for.

use super::links::{Errand, Holder, Place, RESET_WITHIN};
use super::notice::Notice;
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::factor::FactorKind;
use crate::model::user::{Confirmation, Email};

impl Auth {
    /// Sends a link that sets a new password, if the address has an account.
    pub async fn forgot(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let outcome = self.try_forgot(caller, email).await;
        self.paced(outcome).await
    }

    async fn try_forgot(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let mail = self.mail()?;
        let key = AccountKey::of_typed(email);
        let device = self.known_device(caller, &key);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Letter, device).await {
            self.record("password.forgot_limited", Some(caller), None, None).await;
            return Err(refusal);
        }
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        let found = self.stores.accounts.find_by_email(&email).await?;
        let account = found.filter(|account| account.user.disabled_at.is_none());
        let may_write = self.throttle.may_write(caller, &key, device).await;
        // For nobody it is written as for somebody, to the last octet: how long it takes depends on how much is sealed and stored.
        let (holder, says) = match &account {
            Some(account) if may_write => (Holder::of(account), Says::Reset),
            _ => (Holder::nobody(&email, self.clock.now())?, Says::Nothing),
        };
        let token = self.links.issue(Errand::Reset(holder), RESET_WITHIN).await?;
        let facts = Facts {
            path: &format!("/reset?token={token}"),
            good_for: Some(RESET_WITHIN),
            origin: Some(caller.ip),
        };
        mail.write(&email, says, facts).await?;
        let whose = account.map(|account| account.user.id);
        self.record("password.forgotten", Some(caller), whose, None).await;
        Ok(())
    }

    /// Whether a link that sets a password is still good.
    pub async fn may_reset(&self, token: &str) -> Result<(), AuthError> {
        self.held_by_link(token).await.map(|_| ())
    }

    /// Sets the password of the account that a link is for. That its owner reads the letters of its address is known from then on.
    pub async fn reset_password(&self, caller: &Caller, token: &str, new: Password) -> Result<(), AuthError> {
        let outcome = self.try_reset(caller, token, new).await;
        self.paced(outcome).await
    }

    async fn try_reset(&self, caller: &Caller, token: &str, new: Password) -> Result<(), AuthError> {
        let key = AccountKey::of_typed(token);
        self.throttle.admit(caller, &key, Door::Link, None).await?;
        let account = self.held_by_link(token).await?;
        self.strength.check(&new, &account.user.email)?;
        // Asked before the link is spent.
        self.stores.sessions.ping().await?;
        let hash = self.hasher.hash(new).await?;
        self.links.redeem(Place::Reset, token).await?;
        self.untie_squatters(caller, &account).await?;

        let (user, moment) = (account.user.id, self.clock.now());
        let accounts = &self.stores.accounts;
        let changed = accounts.change_password(user, &account.password, &hash).await?;
        changed.ok_or(AuthError::LinkOver)?;
        accounts.confirm(user, &account.user.email).await?;
        self.record("password.reset", Some(caller), Some(user), None).await;
        self.notify(Some(caller), &account.user.email, Notice::PasswordChanged)
            .await;
        self.end_sessions(user, moment).await?;
        // Once more: somebody who was signed in until now may have added one in the meantime. Nobody can any more (`keep_if_live`).
        self.untie_squatters(caller, &account).await
    }

    /// Until somebody has read a letter to the address, whoever made the account may be another than its owner, and a provider's word for that other, or a
    /// passkey of theirs, would open it beside the new password. As second factors they stay: so they let nobody past the owner unseen, and a letter must
    /// not take them away.
    async fn untie_squatters(&self, caller: &Caller, account: &Account) -> Result<(), AuthError> {
        if account.user.confirmation == Confirmation::Confirmed {
            return Ok(());
        }
        let factors = &self.stores.factors;
        for factor in factors.of_user(account.user.id).await? {
            match factor.kind {
                FactorKind::Provider if factor.link.is_some() => {
                    factors.detach(account.user.id, factor.id).await?;
                }
                FactorKind::Passkey if factor.link.is_some() => self.make_second_only(caller, &factor).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn held_by_link(&self, token: &str) -> Result<Account, AuthError> {
        let Errand::Reset(holder) = self.links.read(Place::Reset, token).await? else {
            return Err(AuthError::LinkOver);
        };
        let account = self.stores.accounts.find(holder.user()).await?;
        account.filter(|account| holder.is(account)).ok_or(AuthError::LinkOver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller, password};
    use crate::model::clock::Clock as _;
    use crate::model::identity::Identity;
    use crate::model::vouched::Vouched;

    /// What an answer costs: questions to the store of links and counters, letters, hashes.
    async fn cost(world: &World, auth: &Auth, ask: impl Future<Output = Result<(), AuthError>>) -> (u64, u64, u64) {
        let before = (world.ephemeral.calls(), world.stores.outbox.waiting().await.unwrap());
        let hashed = auth.hasher.hashed();
        ask.await.unwrap();
        let after = (world.ephemeral.calls(), world.stores.outbox.waiting().await.unwrap());
        (after.0 - before.0, after.1 - before.1, auth.hasher.hashed() - hashed)
    }

    #[tokio::test]
    async fn known_and_unknown_addresses_cost_the_same_steps() {
        let world = World::new().await;
        let (auth, caller) = (world.with_letters(), caller());
        world.register().await;
        let (known, unknown) = ("ada@example.com", "ben@example.com");
        let register = async |email| auth.register(&caller, email, password()).await.map(|_| ());
        let first = cost(&world, &auth, register(known)).await;
        assert_eq!(first, cost(&world, &auth, register(unknown)).await);
        assert_eq!((first.1, first.2), (1, 1), "one letter, one hash");
        let forgotten = cost(&world, &auth, auth.forgot(&caller, known)).await;
        assert_eq!(
            forgotten,
            cost(&world, &auth, auth.forgot(&caller, "nobody@example.com")).await
        );
        assert_eq!((forgotten.1, forgotten.2), (1, 0));
        // Of the unknown one a registration waits by now.
        let resent = cost(&world, &auth, auth.resend(&caller, unknown)).await;
        assert_eq!(resent.1, 1);
        for other in [known, "nobody@example.com"] {
            assert_eq!(
                resent,
                cost(&world, &auth, auth.resend(&caller, other)).await,
                "{other}"
            );
        }
        assert_eq!(
            world.auth.users().await.unwrap().len(),
            1,
            "nothing stands in the accounts store yet"
        );
    }

    /// Somebody at a provider.
    fn eve(world: &World) -> Vouched {
        Vouched {
            provider: "corp".to_owned(),
            issuer: "https://id.example".to_owned(),
            subject: "eve".to_owned(),
            email: None,
            roles: None,
            auth_time: world.clock.now(),
            amr: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_provider_tied_before_the_address_was_confirmed_opens_nothing_after_a_reset_and_one_tied_after_does() {
        let world = World::new().await;
        // Somebody registered an address that is not theirs, and tied the account to themselves.
        let squatter = world.signed_in().await.access.identity;
        let vouched = eve(&world);
        let auth = &world.auth;
        auth.tie(&caller(), &squatter, &vouched).await.unwrap();
        world.reset(squatter.user).await;
        let refused = auth.sign_in_vouched(&caller(), &vouched, true).await;
        assert!(refused.is_err(), "the squatter is still in");

        let owner = world.again().await.access.identity;
        auth.tie(&caller(), &owner, &vouched).await.unwrap();
        world.reset(squatter.user).await;
        auth.sign_in_vouched(&caller(), &vouched, true)
            .await
            .map(|_| ())
            .unwrap();
    }

    /// They are not let in, and nothing of theirs stands in the account.
    async fn is_out(world: &World, squatter: &Identity, vouched: &Vouched) {
        let refused = world.auth.sign_in_vouched(&caller(), vouched, true).await;
        assert!(refused.is_err(), "the squatter is still in");
        assert_eq!(world.stores.factors.of_user(squatter.user).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_squatter_who_ties_a_provider_after_the_first_look_of_a_reset_is_out_all_the_same() {
        let world = World::new().await;
        let squatter = world.signed_in().await.access.identity;
        let vouched = eve(&world);
        let tie = async { world.auth.tie(&caller(), &squatter, &vouched).await.unwrap() };
        world.reset_while(squatter.user, tie).await;
        is_out(&world, &squatter, &vouched).await;
    }

    #[tokio::test]
    async fn a_squatter_whose_tie_was_on_its_way_during_a_reset_is_out_all_the_same() {
        let world = World::new().await;
        let squatter = world.signed_in().await.access.identity;
        let (vouched, caller) = (eve(&world), caller());
        let tie = world.auth.tie(&caller, &squatter, &vouched);
        let outcome = world.reset_during(squatter.user, tie).await;
        assert!(matches!(outcome, Err(AuthError::SessionOver { .. })), "{outcome:?}");
        is_out(&world, &squatter, &vouched).await;
    }

    #[tokio::test]
    async fn a_link_is_not_spent_while_a_store_is_away() {
        let world = World::new().await;
        let token = world.reset_token(world.register().await.id).await;
        world.sessions.set_down(true);
        let failed = world.auth.reset_password(&caller(), &token, password()).await;
        assert!(matches!(failed, Err(AuthError::Store(_))), "{failed:?}");
        world.sessions.set_down(false);
        world.auth.reset_password(&caller(), &token, password()).await.unwrap();
    }
}
