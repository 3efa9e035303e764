//! What does it cost to see that a token is not among so many revocations, and to take so many in at the start?
//!
//! A token that was looked up is not looked up again until there is news, so `after_news` revokes something before each look, one look a sample; revoking
//! is not counted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divan::Bencher;
use gateward::config::RevocationMode;
use gateward::model::clock::Timestamp;
use gateward::model::session::{SessionId, TokenId};
use gateward::model::user::UserId;
use gateward::store::ephemeral::{Count, Cursor, EphemeralStore, News, Revocation, Revoked};
use gateward::store::{StoreError, Stores};
use gateward::token::Tokens;
use uuid::Uuid;

use crate::installation::Installation;
use crate::verification::known;

const SIZES: [usize; 3] = [0, 10_000, 1_000_000];

#[divan::bench(args = SIZES, sample_count = 1000, sample_size = 1)]
fn after_news(bencher: Bencher<'_, '_>, revoked: usize) {
    let house = Installation::new();
    let signed_in = house.signed_in();
    let tokens = open(&house, revoked);
    let jwt = tokens.issue(&signed_in.user, &signed_in.session).unwrap().jwt;
    house
        .runtime
        .block_on(tokens.verify(&jwt, RevocationMode::Cached))
        .unwrap();
    let mut number = revoked as u128;
    let mut news = || {
        number += 1;
        let news = [Revoked::Session(session(number))];
        house.runtime.block_on(tokens.revoke(&news)).unwrap();
    };
    bencher
        .with_inputs(&mut news)
        .bench_local_values(|()| known(&tokens, &jwt));
}

#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn taken_in(bencher: Bencher<'_, '_>, revoked: usize) {
    let house = Installation::new();
    bencher.bench_local(|| open(&house, revoked));
}

fn open(house: &Installation, revoked: usize) -> Arc<Tokens> {
    let rooms = &house.rooms;
    let stores = Stores {
        ephemeral: Arc::new(Listed(revoked)),
        ..rooms.stores.clone()
    };
    let tokens = Tokens::open(
        &house.settings.tokens,
        &house.settings.store,
        &rooms.secret,
        &stores,
        Arc::clone(&rooms.clock),
        house.runtime.handle().clone(),
        rooms.telemetry.clone(),
    );
    house.runtime.block_on(tokens).unwrap()
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
}

/// A store that holds so many revocations and takes any number more.
#[derive(Debug)]
struct Listed(usize);

#[async_trait]
impl EphemeralStore for Listed {
    async fn revoke(&self, _: &[Revocation]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn is_revoked(&self, _: TokenId, _: SessionId, _: UserId) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn follow(&self, _: &Cursor, _: Duration) -> Result<News, StoreError> {
        let until = Timestamp::from_secs(4_000_000_000);
        let revocation = |number| Revocation {
            what: Revoked::Session(session(number)),
            until,
        };
        Ok(News {
            revocations: (0..self.0 as u128).map(revocation).collect(),
            cursor: Cursor("1".to_owned()),
            gap: false,
        })
    }

    async fn count(&self, _: &str, _: Duration, now: Timestamp) -> Result<Count, StoreError> {
        Ok(Count {
            count: 1,
            resets_at: now,
        })
    }

    async fn remember(&self, _: &str, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remembers(&self, _: &str, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn remembered_until(&self, _: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn keep(&self, _: &str, _: &[u8], _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn peek(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn take(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}
