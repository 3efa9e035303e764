//! Passkeys through the rules, with an authenticator of software that tells the truth or does not.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::authenticator::{Authenticator, PRESENT, VERIFIED};
use super::*;
use crate::auth::SignedIn;
use crate::auth::entry::Entered;
use crate::auth::second_step::{Completed, SecondStep, Typed};
use crate::auth::world::{World, caller, caller_at, password};
use crate::model::credential::{Account, Password, PasswordHash};
use crate::model::factor::{FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::model::session::Amr;
use crate::model::user::Confirmation;

const HERE: &str = "https://localhost:8443";
const BROWSER: Option<&str> = Some("a browser");

fn text(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn octets(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

fn creation(creation: &Creation) -> Value {
    json!({
        "challenge": text(creation.challenge.as_bytes()),
        "rp": {"id": creation.rp_id},
        "user": {"id": text(creation.user.id.0.as_bytes())},
    })
}

fn question(question: &Question) -> Value {
    json!({"challenge": text(question.challenge.as_bytes()), "rpId": question.rp_id})
}

fn made(credential: &Value) -> Made {
    Made {
        id: octets(&credential["id"]),
        client_data: octets(&credential["response"]["clientDataJSON"]),
        attestation: octets(&credential["response"]["attestationObject"]),
        transports: Vec::new(),
    }
}

fn used(credential: &Value) -> Used {
    let response = &credential["response"];
    Used {
        id: octets(&credential["id"]),
        client_data: octets(&response["clientDataJSON"]),
        authenticator_data: octets(&response["authenticatorData"]),
        signature: octets(&response["signature"]),
        user_handle: Some(octets(&response["userHandle"])),
    }
}

/// Adds a passkey.
async fn add(world: &World, who: &Identity, key: &mut Authenticator) -> Result<Added, AuthError> {
    let begun = world.auth.begin_passkey(who).await?;
    let response = made(&key.make(&creation(&begun)));
    world.auth.add_passkey(&caller(), who, "Key ring", &response).await
}

/// Signs in with one alone.
async fn enter(world: &World, key: &mut Authenticator) -> Result<SignedIn, AuthError> {
    let asked = world.auth.ask_for_passkey(&caller(), BROWSER).await?;
    let response = used(&key.answer(&question(&asked)));
    world.auth.enter_with_passkey(&caller(), BROWSER, &response).await
}

/// Ada, signed in, and her passkey.
async fn ada(world: &World) -> (SignedIn, Authenticator) {
    let signed_in = world.signed_in().await;
    let mut key = Authenticator::at(HERE);
    add(world, &signed_in.access.identity, &mut key).await.unwrap();
    (signed_in, key)
}

#[track_caller]
fn refused<T>(outcome: Result<T, AuthError>, why: &str) {
    match outcome {
        Err(AuthError::InvalidCredentials) => {}
        Err(other) => panic!("{why}: {other}"),
        Ok(_) => panic!("{why}: let in"),
    }
}

#[tokio::test]
async fn a_passkey_alone_signs_its_owner_in_as_two_factors() {
    let world = World::new().await;
    let (ada, mut key) = ada(&world).await;
    for _ in 0..2 {
        let signed_in = enter(&world, &mut key).await.unwrap();
        assert_eq!(signed_in.user.id, ada.user.id);
        let amr: Vec<Amr> = ["pop", "user", "mfa"].map(|word| Amr(word.to_owned())).into();
        assert_eq!((&signed_in.session.amr, &signed_in.access.identity.amr), (&amr, &amr));
    }
    let listed = world.auth.passkeys_of(&ada.access.identity).await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].name.as_str(), listed[0].used_at.is_some()),
        (1, "Key ring", true)
    );
}

