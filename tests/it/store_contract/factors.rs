//! What a store promises about factors.

use gateward::model::factor::{Factor, FactorId, FactorKind, Link};
use gateward::model::secret;
use gateward::model::user::UserId;
use gateward::store::factors::{Advance, Attached, Detached};
use tokio::task::JoinSet;

use super::{Bed, MINUTE, START, account, email, fresh_id};

fn factor(user: UserId, kind: FactorKind, link: Option<Link>) -> Factor {
    Factor {
        id: FactorId(fresh_id()),
        user,
        kind,
        label: "Zürich, \"blue\" key".to_owned(),
        sealed: vec![0, 255, 10, 39],
        link,
        counter: 0,
        created_at: START,
        used_at: None,
    }
}

fn link() -> Link {
    Link(secret::random().unwrap())
}

pub(super) async fn an_account_and_its_factors_come_together_or_not_at_all(bed: &impl Bed) {
    let stores = bed.open().await;
    let (ada, eve) = (account("ada@example.com"), account("eve@example.com"));
    let at_provider = factor(ada.user.id, FactorKind::Provider, Some(link()));
    let mut later = factor(ada.user.id, FactorKind::Totp, None);
    later.created_at = START.plus(MINUTE);
    let both = [at_provider.clone(), later];
    assert_eq!(stores.factors.found(&ada, &both).await.unwrap(), Attached::Attached);
    assert_eq!(stores.accounts.find(ada.user.id).await.unwrap().unwrap().user, ada.user);
    assert_eq!(stores.factors.of_user(ada.user.id).await.unwrap(), both);

    let same_link = [factor(eve.user.id, FactorKind::Provider, at_provider.link)];
    assert_eq!(
        stores.factors.found(&eve, &same_link).await.unwrap(),
        Attached::LinkTaken
    );
    assert!(stores.accounts.find(eve.user.id).await.unwrap().is_none());
    assert!(stores.accounts.find_by_email(&eve.user.email).await.unwrap().is_none());

    let again = account("ada@example.com");
    let free = [factor(again.user.id, FactorKind::Provider, Some(link()))];
    assert_eq!(stores.factors.found(&again, &free).await.unwrap(), Attached::EmailTaken);
    assert_eq!(stores.factors.linked(&free[0].link.unwrap()).await.unwrap(), None);
    assert!(stores.factors.of_user(again.user.id).await.unwrap().is_empty());
}

pub(super) async fn a_factor_comes_back_as_it_was(bed: &impl Bed) {
    let stores = bed.open().await;
    let ada = account("ada@example.com");
    stores.accounts.add(&ada).await.unwrap();
    let mut expected = Vec::new();
    for (later, kind) in FactorKind::ALL.into_iter().enumerate() {
        let mut factor = factor(ada.user.id, kind, (kind == FactorKind::Provider).then(link));
        factor.created_at = START.plus(MINUTE * u32::try_from(later).unwrap());
        factor.counter = 1 << 40;
        factor.used_at = Some(START.plus(MINUTE));
        assert_eq!(stores.factors.attach(&factor).await.unwrap(), Attached::Attached);
        expected.push(factor);
    }
    assert_eq!(stores.factors.attach(&expected[0]).await.unwrap(), Attached::There);
    assert_eq!(bed.open().await.factors.of_user(ada.user.id).await.unwrap(), expected);

    let nobody = factor(UserId(fresh_id()), FactorKind::Totp, None);
    assert_eq!(stores.factors.attach(&nobody).await.unwrap(), Attached::NoUser);
    assert!(stores.factors.of_user(nobody.user).await.unwrap().is_empty());
}

pub(super) async fn a_link_finds_its_user_and_belongs_to_one(bed: &impl Bed) {
    let gateways = [bed.open().await, bed.open().await];
    let link = link();
    let mut racers = JoinSet::new();
    for n in 0..10 {
        let stores = gateways[n % 2].clone();
        racers.spawn(async move {
            let somebody = account(&format!("user{n}@example.com"));
            stores.accounts.add(&somebody).await.unwrap();
            let factor = factor(somebody.user.id, FactorKind::Provider, Some(link));
            (somebody.user.id, stores.factors.attach(&factor).await.unwrap())
        });
    }
    let outcomes = racers.join_all().await;
    let winners: Vec<_> = outcomes
        .iter()
        .filter(|(_, came)| *came == Attached::Attached)
        .collect();
    assert_eq!(winners.len(), 1);
    for (user, came) in &outcomes {
        let theirs = gateways[0].factors.of_user(*user).await.unwrap();
        let expected = if *came == Attached::Attached { 1 } else { 0 };
        assert_eq!((theirs.len(), *came == Attached::LinkTaken), (expected, expected == 0));
    }
    assert_eq!(gateways[1].factors.linked(&link).await.unwrap(), Some(winners[0].0));
}

