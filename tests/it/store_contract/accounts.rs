//! What a store promises about users.

use std::collections::BTreeSet;

use gateward::model::credential::PasswordHash;
use gateward::model::user::{Confirmation, Epoch, User, UserId};
use gateward::store::accounts::{Added, Moved};
use tokio::task::JoinSet;

use super::{Bed, START, account, email, fresh_id, hash};

pub(super) async fn an_account_is_found_by_its_id_and_by_its_address(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let mut ada = account("ada@example.com");
    ada.user.disabled_at = Some(START);
    ada.user.epoch = Epoch(7);
    assert_eq!(store.add(&ada).await.unwrap(), Added::Added);
    store.add(&account("grace@example.com")).await.unwrap();

    let by_id = store.find(ada.user.id).await.unwrap().unwrap();
    let by_email = store.find_by_email(&email(" ADA@Example.com")).await.unwrap().unwrap();

    for found in [by_id, by_email] {
        assert_eq!(found.user, ada.user);
        assert_eq!(found.password, ada.password);
    }
}

pub(super) async fn what_is_not_there_is_none(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let nobody = UserId(fresh_id());
    store.ping().await.unwrap();
    assert!(store.find(nobody).await.unwrap().is_none());
    assert!(store.find_by_email(&email("no@example.com")).await.unwrap().is_none());
    assert!(store.set_roles(nobody, &[]).await.unwrap().is_none());
    assert!(store.set_disabled(nobody, Some(START)).await.unwrap().is_none());
    assert!(
        store
            .change_password(nobody, &hash("a"), &hash("b"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.rehash_password(nobody, &hash("a"), &hash("b")).await.unwrap());
    assert!(store.begin_epoch(nobody).await.unwrap().is_none());
    assert!(!store.remove(nobody).await.unwrap());
    assert!(store.list(None, 10).await.unwrap().is_empty());
    assert!(store.keys().await.unwrap().is_empty());
}

pub(super) async fn of_racers_for_an_address_one_gets_it(bed: &impl Bed) {
    let gateways = [bed.open().await.accounts, bed.open().await.accounts];
    let mut racers = JoinSet::new();
    for n in 0..40 {
        let store = gateways[n % 2].clone();
        racers.spawn(async move {
            let account = account("ada@example.com");
            (account.user.id, store.add(&account).await.unwrap())
        });
    }
    let outcomes = racers.join_all().await;

    let winners: Vec<_> = outcomes.iter().filter(|(_, added)| *added == Added::Added).collect();
    assert_eq!(winners.len(), 1);
    let owner = gateways[0]
        .find_by_email(&email("ada@example.com"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(owner.user.id, winners[0].0);
    assert_eq!(
        gateways[1].list(None, 100).await.unwrap(),
        [owner.user],
        "a loser left something behind"
    );
}

pub(super) async fn users_are_listed_by_id_in_pages(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let mut ids = BTreeSet::new();
    for n in 0..7 {
        let account = account(&format!("user{n}@example.com"));
        store.add(&account).await.unwrap();
        ids.insert(account.user.id);
    }
    let mut seen = Vec::new();
    loop {
        let page = store.list(seen.last().copied(), 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(seen, ids.into_iter().collect::<Vec<_>>());
}

pub(super) async fn accounts_are_walked_over_by_id_with_their_passwords(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    assert_eq!(store.tally().await.unwrap(), 0);
    let mut added = Vec::new();
    for n in 0..7 {
        let mut account = account(&format!("user{n}@example.com"));
        account.password = hash(&format!("of-{n}"));
        store.add(&account).await.unwrap();
        added.push((account.user, account.password));
    }
    added.sort_by_key(|(user, _)| user.id);
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|(user, _): &(User, PasswordHash)| user.id);
        let page = store.accounts(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|account| (account.user, account.password)));
    }
    assert_eq!(seen, added);
    assert_eq!(store.tally().await.unwrap(), 7);
}

pub(super) async fn an_account_of_another_store_replaces_the_one_of_the_epoch_seen(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let old = account("ada@example.com");
    let mut newer = old.clone();
    newer.user.epoch = Epoch(9);
    newer.user.disabled_at = Some(START);
    newer.user.roles.reverse();
    newer.password = hash("newer");
    assert!(
        !store.replace(&newer, old.user.epoch).await.unwrap(),
        "it was not there"
    );
    store.add(&old).await.unwrap();
    let mut elsewhere = newer.clone();
    elsewhere.user.email = email("eve@example.com");

    assert!(!store.replace(&newer, Epoch(1)).await.unwrap(), "another epoch");
    assert!(
        !store.replace(&elsewhere, old.user.epoch).await.unwrap(),
        "another address"
    );
    assert_eq!(store.find(old.user.id).await.unwrap().unwrap().user, old.user);

    assert!(store.replace(&newer, old.user.epoch).await.unwrap());
    let found = store.find_by_email(&old.user.email).await.unwrap().unwrap();
    assert_eq!((found.user, found.password), (newer.user, newer.password));
}

pub(super) async fn roles_are_replaced_in_the_order_given(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();
    let roles = ["zeta".parse().unwrap(), "alpha".parse().unwrap()];

    let user = store.set_roles(ada.user.id, &roles).await.unwrap().unwrap();

    assert_eq!(user.roles, roles);
    assert_eq!(user.epoch, ada.user.epoch);
    assert_eq!(store.find(ada.user.id).await.unwrap().unwrap().user, user);
    assert!(
        store
            .set_roles(ada.user.id, &[])
            .await
            .unwrap()
            .unwrap()
            .roles
            .is_empty()
    );
}

pub(super) async fn disabling_begins_an_epoch_and_enabling_does_not(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();

    let disabled = store.set_disabled(ada.user.id, Some(START)).await.unwrap().unwrap();
    assert_eq!((disabled.disabled_at, disabled.epoch), (Some(START), Epoch(1)));

    let enabled = store.set_disabled(ada.user.id, None).await.unwrap().unwrap();
    assert_eq!((enabled.disabled_at, enabled.epoch), (None, Epoch(1)));
    assert_eq!(store.find(ada.user.id).await.unwrap().unwrap().user, enabled);
}

pub(super) async fn a_changed_password_begins_an_epoch(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();

    let epoch = store
        .change_password(ada.user.id, &ada.password, &hash("second"))
        .await
        .unwrap();

    assert_eq!(epoch, Some(Epoch(1)));
    let found = store.find(ada.user.id).await.unwrap().unwrap();
    assert_eq!((found.password, found.user.epoch), (hash("second"), Epoch(1)));
}

pub(super) async fn a_password_is_changed_only_from_what_it_is(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();

    assert_eq!(
        store
            .change_password(ada.user.id, &hash("other"), &hash("second"))
            .await
            .unwrap(),
        None
    );
    assert!(
        !store
            .rehash_password(ada.user.id, &hash("other"), &hash("second"))
            .await
            .unwrap()
    );

    let found = store.find(ada.user.id).await.unwrap().unwrap();
    assert_eq!((found.password, found.user.epoch), (ada.password, Epoch(0)));
}

pub(super) async fn of_racers_that_change_a_password_one_does(bed: &impl Bed) {
    let gateways = [bed.open().await.accounts, bed.open().await.accounts];
    let ada = account("ada@example.com");
    gateways[0].add(&ada).await.unwrap();
    let mut racers = JoinSet::new();
    for n in 0..20 {
        let (store, ada) = (gateways[n % 2].clone(), ada.clone());
        racers.spawn(async move {
            let to = hash(&format!("of-racer-{n}"));
            let epoch = store.change_password(ada.user.id, &ada.password, &to).await.unwrap();
            epoch.map(|epoch| (epoch, to))
        });
    }
    let winners: Vec<_> = racers.join_all().await.into_iter().flatten().collect();

    assert_eq!(winners.len(), 1);
    let found = gateways[0].find(ada.user.id).await.unwrap().unwrap();
    assert_eq!((found.user.epoch, found.password), winners[0].clone());
}

pub(super) async fn a_stronger_hash_leaves_the_epoch_alone(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();

    assert!(
        store
            .rehash_password(ada.user.id, &ada.password, &hash("stronger"))
            .await
            .unwrap()
    );

    let found = store.find(ada.user.id).await.unwrap().unwrap();
    assert_eq!((found.password, found.user.epoch), (hash("stronger"), Epoch(0)));
}

pub(super) async fn each_new_epoch_is_given_out_once(bed: &impl Bed) {
    let gateways = [bed.open().await.accounts, bed.open().await.accounts];
    let ada = account("ada@example.com");
    gateways[0].add(&ada).await.unwrap();
    let mut racers = JoinSet::new();
    for n in 0..20 {
        let store = gateways[n % 2].clone();
        racers.spawn(async move { store.begin_epoch(ada.user.id).await.unwrap().unwrap() });
    }
    let given: BTreeSet<Epoch> = racers.join_all().await.into_iter().collect();
    assert_eq!(given, (1..=20).map(Epoch).collect());
}

pub(super) async fn a_removed_account_leaves_its_address_free(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let ada = account("ada@example.com");
    store.add(&ada).await.unwrap();

    assert!(store.remove(ada.user.id).await.unwrap());
    assert!(!store.remove(ada.user.id).await.unwrap());

    assert!(store.find(ada.user.id).await.unwrap().is_none());
    assert!(store.find_by_email(&ada.user.email).await.unwrap().is_none());
    assert_eq!(store.add(&account("ada@example.com")).await.unwrap(), Added::Added);
}

pub(super) async fn accounts_outlive_the_process(bed: &impl Bed) {
    let ada = account("ada@example.com");
    bed.open().await.accounts.add(&ada).await.unwrap();
    let found = bed.open().await.accounts.find(ada.user.id).await.unwrap().unwrap();
    assert_eq!(found.user, ada.user);
}

pub(super) async fn an_address_is_confirmed_while_it_is_still_the_users(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let mut ada = account("ada@example.com");
    ada.user.confirmation = Confirmation::Pending;
    store.add(&ada).await.unwrap();
    assert!(!store.confirm(ada.user.id, &email("other@example.com")).await.unwrap());
    assert!(!store.confirm(UserId(fresh_id()), &ada.user.email).await.unwrap());
    let pending = store.find(ada.user.id).await.unwrap().unwrap();
    assert_eq!(pending.user.confirmation, Confirmation::Pending);

    assert!(store.confirm(ada.user.id, &ada.user.email).await.unwrap());
    ada.user.confirmation = Confirmation::Confirmed;
    assert_eq!(store.find(ada.user.id).await.unwrap().unwrap().user, ada.user);
}

pub(super) async fn of_racers_for_a_new_address_one_gets_it_and_the_old_one_is_free(bed: &impl Bed) {
    let gateways = [bed.open().await.accounts, bed.open().await.accounts];
    let new = email("new@example.com");
    let mut racers = JoinSet::new();
    for n in 0..8 {
        let (store, new) = (gateways[n % 2].clone(), new.clone());
        let account = account(&format!("old{n}@example.com"));
        store.add(&account).await.unwrap();
        racers.spawn(async move {
            let moved = store
                .change_email(account.user.id, &account.user.email, &new)
                .await
                .unwrap();
            (account.user, moved)
        });
    }
    let outcomes = racers.join_all().await;
    let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, moved)| *moved == Moved::Moved);
    assert_eq!(winners.len(), 1);
    let store = &gateways[0];
    let mut winner = winners[0].0.clone();
    let old = std::mem::replace(&mut winner.email, new.clone());
    winner.confirmation = Confirmation::Confirmed;
    assert_eq!(store.find_by_email(&new).await.unwrap().unwrap().user, winner);
    assert!(store.find_by_email(&old).await.unwrap().is_none());
    for (loser, moved) in losers {
        assert_eq!(moved, Moved::EmailTaken);
        assert_eq!(store.find_by_email(&loser.email).await.unwrap().unwrap().user, loser);
    }
    let gone = store
        .change_email(winner.id, &old, &email("third@example.com"))
        .await
        .unwrap();
    assert_eq!(gone, Moved::Gone, "it is no longer the old address");
    assert!(
        store
            .find_by_email(&email("third@example.com"))
            .await
            .unwrap()
            .is_none()
    );
}
