//! Accounts of another system are taken over, with the hashes of their passwords.
//!
//! Nothing that is there is ever changed: an address that has an account keeps it, so an import may be run again. A hash of another system is kept as it
//! came until its owner signs in for the first time, which makes one of ours of it. It is judged here, once, by what it would cost to compute: whoever
//! writes the file decides how long a sign-in may take, and must not be able to decide that it takes a minute.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::hashing::Unusable;
use super::{Auth, AuthError};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::secret;
use crate::model::user::{Confirmation, Email, Epoch, InvalidEmail, InvalidRole, Role, User, UserId};
use crate::store::accounts::Added;

/// Writes under way at once: enough to fill a round trip, within what a database's pool takes.
const AT_ONCE: usize = 12;

/// An account as another system wrote it down. `None`, or empty: it says nothing of that.
#[derive(Clone, Default)]
pub struct Newcomer {
    /// The address.
    pub email: String,
    /// What the password must match.
    pub password_hash: String,
    /// What it may do.
    pub roles: Vec<String>,
    /// When it was made: RFC 3339, or seconds since 1970. Otherwise now.
    pub created_at: String,
    /// Whether it may not sign in: a word for yes or no.
    pub disabled: String,
    /// A UUID that it is known by; otherwise it gets one.
    pub id: String,
}

/// Why an account was not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its address.
    #[error(transparent)]
    Email(#[from] InvalidEmail),
    /// One of its roles.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// It has no hash.
    #[error("there is no password_hash")]
    NoHash,
    /// Its hash.
    #[error(transparent)]
    Hash(#[from] Unusable),
    /// Its date.
    #[error("created_at is no moment of the past; write it like 2026-01-31T12:00:00Z, or in seconds since 1970")]
    CreatedAt,
    /// Whether it is disabled.
    #[error("disabled is neither true nor false")]
    Disabled,
    /// Its id.
    #[error("the id is not a UUID")]
    Id,
    /// Its id is another's.
    #[error("the id belongs to another account")]
    IdTaken,
}

/// What came of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is there now.
    Over,
    /// Its address had an account already, which is left as it is.
    Before,
    /// It cannot be taken over.
    Not(Unfit),
}

/// An account that may be taken over.
struct Fit {
    account: Account,
    /// Its id is not a fresh one.
    named: bool,
}

impl Auth {
    /// Takes a batch of accounts over; the outcomes are in its order.
    ///
    /// # Errors
    /// A store failed, or there are no random bytes. What was taken over until then stays.
    pub async fn import(&self, batch: &[Newcomer]) -> Result<Vec<Taken>, AuthError> {
        let mut ids = HashSet::new();
        let mut judged = Vec::with_capacity(batch.len());
        for newcomer in batch {
            judged.push(self.judge(newcomer, &mut ids)?);
        }
        stream::iter(judged)
            .map(|judged| self.take_over(judged))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn take_over(&self, judged: Result<Fit, Unfit>) -> Result<Taken, AuthError> {
        let Fit { account, named } = match judged {
            Ok(fit) => fit,
            Err(unfit) => return Ok(Taken::Not(unfit)),
        };
        let user = &account.user;
        let known = if named {
            self.stores.accounts.find(user.id).await?
        } else {
            None
        };
        match known {
            Some(known) if known.user.email == user.email => return Ok(Taken::Before),
            Some(_) => return Ok(Taken::Not(Unfit::IdTaken)),
            None => {}
        }
        match self.stores.accounts.add(&account).await? {
            Added::EmailTaken => Ok(Taken::Before),
            Added::Added => {
                self.record("account.imported", None, Some(user.id), None).await;
                Ok(Taken::Over)
            }
        }
    }

    /// `ids` are those that the batch has named so far.
    fn judge(&self, newcomer: &Newcomer, ids: &mut HashSet<UserId>) -> Result<Result<Fit, Unfit>, AuthError> {
        let now = self.clock.now();
        let read = || {
            let email: Email = newcomer.email.parse()?;
            let roles: Result<Vec<Role>, InvalidRole> = newcomer.roles.iter().map(|role| role.parse()).collect();
            if newcomer.password_hash.is_empty() {
                return Err(Unfit::NoHash);
            }
            let password = self.hasher.accept(&newcomer.password_hash)?;
            let created_at = moment(&newcomer.created_at, now)?;
            let disabled_at = is_yes(&newcomer.disabled)?.then_some(now);
            Ok((email, roles?, password, created_at, disabled_at, id(&newcomer.id)?))
        };
        let (email, roles, password, created_at, disabled_at, id) = match read() {
            Ok(read) => read,
            Err(unfit) => return Ok(Err(unfit)),
        };
        if id.is_some_and(|id| !ids.insert(id)) {
            return Ok(Err(Unfit::IdTaken));
        }
        let user = User {
            id: match id {
                Some(id) => id,
                None => UserId(secret::uuid_v7(created_at)?),
            },
            email,
            roles,
            created_at,
            disabled_at,
            epoch: Epoch::default(),
            confirmation: Confirmation::Unasked,
        };
        let account = Account { user, password };
        Ok(Ok(Fit {
            account,
            named: id.is_some(),
        }))
    }
}

/// Databases write a space for the `T`, and may leave the minutes of the zone out.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Unfit> {
    if text.is_empty() {
        return Ok(now);
    }
    let seconds = text.parse().ok().map(Timestamp::from_secs);
    let spelled = || {
        let text = text.replacen(' ', "T", 1);
        text.parse().or_else(|_| format!("{text}:00").parse()).ok()
    };
    let moment = seconds.or_else(spelled);
    moment.filter(|moment| *moment <= now).ok_or(Unfit::CreatedAt)
}