pub(super) async fn a_counter_only_goes_forward_and_one_racer_moves_it(bed: &impl Bed) {
    let gateways = [bed.open().await, bed.open().await];
    let ada = account("ada@example.com");
    gateways[0].accounts.add(&ada).await.unwrap();
    let totp = factor(ada.user.id, FactorKind::Totp, None);
    gateways[0].factors.attach(&totp).await.unwrap();
    let now = START.plus(MINUTE);
    let mut racers = JoinSet::new();
    for n in 0..20 {
        let store = gateways[n % 2].factors.clone();
        let (user, id) = (totp.user, totp.id);
        racers.spawn(async move { store.advance(user, id, 58_000_000, now).await.unwrap() });
    }
    let outcomes = racers.join_all().await;
    let won = outcomes.iter().filter(|came| **came == Advance::Advanced).count();
    assert_eq!(won, 1);
    let store = &gateways[0].factors;
    for behind in [0, 57_999_999, 58_000_000] {
        let came = store.advance(totp.user, totp.id, behind, now).await.unwrap();
        assert_eq!(came, Advance::Behind { stands: 58_000_000 });
    }
    let used = &store.of_user(totp.user).await.unwrap()[0];
    assert_eq!((used.counter, used.used_at), (58_000_000, Some(now)));
    let gone = store.advance(totp.user, FactorId(fresh_id()), 1, now).await.unwrap();
    assert_eq!(gone, Advance::Gone);

    let passkey = factor(ada.user.id, FactorKind::Passkey, None);
    store.attach(&passkey).await.unwrap();
    for _ in 0..2 {
        let came = store.advance(passkey.user, passkey.id, 0, now).await.unwrap();
        assert_eq!(came, Advance::Advanced, "a passkey that does not count");
    }
}

