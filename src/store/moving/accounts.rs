//! Accounts of a move: both stores are walked over side by side in the order of ids, so that one look at each account tells what is to be done.
//!
//! An account that is not at the target is new, or was deleted there. It was deleted if an earlier run has seen accounts that were made as late.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::factors::newest_of;
use super::{AT_ONCE, Count, Move, MoveError, PAGE, Part, Watcher, len};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::Factor;
use crate::model::user::{Email, UserId};
use crate::store::StoreError;
use crate::store::accounts::AccountStore;

/// How many addresses are named.
const NAMED: usize = 5;

/// What came of one account.
enum Outcome {
    New,
    Renewed,
    There,
    Gone,
    Differs(Email),
    Taken(Email),
}

/// How far an earlier run has come.
#[derive(Clone, Copy, Default)]
struct Done {
    /// The making of the last account.
    accounts: Option<Timestamp>,
    /// The making of the last factor.
    factors: Option<Timestamp>,
}

impl Move<'_> {
    pub(super) async fn move_accounts(&self, watcher: &mut dyn Watcher) -> Result<(), MoveError> {
        let total = self.from.accounts.tally().await.map_err(MoveError::From)?;
        watcher.begins(Part::Accounts, Some(total));
        let mut source = Walk::over(&self.from.accounts);
        let mut target = Walk::over(&self.to.accounts);
        let mark = self.mark("accounts").await?;
        let factors_mark = self.mark("factors").await?;
        let done = match self.to.accounts.tally().await.map_err(MoveError::To)? {
            // Another database, made since: nobody was deleted there.
            0 => Done::default(),
            _ => Done {
                accounts: self.done(&mark).await?,
                factors: self.done(&factors_mark).await?,
            },
        };
        let (mut count, mut last_made) = (Count::default(), Timestamp::default());
        let mut last_factor = Timestamp::default();
        let (mut taken, mut some_taken) = (0, Vec::new());
        loop {
            let mut batch = Vec::new();
            while batch.len() < usize::try_from(PAGE).unwrap_or(1) {
                let Some(account) = source.next().await.map_err(MoveError::From)? else {
                    break;
                };
                last_made = last_made.max(account.user.created_at);
                let factors = self.from.factors.of_user(account.user.id).await;
                let factors = factors.map_err(MoveError::From)?;
                last_factor = newest_of(&factors).map_or(last_factor, |made| last_factor.max(made));
                let known = target.come_to(account.user.id, &mut count.only_there).await;
                batch.push((account, factors, known.map_err(MoveError::To)?));
            }
            if batch.is_empty() {
                break;
            }
            let seen = len(&batch);
            let outcomes: Vec<Outcome> = stream::iter(batch)
                .map(|(account, factors, known)| self.settle(account, factors, known, done))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
                .map_err(MoveError::To)?;
            for outcome in outcomes {
                match outcome {
                    Outcome::New => count.new += 1,
                    Outcome::Renewed => count.renewed += 1,
                    Outcome::There => count.there += 1,
                    Outcome::Gone => count.gone += 1,
                    Outcome::Differs(email) => name(email, &mut count.differing, &mut count.some_differing),
                    Outcome::Taken(email) => name(email, &mut taken, &mut some_taken),
                }
            }
            watcher.advances(seen);
        }
        while target.next().await.map_err(MoveError::To)?.is_some() {
            count.only_there += 1;
        }
        watcher.ends(&count);
        match taken {
            0 => {
                self.leave(&factors_mark, last_factor).await?;
                self.leave(&mark, last_made).await
            }
            count => Err(MoveError::Taken {
                count,
                some: some_taken,
            }),
        }
    }

    /// Of an account that both have, the one of the later epoch counts: there a password was changed, an account disabled, everything signed out.
    /// Who was disabled at the target stays so: an epoch can be raised by whoever is signed in at the source.
    async fn settle(
        &self,
        mut account: Account,
        factors: Vec<Factor>,
        known: Option<Account>,
        done: Done,
    ) -> Result<Outcome, StoreError> {
        let target = &self.to.accounts;
        let Some(known) = known else {
            if done
                .accounts
                .is_some_and(|last_made| account.user.created_at <= last_made)
            {
                return Ok(Outcome::Gone);
            }
            return match self.found(&account, &factors).await? {
                true => Ok(Outcome::New),
                false => Ok(Outcome::Taken(account.user.email)),
            };
        };
        if known.user.email != account.user.email {
            return Ok(Outcome::Taken(account.user.email));
        }
        let order = account.user.epoch.cmp(&known.user.epoch);
        if order == Ordering::Greater {
            account.user.disabled_at = account.user.disabled_at.or(known.user.disabled_at);
        }
        let renewed = order == Ordering::Greater && target.replace(&account, known.user.epoch).await?;
        if renewed || order == Ordering::Equal {
            self.merge(&account, &factors, done.factors).await?;
        }
        match order {
            Ordering::Greater if renewed => Ok(Outcome::Renewed),
            // A hash alone may differ: each sign-in may have made a stronger one.
            Ordering::Equal if account.user != known.user => Ok(Outcome::Differs(account.user.email)),
            _ => Ok(Outcome::There),
        }
    }
}

fn name(email: Email, count: &mut u64, some: &mut Vec<Email>) {
    *count += 1;
    if some.len() < NAMED {
        some.push(email);
    }
}

/// All accounts of a store, by id, a page at a time.
struct Walk<'s> {
    store: &'s Arc<dyn AccountStore>,
    page: VecDeque<Account>,
    /// What lies at or before this has been seen, or is no business of this walk.
    seen: Option<UserId>,
    is_last: bool,
}

impl<'s> Walk<'s> {
    fn over(store: &'s Arc<dyn AccountStore>) -> Self {
        Self {
            store,
            page: VecDeque::new(),
            seen: None,
            is_last: false,
        }
    }

    async fn next(&mut self) -> Result<Option<Account>, StoreError> {
        if self.page.is_empty() && !self.is_last {
            self.page = self.store.accounts(self.seen, PAGE).await?.into();
            self.is_last = len(self.page.make_contiguous()) < u64::from(PAGE);
        }
        let account = self.page.pop_front();
        if let Some(account) = &account {
            self.seen = Some(account.user.id);
        }
        Ok(account)
    }

    /// Goes on to an id, counting those passed over, and gives its account if there is one. What the move itself adds lies before the place that both
    /// walks have come to, and is not met.
    async fn come_to(&mut self, id: UserId, passed: &mut u64) -> Result<Option<Account>, StoreError> {
        while let Some(account) = self.next().await? {
            match account.user.id.cmp(&id) {
                Ordering::Less => *passed += 1,
                Ordering::Equal => return Ok(Some(account)),
                Ordering::Greater => {
                    self.page.push_front(account);
                    break;
                }
            }
        }
        self.seen = Some(id);
        Ok(None)
    }
}