#[tokio::test]
async fn whatever_of_an_answer_is_not_as_it_must_be_signs_nobody_in() {
    type Lie = fn(&mut Authenticator);
    let lies: [(&str, Lie); 9] = [
        ("another page", |key| key.origin = "https://localhost".into()),
        ("a page in the clear", |key| key.origin = "http://localhost:8443".into()),
        ("another relying party", |key| key.rp_id = Some("example.com".into())),
        ("in a frame", |key| key.more = r#""crossOrigin":true"#),
        ("in somebody's frame", |key| {
            key.more = r#""topOrigin":"https://evil.example""#
        }),
        ("nobody was verified", |key| key.flags = PRESENT),
        ("nobody was there", |key| key.flags = VERIFIED),
        ("somebody else's name", |key| key.owner = vec![7; 16]),
        ("no name", |key| key.owner = Vec::new()),
    ];
    let world = World::new().await;
    let (_, mut key) = ada(&world).await;
    let (owner, honest) = (key.owner.clone(), "\"crossOrigin\":false");
    for (why, lie) in lies {
        lie(&mut key);
        refused(enter(&world, &mut key).await, why);
        (key.origin, key.rp_id, key.more) = (HERE.into(), None, honest);
        (key.flags, key.owner) = (PRESENT | VERIFIED, owner.clone());
        enter(&world, &mut key).await.unwrap();
    }
    let mut stranger = Authenticator::at(HERE);
    (stranger.id, stranger.owner) = (key.id.clone(), owner);
    refused(enter(&world, &mut stranger).await, "another key under her name");
}

#[tokio::test]
async fn an_answer_is_good_once_in_its_browser_and_for_its_purpose() {
    let world = World::new().await;
    let (ada, mut key) = ada(&world).await;
    let auth = &world.auth;
    let asked = auth.ask_for_passkey(&caller(), BROWSER).await.unwrap();
    let response = used(&key.answer(&question(&asked)));
    refused(
        auth.enter_with_passkey(&caller(), Some("another"), &response).await,
        "another browser",
    );
    refused(auth.enter_with_passkey(&caller(), None, &response).await, "a program");
    auth.enter_with_passkey(&caller(), BROWSER, &response)
        .await
        .map(|_| ())
        .unwrap();
    refused(
        auth.enter_with_passkey(&caller(), BROWSER, &response).await,
        "once more",
    );

    let begun = auth
        .begin_passkey(&enter(&world, &mut key).await.unwrap().access.identity)
        .await
        .unwrap();
    let crossed = json!({"challenge": text(begun.challenge.as_bytes()), "rpId": begun.rp_id});
    let response = used(&key.answer(&crossed));
    refused(
        auth.enter_with_passkey(&caller(), BROWSER, &response).await,
        "a challenge to add one",
    );

    let asked = auth.ask_for_passkey(&caller(), BROWSER).await.unwrap();
    let response = used(&key.answer(&question(&asked)));
    world.clock.advance(CHALLENGE_LIFE);
    refused(auth.enter_with_passkey(&caller(), BROWSER, &response).await, "too late");
    let own = json!({"challenge": text(&[7; CHALLENGE]), "rpId": "localhost"});
    let response = used(&key.answer(&own));
    refused(
        auth.enter_with_passkey(&caller(), BROWSER, &response).await,
        "a challenge of its own",
    );
    assert_eq!(auth.passkeys_of(&ada.access.identity).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_refused_passkey_costs_the_same_store_calls() {
    let world = World::new().await;
    let (ada, mut hers) = ada(&world).await;
    let mut unknown = Authenticator::at(HERE);
    unknown.owner = ada.user.id.0.as_bytes().to_vec();
    let mut forged = Authenticator::at(HERE);
    (forged.id, forged.owner) = (hers.id.clone(), hers.owner.clone());
    let mut costs = Vec::new();
    for (why, key) in [("unknown", &mut unknown), ("forged", &mut forged)] {
        let before = (world.ephemeral.calls(), world.sessions.calls());
        refused(enter(&world, key).await, why);
        costs.push((world.ephemeral.calls() - before.0, world.sessions.calls() - before.1));
    }
    world.auth.disable("ada@example.com").await.unwrap();
    let before = (world.ephemeral.calls(), world.sessions.calls());
    refused(enter(&world, &mut hers).await, "disabled");
    costs.push((world.ephemeral.calls() - before.0, world.sessions.calls() - before.1));
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[tokio::test]
async fn a_counter_that_falls_is_a_copied_key_and_signs_nobody_in() {
    let world = World::new().await;
    let (who, mut key) = (world.signed_in().await, Authenticator::at(HERE));
    key.count = 5;
    add(&world, &who.access.identity, &mut key).await.unwrap();
    enter(&world, &mut key).await.unwrap();
    for before in [5, 4, 2] {
        key.count = before;
        refused(enter(&world, &mut key).await, "behind, or where it stands");
    }
    key.count = 0;
    refused(enter(&world, &mut key).await, "it counts no more");
    key.count = 6;
    enter(&world, &mut key).await.unwrap();
}

#[tokio::test]
async fn limits_count_passkeys_of_a_source_and_questions_apart() {
    let world = World::new().await;
    let mut key = Authenticator::at(HERE);
    key.owner = vec![7; 16];
    let somebody = caller_at("198.51.100.7");
    let response = used(&key.answer(&json!({"challenge": text(&[7; 32]), "rpId": "localhost"})));
    for _ in 0..world.limits.per_ip.count {
        world.auth.ask_for_passkey(&somebody, None).await.map(|_| ()).unwrap();
        refused(
            world.auth.enter_with_passkey(&somebody, None, &response).await,
            "unknown",
        );
    }
    let limited = world.auth.ask_for_passkey(&somebody, None).await;
    assert!(matches!(limited, Err(AuthError::RateLimited { .. })));
    let limited = world.auth.enter_with_passkey(&somebody, None, &response).await;
    assert!(matches!(limited, Err(AuthError::RateLimited { .. })));
}

#[tokio::test]
async fn a_passkey_is_added_by_whoever_signed_in_recently_in_the_same_session() {
    let world = World::new().await;
    let (here, there) = (world.signed_in().await, world.again().await);
    let (here, there) = (&here.access.identity, &there.access.identity);
    let mut key = Authenticator::at(HERE);
    let begun = world.auth.begin_passkey(here).await.unwrap();
    let response = made(&key.make(&creation(&begun)));
    let elsewhere = world.auth.add_passkey(&caller(), there, "", &response).await;
    assert!(matches!(elsewhere, Err(AuthError::PasskeyRefused)));
    let added = world
        .auth
        .add_passkey(&caller(), here, "  ", &response)
        .await
        .map(|added| added.passkey.name);
    assert_eq!(added.unwrap(), "Passkey");
    let again = world.auth.add_passkey(&caller(), here, "", &response).await;
    assert!(matches!(again, Err(AuthError::NotRecent { needs_two: true })));

    world.clock.advance(Duration::from_secs(601));
    let late = world.auth.begin_passkey(here).await;
    assert!(matches!(late, Err(AuthError::NotRecent { .. })));
}

#[tokio::test]
async fn a_new_passkey_verifies_its_person_and_belongs_to_one_account() {
    let world = World::new().await;
    let who = world.signed_in().await.access.identity;
    let mut key = Authenticator::at(HERE);
    key.flags = PRESENT;
    assert!(matches!(
        add(&world, &who, &mut key).await,
        Err(AuthError::PasskeyRefused)
    ));
    key.flags = PRESENT | VERIFIED;
    key.origin = "https://evil.example".into();
    assert!(matches!(
        add(&world, &who, &mut key).await,
        Err(AuthError::PasskeyRefused)
    ));
    key.origin = HERE.into();
    let added = add(&world, &who, &mut key).await.unwrap();
    assert_eq!(added.recovery_codes.map(|codes| codes.len()), Some(10));

    world.register_as("ben@example.com").await;
    let ben = world
        .auth
        .login(&caller(), "ben@example.com", password())
        .await
        .unwrap();
    let ben = ben.signed_in().unwrap().access.identity;
    assert!(matches!(
        add(&world, &ben, &mut key).await,
        Err(AuthError::PasskeyTaken)
    ));
    assert!(world.auth.passkeys_of(&ben).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_account_has_twenty_passkeys_at_most_and_each_is_told_to_the_browser() {
    let world = World::new().await;
    let (_, mut key) = ada(&world).await;
    let who = enter(&world, &mut key).await.unwrap().access.identity;
    for number in 1..20 {
        let begun = world.auth.begin_passkey(&who).await.unwrap();
        assert_eq!(begun.known.len(), number);
        let mut another = Authenticator::at(HERE);
        let response = made(&another.make(&creation(&begun)));
        let added = world.auth.add_passkey(&caller(), &who, "", &response).await.unwrap();
        assert!(added.recovery_codes.is_none());
    }
    assert!(matches!(
        world.auth.begin_passkey(&who).await,
        Err(AuthError::TooManyPasskeys)
    ));
}

/// The step that follows Ada's password.
async fn second_step(world: &World) -> SecondStep {
    match world
        .auth
        .login(&caller(), "ada@example.com", password())
        .await
        .unwrap()
    {
        Entered::SecondStep(step) => step,
        Entered::SignedIn(_) => panic!("no second step"),
    }
}

#[tokio::test]
async fn after_a_password_a_passkey_of_theirs_is_the_second_step() {
    let world = World::new().await;
    let (_, mut key) = ada(&world).await;
    let auth = &world.auth;
    let step = second_step(&world).await;
    assert!(step.methods.contains(&FactorKind::Passkey));
    let asked = auth.ask_for_second_passkey(&caller(), &step.token).await.unwrap();
    assert_eq!(
        asked.allowed.iter().map(|known| &known.id).collect::<Vec<_>>(),
        [&key.id]
    );
    let response = used(&key.answer(&question(&asked)));

    let other = second_step(&world).await;
    let crossed = auth
        .take_second_step(&caller(), &other.token, Typed::Passkey(&response))
        .await;
    assert!(matches!(crossed, Err(AuthError::WrongCode)), "another transaction's");
    refused(
        auth.enter_with_passkey(&caller(), BROWSER, &response).await,
        "as a passkey alone",
    );
    key.flags = PRESENT;
    let asked = auth.ask_for_second_passkey(&caller(), &step.token).await.unwrap();
    let response = used(&key.answer(&question(&asked)));
    let Ok(Completed::SignedIn(signed_in)) = auth
        .take_second_step(&caller(), &step.token, Typed::Passkey(&response))
        .await
    else {
        panic!("the right passkey was refused")
    };
    let amr: Vec<Amr> = ["pwd", "pop", "user", "mfa"].map(|word| Amr(word.to_owned())).into();
    assert_eq!(signed_in.session.amr, amr);
    let again = auth
        .take_second_step(&caller(), &step.token, Typed::Passkey(&response))
        .await;
    assert!(matches!(again, Err(AuthError::StepOver)));
}

#[tokio::test]
async fn a_strangers_passkey_is_no_second_step() {
    let world = World::new().await;
    ada(&world).await;
    let (mut stranger, step) = (Authenticator::at(HERE), second_step(&world).await);
    let asked = world.auth.ask_for_second_passkey(&caller(), &step.token).await.unwrap();
    let response = used(&stranger.answer(&question(&asked)));
    let came = world
        .auth
        .take_second_step(&caller(), &step.token, Typed::Passkey(&response))
        .await;
    assert!(matches!(came, Err(AuthError::WrongCode)));
    let nobody = world.auth.ask_for_second_passkey(&caller(), "no token").await;
    assert!(matches!(nobody, Err(AuthError::StepOver)));
}

#[tokio::test]
async fn passkeys_are_renamed_and_removed_by_their_owner_only() {
    let world = World::new().await;
    let (_, mut key) = ada(&world).await;
    let who = enter(&world, &mut key).await.unwrap().access.identity;
    let id = world.auth.passkeys_of(&who).await.unwrap()[0].id;
    world.register_as("ben@example.com").await;
    let ben = world
        .auth
        .login(&caller(), "ben@example.com", password())
        .await
        .unwrap();
    let ben = ben.signed_in().unwrap().access.identity;
    let auth = &world.auth;
    assert!(matches!(
        auth.rename_passkey(&caller(), &ben, id, "his").await,
        Err(AuthError::NotFound)
    ));
    assert!(matches!(
        auth.remove_passkey(&caller(), &ben, id).await,
        Err(AuthError::NotFound)
    ));
    for bad in ["x".repeat(65), "two\nlines".to_owned()] {
        assert!(matches!(
            auth.rename_passkey(&caller(), &who, id, &bad).await,
            Err(AuthError::BadName)
        ));
    }
    auth.rename_passkey(&caller(), &who, id, "  Phone ").await.unwrap();
    assert_eq!(auth.passkeys_of(&who).await.unwrap()[0].name, "Phone");
    let nothing = FactorId(Uuid::from_u128(9));
    assert!(matches!(
        auth.remove_passkey(&caller(), &who, nothing).await,
        Err(AuthError::NotFound)
    ));
    auth.remove_passkey(&caller(), &who, id).await.unwrap();
    refused(enter(&world, &mut key).await, "removed");
    assert!(
        auth.factors(&who).await.unwrap().is_empty(),
        "no recovery codes without a second factor"
    );
    assert!(
        world
            .auth
            .login(&caller(), "ada@example.com", password())
            .await
            .unwrap()
            .signed_in()
            .is_some()
    );
}

#[tokio::test]
async fn the_last_way_in_stays_however_many_are_removed_at_once() {
    let world = World::new().await;
    let (ada, mut key) = ada(&world).await;
    let who = enter(&world, &mut key).await.unwrap().access.identity;
    add(&world, &who, &mut Authenticator::at(HERE)).await.unwrap();
    let account = world.stores.accounts.find(ada.user.id).await.unwrap().unwrap();
    let without = Account {
        password: PasswordHash::none(),
        ..account.clone()
    };
    assert!(
        world
            .stores
            .accounts
            .replace(&without, account.user.epoch)
            .await
            .unwrap()
    );
    let ids: Vec<FactorId> = world
        .auth
        .passkeys_of(&who)
        .await
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    let caller = caller();
    let removals = ids.iter().map(|id| world.auth.remove_passkey(&caller, &who, *id));
    let outcomes = futures_util::future::join_all(removals).await;
    let kept = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(AuthError::LastWayIn)))
        .count();
    assert_eq!((kept, outcomes.len()), (1, 2));
    assert_eq!(world.auth.passkeys_of(&who).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_passkey_is_no_way_round_a_letter_that_was_not_answered() {
    let world = World::new().await;
    let (ada, mut key) = ada(&world).await;
    let mut account = world.stores.accounts.find(ada.user.id).await.unwrap().unwrap();
    account.user.confirmation = Confirmation::Pending;
    let epoch = account.user.epoch;
    assert!(world.stores.accounts.replace(&account, epoch).await.unwrap());
    refused(enter(&world, &mut key).await, "not confirmed");
}

#[tokio::test]
async fn a_store_that_fails_signs_nobody_in_and_is_said_to_fail() {
    let world = World::new().await;
    let (_, mut key) = ada(&world).await;
    let asked = world.auth.ask_for_passkey(&caller(), BROWSER).await.unwrap();
    let response = used(&key.answer(&question(&asked)));
    world.ephemeral.set_down(true);
    let came = world.auth.enter_with_passkey(&caller(), BROWSER, &response).await;
    assert!(matches!(came, Err(AuthError::Store(_))));
    world.ephemeral.set_down(false);
    world
        .auth
        .enter_with_passkey(&caller(), BROWSER, &response)
        .await
        .map(|_| ())
        .unwrap();
}

#[tokio::test]
async fn a_password_is_not_needed_for_it_and_still_works_beside_it() {
    let world = World::new().await;
    ada(&world).await;
    let wrong = world
        .auth
        .login(&caller(), "ada@example.com", Password::new("not the right one".into()))
        .await;
    assert!(matches!(wrong, Err(AuthError::InvalidCredentials)));
    second_step(&world).await;
}

#[tokio::test]
async fn a_squatter_who_adds_a_passkey_after_the_first_look_of_a_reset_is_out_all_the_same() {
    let world = World::new().await;
    let squatter = world.signed_in().await.access.identity;
    let mut key = Authenticator::at(HERE);
    let adding = async { add(&world, &squatter, &mut key).await.map(|_| ()).unwrap() };
    world.reset_while(squatter.user, adding).await;
    refused(enter(&world, &mut key).await, "the squatter is still in");
    let entered = world.auth.login(&caller(), "ada@example.com", password()).await;
    assert!(entered.unwrap().signed_in().is_none(), "it stays a second step");
}

#[tokio::test]
async fn a_squatter_whose_passkey_was_on_its_way_during_a_reset_is_out_all_the_same() {
    let world = World::new().await;
    let squatter = world.signed_in().await.access.identity;
    let mut key = Authenticator::at(HERE);
    let outcome = world
        .reset_during(squatter.user, add(&world, &squatter, &mut key))
        .await;
    assert!(matches!(outcome, Err(AuthError::SessionOver { .. })));
    refused(enter(&world, &mut key).await, "the squatter is still in");
    let left = world.stores.factors.of_user(squatter.user).await.unwrap();
    assert_eq!(left, [], "nor do their recovery codes stay");
}