pub(super) async fn factors_of_a_kind_are_replaced_together(bed: &impl Bed) {
    let stores = bed.open().await;
    let (ada, eve) = (account("ada@example.com"), account("eve@example.com"));
    for somebody in [&ada, &eve] {
        stores.accounts.add(somebody).await.unwrap();
    }
    let totp = factor(ada.user.id, FactorKind::Totp, None);
    stores.factors.attach(&totp).await.unwrap();
    let codes = |user| -> Vec<Factor> { (0..10).map(|_| factor(user, FactorKind::Recovery, None)).collect() };
    let (first, second, hers) = (codes(ada.user.id), codes(ada.user.id), codes(eve.user.id));
    for (user, codes) in [(ada.user.id, &first), (eve.user.id, &hers), (ada.user.id, &second)] {
        assert!(stores.factors.replace(user, FactorKind::Recovery, codes).await.unwrap());
    }
    let ids = |factors: Vec<Factor>| {
        factors
            .into_iter()
            .map(|factor| factor.id)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let expected = ids(second.into_iter().chain([totp.clone()]).collect());
    assert_eq!(ids(stores.factors.of_user(ada.user.id).await.unwrap()), expected);
    assert_eq!(stores.factors.of_user(eve.user.id).await.unwrap().len(), 10);

    assert!(
        stores
            .factors
            .replace(ada.user.id, FactorKind::Recovery, &[])
            .await
            .unwrap()
    );
    assert_eq!(stores.factors.of_user(ada.user.id).await.unwrap(), [totp]);
    let nobody = UserId(fresh_id());
    assert!(
        !stores
            .factors
            .replace(nobody, FactorKind::Recovery, &codes(nobody))
            .await
            .unwrap()
    );
    assert!(stores.factors.of_user(nobody).await.unwrap().is_empty());
}

pub(super) async fn a_detached_factor_gives_its_link_back(bed: &impl Bed) {
    let stores = bed.open().await;
    let (ada, eve) = (account("ada@example.com"), account("eve@example.com"));
    for somebody in [&ada, &eve] {
        stores.accounts.add(somebody).await.unwrap();
    }
    let link = link();
    let hers = factor(ada.user.id, FactorKind::Provider, Some(link));
    stores.factors.attach(&hers).await.unwrap();
    assert!(
        !stores.factors.detach(eve.user.id, hers.id).await.unwrap(),
        "not somebody else's"
    );
    assert!(stores.factors.detach(ada.user.id, hers.id).await.unwrap());
    assert!(!stores.factors.detach(ada.user.id, hers.id).await.unwrap());
    assert_eq!(stores.factors.linked(&link).await.unwrap(), None);
    let theirs = factor(eve.user.id, FactorKind::Provider, Some(link));
    assert_eq!(stores.factors.attach(&theirs).await.unwrap(), Attached::Attached);
    assert_eq!(stores.factors.linked(&link).await.unwrap(), Some(eve.user.id));
}

pub(super) async fn the_last_factor_of_some_kinds_stays_however_many_are_taken_at_once(bed: &impl Bed) {
    const WAYS_IN: [FactorKind; 2] = [FactorKind::Passkey, FactorKind::Provider];
    let gateways = [bed.open().await, bed.open().await];
    let ada = account("ada@example.com");
    gateways[0].accounts.add(&ada).await.unwrap();
    let user = ada.user.id;
    let passkeys: Vec<Factor> = (0..10)
        .map(|_| factor(user, FactorKind::Passkey, Some(link())))
        .collect();
    let app = factor(user, FactorKind::Totp, None);
    for factor in passkeys.iter().chain([&app]) {
        gateways[0].factors.attach(factor).await.unwrap();
    }
    let mut racers = JoinSet::new();
    for (n, passkey) in passkeys.iter().enumerate() {
        let (store, id) = (gateways[n % 2].factors.clone(), passkey.id);
        racers.spawn(async move { store.detach_but_last(user, id, &WAYS_IN).await.unwrap() });
    }
    let outcomes = racers.join_all().await;
    let refused = outcomes.iter().filter(|came| **came == Detached::Last).count();
    assert_eq!((refused, outcomes.len()), (1, 10));

    let store = &gateways[1].factors;
    let left = store.of_user(user).await.unwrap();
    let last = left.iter().find(|factor| factor.kind == FactorKind::Passkey).unwrap();
    assert_eq!(left.len(), 2);
    assert_eq!(store.linked(&last.link.unwrap()).await.unwrap(), Some(user));
    let gone = passkeys.iter().find(|passkey| passkey.id != last.id).unwrap();
    assert_eq!(store.linked(&gone.link.unwrap()).await.unwrap(), None);
    let came = store.detach_but_last(user, gone.id, &WAYS_IN).await.unwrap();
    assert_eq!(came, Detached::Gone);

    let elsewhere = factor(user, FactorKind::Provider, Some(link()));
    store.attach(&elsewhere).await.unwrap();
    let came = store.detach_but_last(user, last.id, &WAYS_IN).await.unwrap();
    assert_eq!(came, Detached::Detached);
    let came = store.detach_but_last(user, elsewhere.id, &WAYS_IN).await.unwrap();
    assert_eq!(came, Detached::Last);
}

pub(super) async fn a_factor_is_called_what_its_owner_says(bed: &impl Bed) {
    let stores = bed.open().await;
    let (ada, eve) = (account("ada@example.com"), account("eve@example.com"));
    for somebody in [&ada, &eve] {
        stores.accounts.add(somebody).await.unwrap();
    }
    let mut passkey = factor(ada.user.id, FactorKind::Passkey, Some(link()));
    stores.factors.attach(&passkey).await.unwrap();
    assert!(!stores.factors.rename(eve.user.id, passkey.id, "hers").await.unwrap());
    passkey.label = "Key on the ring, “new”".to_owned();
    assert!(
        stores
            .factors
            .rename(ada.user.id, passkey.id, &passkey.label)
            .await
            .unwrap()
    );
    assert_eq!(stores.factors.of_user(ada.user.id).await.unwrap(), [passkey]);
}

pub(super) async fn factors_go_with_their_user(bed: &impl Bed) {
    let stores = bed.open().await;
    let ada = account("ada@example.com");
    stores.accounts.add(&ada).await.unwrap();
    let link = link();
    for factor in [
        factor(ada.user.id, FactorKind::Provider, Some(link)),
        factor(ada.user.id, FactorKind::Totp, None),
    ] {
        stores.factors.attach(&factor).await.unwrap();
    }
    assert!(stores.accounts.remove(ada.user.id).await.unwrap());
    assert!(stores.factors.of_user(ada.user.id).await.unwrap().is_empty());
    assert_eq!(stores.factors.linked(&link).await.unwrap(), None);
    let eve = account("eve@example.com");
    let hers = factor(eve.user.id, FactorKind::Provider, Some(link));
    assert_eq!(stores.factors.found(&eve, &[hers]).await.unwrap(), Attached::Attached);
    assert!(
        stores
            .accounts
            .find_by_email(&email("eve@example.com"))
            .await
            .unwrap()
            .is_some()
    );
}
