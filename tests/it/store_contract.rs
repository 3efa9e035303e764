//! What every store promises, said once and run on every backend.
//!
//! A promise is a function over a `Bed`: something that can be opened, any number of times, as stores over the same data. Two openings stand for two
//! gateways. `accounts_contract!` and `sessions_contract!` make a test of each promise for one backend; a promise that is not listed there is an unused function, which the compiler
//! reports.

mod accounts;
mod ephemeral;
mod factors;
mod keys;
mod letters;
mod postgres;
mod redis;
mod redis_servers;
mod sessions;
mod sqlite;
mod walking;

use std::time::Duration;

use gateward::model::clock::Timestamp;
use gateward::model::credential::{Account, PasswordHash};
use gateward::model::secret;
use gateward::model::session::{Amr, Generation, Session, SessionId};
use gateward::model::user::{Confirmation, Email, Epoch, User, UserId};
use gateward::store::Stores;
use uuid::Uuid;

/// A place for data of one backend, empty when made.
trait Bed {
    /// An empty one.
    async fn make() -> Self;
    /// Stores over it.
    async fn open(&self) -> Stores;
    /// The store's own clock comes to a moment. Tells how many sessions, counters and names ended by themselves: a store may let them, and then has
    /// nothing to purge.
    async fn time_passes(&self, _until: Timestamp) -> u64 {
        0
    }
}

macro_rules! keeps {
    ($bed:ty: $($room:ident::{ $($promise:ident),* $(,)? })*) => {$(
        mod $room {
            use crate::store_contract::{$room as promises, Bed};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    promises::$promise(&<$bed as Bed>::make().await).await;
                }
            )*
        }
    )*};
}

macro_rules! accounts_contract {
    ($backend:ident: $bed:ty) => {
        mod $backend {
            keeps! { $bed:
                accounts::{
                    an_account_is_found_by_its_id_and_by_its_address,
                    what_is_not_there_is_none,
                    of_racers_for_an_address_one_gets_it,
                    users_are_listed_by_id_in_pages,
                    accounts_are_walked_over_by_id_with_their_passwords,
                    an_account_of_another_store_replaces_the_one_of_the_epoch_seen,
                    roles_are_replaced_in_the_order_given,
                    disabling_begins_an_epoch_and_enabling_does_not,
                    a_changed_password_begins_an_epoch,
                    a_password_is_changed_only_from_what_it_is,
                    of_racers_that_change_a_password_one_does,
                    a_stronger_hash_leaves_the_epoch_alone,
                    each_new_epoch_is_given_out_once,
                    a_removed_account_leaves_its_address_free,
                    an_address_is_confirmed_while_it_is_still_the_users,
                    of_racers_for_a_new_address_one_gets_it_and_the_old_one_is_free,
                    accounts_outlive_the_process,
                }
                factors::{
                    an_account_and_its_factors_come_together_or_not_at_all,
                    a_factor_comes_back_as_it_was,
                    a_link_finds_its_user_and_belongs_to_one,
                    a_counter_only_goes_forward_and_one_racer_moves_it,
                    factors_of_a_kind_are_replaced_together,
                    a_detached_factor_gives_its_link_back,
                    the_last_factor_of_some_kinds_stays_however_many_are_taken_at_once,
                    a_factor_is_called_what_its_owner_says,
                    factors_go_with_their_user,
                }
                letters::{
                    a_letter_is_claimed_by_one_gateway_at_a_time,
                    a_letter_that_nobody_took_out_is_due_again,
                    letters_outlive_the_process,
                }
                keys::{
                    keys_come_back_as_they_were_in_the_order_they_were_added,
                    of_racers_that_rotate_one_adds_its_key,
                    the_predecessor_retires_in_the_same_step,
                    a_revoked_key_is_nobodys_predecessor,
                    a_key_is_added_once_and_revoked_once,
                    keys_that_ended_before_a_moment_are_purged,
                }
            }
        }
    };
}