fn is_yes(text: &str) -> Result<bool, Unfit> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" => Ok(true),
        "" | "false" | "f" | "no" | "0" => Ok(false),
        _ => Err(Unfit::Disabled),
    }
}

/// The nil UUID stands for nobody.
fn id(text: &str) -> Result<Option<UserId>, Unfit> {
    if text.is_empty() {
        return Ok(None);
    }
    let id: Uuid = text.parse().map_err(|_| Unfit::Id)?;
    Some(UserId(id)).filter(|_| !id.is_nil()).map(Some).ok_or(Unfit::Id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller};
    use crate::model::credential::Password;

    /// passlib's own vector: the password is `password`.
    const HASH: &str = "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ";

    fn newcomer(email: &str) -> Newcomer {
        Newcomer {
            email: email.to_owned(),
            password_hash: HASH.to_owned(),
            ..Newcomer::default()
        }
    }

    async fn signs_in(world: &World, email: &str, password: &str) -> bool {
        let password = Password::new(password.to_owned());
        world.auth.login(&caller(), email, password).await.is_ok()
    }

    async fn hash_of(world: &World, email: &str) -> String {
        let account = world.stores.accounts.find_by_email(&email.parse().unwrap()).await;
        account.unwrap().unwrap().password.as_str().to_owned()
    }

    #[tokio::test]
    async fn a_hash_of_another_system_signs_in_and_is_ours_from_then_on() {
        let world = World::new().await;
        let taken = world.auth.import(&[newcomer("Ada@Example.com")]).await.unwrap();
        assert_eq!(taken, [Taken::Over]);
        assert!(!signs_in(&world, "ada@example.com", "passwort").await);
        assert_eq!(hash_of(&world, "ada@example.com").await, HASH);
        for _ in 0..2 {
            assert!(signs_in(&world, "ada@example.com", "password").await);
            let hash = hash_of(&world, "ada@example.com").await;
            assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        }
    }

    #[tokio::test]
    async fn what_is_there_is_left_alone_however_often_it_is_imported() {
        let world = World::new().await;
        world.register().await;
        let before = hash_of(&world, "ada@example.com").await;
        let batch = [
            newcomer("ada@example.com"),
            newcomer("ben@example.com"),
            newcomer("BEN@example.com"),
        ];
        let first = world.auth.import(&batch).await.unwrap();
        assert_eq!(first, [Taken::Before, Taken::Over, Taken::Before]);
        assert_eq!(world.auth.import(&batch).await.unwrap(), [Taken::Before; 3]);
        assert_eq!(hash_of(&world, "ada@example.com").await, before);
    }

    #[tokio::test]
    async fn an_account_keeps_its_id_roles_age_and_state() {
        let world = World::new().await;
        let id = "01a20390-34ca-4d8c-9d60-4a22acd8c918";
        let ada = Newcomer {
            roles: vec!["staff".to_owned(), "a:b".to_owned()],
            created_at: "2020-01-31 12:00:00.5+00".to_owned(),
            disabled: "True".to_owned(),
            id: id.to_owned(),
            ..newcomer("ada@example.com")
        };
        let ben = Newcomer {
            created_at: "1500000000".to_owned(),
            ..newcomer("ben@example.com")
        };
        assert_eq!(world.auth.import(&[ada, ben]).await.unwrap(), [Taken::Over; 2]);
        let ada = world.auth.find_user("ada@example.com").await.unwrap();
        assert_eq!((ada.id.to_string().as_str(), ada.roles.len()), (id, 2));
        assert_eq!(ada.created_at.to_string(), "2020-01-31T12:00:00.5Z");
        assert!(ada.disabled_at.is_some() && !signs_in(&world, "ada@example.com", "password").await);
        let ben = world.auth.find_user("ben@example.com").await.unwrap();
        let millis = u64::try_from(ben.id.0.as_u128() >> 80).unwrap();
        assert_eq!((ben.created_at.as_secs(), millis), (1_500_000_000, 1_500_000_000_000));
        assert!(signs_in(&world, "ben@example.com", "password").await);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_and_nothing_of_it_is_kept() {
        let world = World::new().await;
        let with = |change: fn(&mut Newcomer)| {
            let mut newcomer = newcomer("ada@example.com");
            change(&mut newcomer);
            newcomer
        };
        let id = "01a20390-34ca-4d8c-9d60-4a22acd8c918";
        let cases = [
            (with(|n| n.email = "no address".to_owned()), Unfit::Email(InvalidEmail)),
            (with(|n| n.roles = vec!["a b".to_owned()]), Unfit::Role(InvalidRole)),
            (with(|n| n.password_hash = String::new()), Unfit::NoHash),
            (
                with(|n| n.password_hash = "hunter2".to_owned()),
                Unfit::Hash(Unusable::Unreadable),
            ),
            (
                with(|n| n.password_hash = "$2b$20$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned()),
                Unfit::Hash(Unusable::TooMuchWork),
            ),
            (
                with(|n| {
                    n.password_hash = format!("$argon2id$v=19$m=999999,t=1,p=1${0}${0}", "c29tZXNhbHRzb21lc2FsdA")
                }),
                Unfit::Hash(Unusable::TooMuchMemory),
            ),
            (with(|n| n.created_at = "yesterday".to_owned()), Unfit::CreatedAt),
            (
                with(|n| n.created_at = "2999-01-01T00:00:00Z".to_owned()),
                Unfit::CreatedAt,
            ),
            (with(|n| n.disabled = "maybe".to_owned()), Unfit::Disabled),
            (with(|n| n.id = "7".to_owned()), Unfit::Id),
            (with(|n| n.id = Uuid::nil().to_string()), Unfit::Id),
        ];
        for (newcomer, unfit) in cases {
            assert_eq!(world.auth.import(&[newcomer]).await.unwrap(), [Taken::Not(unfit)]);
        }
        assert!(world.auth.users().await.unwrap().is_empty());

        let named = |email: &str| Newcomer {
            id: id.to_owned(),
            ..newcomer(email)
        };
        let batch = [named("ada@example.com"), named("ben@example.com")];
        let taken = Taken::Not(Unfit::IdTaken);
        assert_eq!(world.auth.import(&batch).await.unwrap(), [Taken::Over, taken]);
        let again = [named("ben@example.com")];
        assert_eq!(
            world.auth.import(&again).await.unwrap(),
            [taken],
            "and in another batch"
        );
        let again = [named("ada@example.com")];
        assert_eq!(world.auth.import(&again).await.unwrap(), [Taken::Before]);
    }

    #[tokio::test]
    async fn an_imported_account_costs_its_own_hash_and_one_of_ours_right_or_wrong() {
        let world = World::new().await;
        world.auth.import(&[newcomer("ada@example.com")]).await.unwrap();
        let stored = crate::model::credential::PasswordHash::new(HASH.to_owned());
        for password in ["password", "passwort"] {
            let before = world.hasher.hashed();
            let verdict = world
                .hasher
                .verify(Password::new(password.to_owned()), Some(&stored))
                .await;
            assert!(verdict.unwrap().outdated, "so that a new one is made");
            assert_eq!(world.hasher.hashed() - before, 2);
        }
    }
}
