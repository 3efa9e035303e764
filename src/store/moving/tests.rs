//! Accounts and their factors between two embedded files.

use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

use super::*;
use crate::config::{self, StoreUrl};
use crate::model::credential::{Account, PasswordHash};
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::{Confirmation, Epoch, User, UserId};
use crate::store::factors::{Advance, Attached, Detached, FactorStore};
use crate::telemetry::Metrics;

const MADE: Timestamp = Timestamp::from_secs(1_790_000_000);

struct Silent;

impl Watcher for Silent {
    fn begins(&mut self, _: Part, _: Option<u64>) {}
    fn advances(&mut self, _: u64) {}
    fn ends(&mut self, _: &Count) {}
}

/// A store that is cut off before a factor can be added to an account that is there.
#[derive(Debug)]
struct CutOff(Arc<dyn FactorStore>);

#[async_trait]
impl FactorStore for CutOff {
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError> {
        self.0.found(account, factors).await
    }
    async fn attach(&self, _: &Factor) -> Result<Attached, StoreError> {
        Err(StoreError::Unanswered { store: "accounts" })
    }
    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError> {
        self.0.of_user(user).await
    }
    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError> {
        self.0.linked(link).await
    }
    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError> {
        self.0.advance(user, id, to, now).await
    }
    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError> {
        self.0.replace(user, kind, by).await
    }
    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError> {
        self.0.detach(user, id).await
    }
    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError> {
        self.0.detach_but_last(user, id, of).await
    }
    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError> {
        self.0.rename(user, id, label).await
    }
}

async fn opened(dir: &Path, name: &str) -> Stores {
    let file = dir.join(name);
    let settings = config::Store {
        accounts: StoreUrl::Sqlite(file.clone()),
        sessions: StoreUrl::Sqlite(file),
        secret_file: dir.join("secret.key"),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        max_staleness: Duration::from_secs(60),
    };
    Stores::open(&settings, &Arc::new(Metrics::new())).await.unwrap()
}

fn ada(password: PasswordHash) -> Account {
    let user = User {
        id: UserId(Uuid::from_u128(1)),
        email: "ada@example.com".parse().unwrap(),
        roles: Vec::new(),
        created_at: MADE,
        disabled_at: None,
        epoch: Epoch::default(),
        confirmation: Confirmation::Unasked,
    };
    Account { user, password }
}

fn factor(n: u8, kind: FactorKind, link: Option<Link>, created_at: Timestamp) -> Factor {
    Factor {
        id: FactorId(Uuid::from_u128(n.into())),
        user: UserId(Uuid::from_u128(1)),
        kind,
        label: String::new(),
        sealed: vec![n],
        link,
        counter: 0,
        created_at,
        used_at: None,
    }
}

fn passkey(n: u8) -> Factor {
    factor(n, FactorKind::Passkey, Some(Link([n; 32])), MADE)
}

async fn run(from: &Stores, to: &Stores) -> Result<(), MoveError> {
    let plan = Move {
        from,
        to,
        accounts: true,
        sessions: false,
        now: MADE,
        afterlife: Duration::from_secs(600),
    };
    plan.run(&mut Silent).await
}

async fn kept(stores: &Stores) -> Vec<u8> {
    let mut factors = stores.factors.of_user(UserId(Uuid::from_u128(1))).await.unwrap();
    factors.sort_by_key(|factor| factor.id.0);
    factors.iter().map(|factor| factor.sealed[0]).collect()
}

#[tokio::test]
async fn no_account_stands_at_the_target_without_its_passkey_when_a_run_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (opened(dir.path(), "a.db").await, opened(dir.path(), "b.db").await);
    from.factors
        .found(&ada(PasswordHash::none()), &[passkey(2)])
        .await
        .unwrap();
    let cut_off = Stores {
        factors: Arc::new(CutOff(to.factors.clone())),
        ..to.clone()
    };
    let _ = run(&from, &cut_off).await;
    let known = to.accounts.find(UserId(Uuid::from_u128(1))).await.unwrap();
    assert!(known.is_none() || kept(&to).await == [2], "one factor is enough there");
}

#[tokio::test]
async fn a_factor_that_was_taken_away_at_the_source_opens_nothing_at_the_target_after_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (opened(dir.path(), "a.db").await, opened(dir.path(), "b.db").await);
    let (stolen, kept_one) = (passkey(2), passkey(3));
    let provider = factor(4, FactorKind::Provider, Some(Link([4; 32])), MADE);
    let app = factor(5, FactorKind::Totp, None, MADE);
    let all = [stolen.clone(), kept_one, provider.clone(), app.clone()];
    let account = ada(PasswordHash::new("a hash".to_owned()));
    from.factors.found(&account, &all).await.unwrap();
    run(&from, &to).await.unwrap();
    assert_eq!(kept(&to).await, [2, 3, 4, 5]);
    // What the target alone knows is none of the source's business, however old it says it is.
    to.factors.attach(&passkey(6)).await.unwrap();
    for taken in [&stolen, &provider, &app] {
        from.factors.detach(taken.user, taken.id).await.unwrap();
    }
    run(&from, &to).await.unwrap();
    assert_eq!(kept(&to).await, [3, 6]);
    assert_eq!(to.factors.linked(&Link([2; 32])).await.unwrap(), None);
}

#[tokio::test]
async fn the_last_way_into_an_account_without_a_password_is_not_taken_away_by_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (opened(dir.path(), "a.db").await, opened(dir.path(), "b.db").await);
    let (first, second) = (passkey(2), passkey(3));
    let account = ada(PasswordHash::none());
    from.factors
        .found(&account, &[first.clone(), second.clone()])
        .await
        .unwrap();
    run(&from, &to).await.unwrap();
    // One is removed here, the other one there.
    from.factors.detach(first.user, first.id).await.unwrap();
    to.factors.detach(second.user, second.id).await.unwrap();
    run(&from, &to).await.unwrap();
    assert_eq!(kept(&to).await, [2]);
}