macro_rules! sessions_contract {
    ($backend:ident: $bed:ty) => {
        mod $backend {
            keeps! { $bed:
                sessions::{
                    a_session_comes_back_as_it_was,
                    a_session_is_found_with_the_account_behind_it,
                    a_session_is_kept_and_the_account_behind_it_is_as_it_stands_then,
                    the_current_generation_rotates,
                    the_previous_generation_repeats_inside_the_window,
                    the_previous_generation_is_replaced_after_the_window,
                    a_skipped_generation_ends_the_family,
                    an_older_generation_ends_the_family,
                    a_generation_ahead_moves_the_store_forward,
                    of_two_holders_of_one_token_one_ends_the_family,
                    racers_with_one_token_all_get_the_same_successor,
                    what_was_seen_before_a_race_does_not_decide_it,
                    an_unknown_or_foreign_token_changes_nothing,
                    an_unused_session_ends,
                    no_use_prolongs_a_session_beyond_its_longest_life,
                    a_users_sessions_are_listed_newest_first_without_those_that_are_over,
                    an_ended_session_is_gone_and_returned_once,
                    a_race_with_the_end_never_revives_a_session,
                    all_sessions_of_a_user_end_except_one,
                    one_session_moves_on_to_a_new_epoch,
                    a_later_proof_stands_in_the_record_whoever_rotates_it_meanwhile,
                    sessions_that_are_over_are_purged_and_no_others,
                    sessions_outlive_the_process,
                }
                walking::{
                    a_walk_meets_every_session_that_is_there_all_the_while,
                    a_session_of_another_store_is_kept_unless_it_has_come_as_far_here,
                }
                ephemeral::{
                    a_revoked_token_is_revoked_and_no_other,
                    a_revoked_session_takes_all_its_tokens_along,
                    a_users_revocation_reaches_sessions_opened_until_its_moment,
                    the_default_cursor_tells_everything_in_order_and_at_once,
                    a_cursor_tells_each_revocation_once,
                    a_follower_without_news_returns_after_its_wait,
                    a_writer_of_the_same_process_wakes_a_follower,
                    a_writer_elsewhere_wakes_a_follower,
                    many_followers_all_hear_it,
                    every_follower_sees_the_same_order,
                    a_cursor_of_another_stream_is_a_gap,
                    a_cursor_outlives_a_purge,
                    a_counter_lives_for_one_window_from_its_first_count,
                    counters_do_not_know_each_other,
                    racers_each_count_once,
                    an_attempt_is_counted_up_to_the_first_counter_that_refuses,
                    a_counter_leaves_out_whom_it_does_not_concern,
                    a_name_is_remembered_until_the_later_moment,
                    a_kept_value_is_taken_once,
                    a_kept_value_is_replaced_and_ends,
                    a_stream_has_a_name_of_its_own,
                    what_has_passed_is_purged_and_nothing_else,
                    revocations_outlive_the_process,
                }
            }
        }
    };
}

accounts_contract!(accounts_on_sqlite: crate::store_contract::sqlite::File);
accounts_contract!(accounts_on_postgres: crate::store_contract::postgres::Plain);
accounts_contract!(accounts_on_postgres_partitioned: crate::store_contract::postgres::Partitioned);
sessions_contract!(sessions_on_sqlite: crate::store_contract::sqlite::File);
sessions_contract!(sessions_on_redis: crate::store_contract::redis::Single);
sessions_contract!(sessions_on_redis_cluster: crate::store_contract::redis::Cluster);

/// The moment at which every story begins: far ahead, so that a store that lets things end by its own clock lets them end when a story says so.
const START: Timestamp = Timestamp::from_secs(4_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn fresh_id() -> Uuid {
    secret::uuid_v7(START).unwrap()
}

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${text}"))
}

fn account(address: &str) -> Account {
    Account {
        user: User {
            id: UserId(fresh_id()),
            email: email(address),
            roles: vec!["staff".parse().unwrap(), "a:b/c.d-e_f".parse().unwrap()],
            created_at: START,
            disabled_at: None,
            epoch: Epoch(0),
            confirmation: Confirmation::Unasked,
        },
        password: hash("first"),
    }
}

/// A session of `user` as it is right after sign-in at `now`: two weeks idle, ninety days in all.
fn session(user: UserId, now: Timestamp) -> Session {
    Session {
        id: SessionId(secret::uuid_v7(now).unwrap()),
        user,
        epoch: Epoch(3),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(90 * DAY),
        idle_expires_at: now.plus(14 * DAY),
        auth_time: now,
        amr: vec![Amr("pwd".to_owned()), Amr("otp".to_owned())],
        ip: Some("2001:db8::7".parse().unwrap()),
        user_agent: "Browser \"of\" 'someone' (Zürich)".to_owned(),
        nonce_hash: secret::random().unwrap(),
        current: Generation::FIRST,
        previous: None,
        rotated_at: now,
    }
}
