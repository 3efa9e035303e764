//! Whose account a vouched person has, in every case that there is.

use super::*;
use crate::auth::SignedIn;
use crate::auth::step_up::{Missing, Wanted};
use crate::auth::world::{App, World, caller, password};
use crate::model::clock::Clock as _;
use crate::model::credential::Password;
use crate::model::session::Amr;

const ADA: &str = "ada@example.com";

/// Somebody as a provider knows them, who proved themselves there just now.
fn vouched(world: &World, subject: &str, email: Option<&str>) -> Vouched {
    Vouched {
        provider: "corp".to_owned(),
        issuer: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        email: email.map(|email| email.parse().unwrap()),
        roles: None,
        auth_time: world.clock.now(),
        amr: vec![Amr("fed".to_owned())],
    }
}

async fn sign_in(world: &World, vouched: &Vouched) -> Result<SignedIn, AuthError> {
    let entered = world.auth.sign_in_vouched(&caller(), vouched, true).await?;
    Ok(entered.signed_in().expect("no second step"))
}

#[track_caller]
fn refused(outcome: Result<SignedIn, AuthError>, expected: Federated) {
    match outcome {
        Err(AuthError::Federated(why)) => assert_eq!(why, expected),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("signed in"),
    }
}

async fn confirm(world: &World, user: &User) {
    assert!(world.stores.accounts.confirm(user.id, &user.email).await.unwrap());
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_has_it_again_whatever_becomes_of_their_address() {
    let world = World::new().await;
    let first = sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    assert_eq!(first.user.email.as_str(), ADA);
    assert_eq!(first.user.confirmation, Confirmation::Confirmed);
    assert_eq!(first.session.amr, [Amr("fed".to_owned())]);
    for email in [Some("ada@elsewhere.example"), None] {
        let again = sign_in(&world, &vouched(&world, "1", email)).await.unwrap();
        assert_eq!(again.user.id, first.user.id);
    }
    // Another subject with the same address is another person, and so is the same subject of another issuer.
    refused(
        sign_in(&world, &vouched(&world, "2", Some(ADA))).await,
        Federated::TieFirst,
    );
    let elsewhere = Vouched {
        issuer: "https://id.example/".to_owned(),
        ..vouched(&world, "1", Some("eve@example.com"))
    };
    assert_ne!(sign_in(&world, &elsewhere).await.unwrap().user.id, first.user.id);
}

#[tokio::test]
async fn a_provider_remembers_people_and_the_session_says_since_when() {
    let world = World::new().await;
    let earlier = world.clock.now().minus(Duration::from_secs(3600));
    let remembered = Vouched {
        auth_time: earlier,
        ..vouched(&world, "1", Some(ADA))
    };
    let signed_in = sign_in(&world, &remembered).await.unwrap();
    assert_eq!(signed_in.session.auth_time, earlier);
    let who = &signed_in.access.identity;
    let untied = world.auth.untie(&caller(), who, "https://id.example").await;
    assert!(matches!(untied, Err(AuthError::NotRecent { .. })));
}

#[tokio::test]
async fn an_account_of_the_same_address_is_found_only_when_the_address_was_proved_here_too() {
    let world = World::new().await;
    let user = world.register().await;
    let person = vouched(&world, "1", Some(ADA));
    refused(sign_in(&world, &person).await, Federated::TieFirst);
    assert!(world.stores.factors.of_user(user.id).await.unwrap().is_empty());
    confirm(&world, &user).await;
    assert_eq!(sign_in(&world, &person).await.unwrap().user.id, user.id);
    world.auth.login(&caller(), ADA, password()).await.map(|_| ()).unwrap();
}

#[tokio::test]
async fn an_account_with_a_second_factor_is_never_found_by_its_address() {
    let world = World::new().await;
    let user = world.register().await;
    confirm(&world, &user).await;
    let factor = Factor {
        id: FactorId(secret::uuid_v7(world.clock.now()).unwrap()),
        user: user.id,
        kind: FactorKind::Totp,
        label: String::new(),
        sealed: vec![1],
        link: None,
        counter: 0,
        created_at: world.clock.now(),
        used_at: None,
    };
    assert_eq!(world.stores.factors.attach(&factor).await.unwrap(), Attached::Attached);
    refused(
        sign_in(&world, &vouched(&world, "1", Some(ADA))).await,
        Federated::TieFirst,
    );
}

#[tokio::test]
async fn whoever_has_a_second_factor_here_is_asked_for_it_whatever_a_provider_says() {
    let world = World::new().await;
    let here = world.signed_in().await;
    let who = &here.access.identity;
    let told = |words: &[&str]| Vouched {
        amr: words.iter().map(|word| Amr((*word).to_owned())).collect(),
        ..vouched(&world, "1", None)
    };
    world.auth.tie(&caller(), who, &told(&["fed"])).await.unwrap();
    let app = App::reading(&world.auth.begin_totp(who, "Gateward").await.unwrap().uri);
    let code = app.code(world.clock.now());
    world.auth.confirm_totp(&caller(), who, &code).await.unwrap();
    let person = told(&["fed", "pwd", "otp", "mfa"]);
    let entered = world.auth.sign_in_vouched(&caller(), &person, true).await.unwrap();
    assert!(matches!(entered, Entered::SecondStep(_)));
}

#[tokio::test]
async fn nobody_new_comes_in_without_a_verified_address_or_where_registration_is_closed() {
    let world = World::new().await;
    refused(sign_in(&world, &vouched(&world, "1", None)).await, Federated::NoAddress);
    let person = vouched(&world, "1", Some(ADA));
    let closed = world.auth.sign_in_vouched(&caller(), &person, false).await;
    assert!(matches!(closed, Err(AuthError::RegistrationClosed)));
    assert!(world.auth.users().await.unwrap().is_empty());
    let user = sign_in(&world, &person).await.unwrap().user;
    let known = world.auth.sign_in_vouched(&caller(), &person, false).await.unwrap();
    assert_eq!(known.signed_in().unwrap().user.id, user.id);
}

#[tokio::test]
async fn a_disabled_account_stays_so_whoever_vouches() {
    let world = World::new().await;
    let person = vouched(&world, "1", Some(ADA));
    sign_in(&world, &person).await.unwrap();
    world.auth.disable(ADA).await.unwrap();
    refused(sign_in(&world, &person).await, Federated::Disabled);
}

#[tokio::test]
async fn racers_make_one_account() {
    let world = World::new().await;
    let person = vouched(&world, "1", Some(ADA));
    let racers = (0..8).map(|_| sign_in(&world, &person));
    let outcomes = futures_util::future::join_all(racers).await;
    assert!(outcomes.iter().any(Result::is_ok));
    let users = world.auth.users().await.unwrap();
    assert_eq!(users.len(), 1);
    let theirs = |outcome: &Result<SignedIn, AuthError>| outcome.as_ref().is_ok_and(|one| one.user.id == users[0].id);
    assert!(outcomes.iter().all(|outcome| outcome.is_err() || theirs(outcome)));
}

#[tokio::test]
async fn a_provider_that_is_asked_for_roles_replaces_them_each_time() {
    let world = World::new().await;
    let with = |roles: &[&str]| Vouched {
        roles: Some(roles.iter().map(|role| role.parse().unwrap()).collect()),
        ..vouched(&world, "1", Some(ADA))
    };
    let roles = |signed_in: SignedIn| {
        assert_eq!(signed_in.access.identity.roles, signed_in.user.roles);
        signed_in.user.roles.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(roles(sign_in(&world, &with(&["staff"])).await.unwrap()), ["staff"]);
    assert_eq!(
        roles(sign_in(&world, &with(&["audit", "x"])).await.unwrap()),
        ["audit", "x"]
    );
    let not_asked = sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    assert_eq!(roles(not_asked), ["audit", "x"]);
    assert!(roles(sign_in(&world, &with(&[])).await.unwrap()).is_empty());
}

#[tokio::test]
async fn accounts_are_tied_by_their_owners_and_each_person_to_one() {
    let world = World::new().await;
    let ada = world.signed_in().await;
    world.register_as("ben@example.com").await;
    let ben = world.auth.login(&caller(), "ben@example.com", password()).await;
    let ben = ben.unwrap().signed_in().unwrap();
    let (ada, ben) = (&ada.access.identity, &ben.access.identity);
    let person = vouched(&world, "1", None);
    world.auth.tie(&caller(), ada, &person).await.unwrap();
    world.auth.tie(&caller(), ada, &person).await.unwrap();
    assert_eq!(world.auth.ties(ada).await.unwrap().len(), 1);
    let elsewhere = world.auth.tie(&caller(), ben, &person).await;
    assert!(matches!(elsewhere, Err(AuthError::Federated(Federated::TiedElsewhere))));
    let second = world.auth.tie(&caller(), ada, &vouched(&world, "2", None)).await;
    assert!(matches!(second, Err(AuthError::Federated(Federated::TiedAlready))));
    assert_eq!(sign_in(&world, &person).await.unwrap().user.id, ada.user);

    world.clock.advance(Duration::from_secs(601));
    for outcome in [
        world.auth.tie(&caller(), ben, &vouched(&world, "2", None)).await,
        world.auth.untie(&caller(), ada, "https://id.example").await,
    ] {
        assert!(matches!(outcome, Err(AuthError::NotRecent { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_last_way_in_stays_until_there_is_another() {
    let world = World::new().await;
    let here = sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    let who = &here.access.identity;
    let last = world.auth.untie(&caller(), who, "https://id.example").await;
    assert!(matches!(last, Err(AuthError::LastWayIn)));
    let nothing = world.auth.untie(&caller(), who, "https://other.example").await;
    assert!(matches!(nothing, Err(AuthError::NotFound)));

    // A first password needs none before it, but a fresh sign-in.
    let empty = || Password::new(String::new());
    world.clock.advance(Duration::from_secs(601));
    let stale = world.auth.change_password(&caller(), who, empty(), password()).await;
    assert!(matches!(stale, Err(AuthError::NotRecent { .. })));
    let here = sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    let who = &here.access.identity;
    world
        .auth
        .change_password(&caller(), who, empty(), password())
        .await
        .unwrap();
    world.auth.untie(&caller(), who, "https://id.example").await.unwrap();
    world.auth.login(&caller(), ADA, password()).await.map(|_| ()).unwrap();
}

#[tokio::test]
async fn what_its_owner_has_untied_only_its_owner_ties_again() {
    let world = World::new().await;
    let user = world.register().await;
    confirm(&world, &user).await;
    let person = vouched(&world, "1", Some(ADA));
    let here = sign_in(&world, &person).await.unwrap();
    let who = &here.access.identity;
    world.auth.untie(&caller(), who, "https://id.example").await.unwrap();
    assert!(world.auth.ties(who).await.unwrap().is_empty());
    refused(sign_in(&world, &person).await, Federated::TieFirst);
    let again = world.auth.untie(&caller(), who, "https://id.example").await;
    assert!(matches!(again, Err(AuthError::NotFound)));
    world.auth.tie(&caller(), who, &person).await.unwrap();
    assert_eq!(sign_in(&world, &person).await.unwrap().user.id, user.id);
    assert_eq!(world.stores.factors.of_user(user.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_has_no_password_is_asked_to_sign_in_anew_and_not_for_one() {
    let world = World::new().await;
    let here = sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let missing = world.auth.missing(&here.access.identity, Wanted::ONCE_MORE).await;
    assert!(matches!(missing, Ok(Missing::SignIn)));
}

#[tokio::test]
async fn no_password_opens_an_account_that_has_none_and_that_costs_a_hash() {
    let world = World::new().await;
    sign_in(&world, &vouched(&world, "1", Some(ADA))).await.unwrap();
    for guess in ["", "!", "correct horse battery staple"] {
        let before = world.hasher.hashed();
        let outcome = world.auth.login(&caller(), ADA, Password::new(guess.to_owned())).await;
        assert!(matches!(outcome, Err(AuthError::InvalidCredentials)), "{guess}");
        assert_eq!(world.hasher.hashed(), before + 1, "{guess}");
    }
}

#[tokio::test]
async fn what_a_browser_comes_back_for_is_given_out_once_and_for_ten_minutes() {
    let world = World::new().await;
    world.auth.send_away(&caller(), "state", b"baggage").await.unwrap();
    assert_eq!(world.auth.welcome_back("other").await.unwrap(), None);
    assert_eq!(
        world.auth.welcome_back("state").await.unwrap(),
        Some(b"baggage".to_vec())
    );
    assert_eq!(world.auth.welcome_back("state").await.unwrap(), None);
    world.auth.send_away(&caller(), "state", b"baggage").await.unwrap();
    world.clock.advance(ERRAND);
    assert_eq!(world.auth.welcome_back("state").await.unwrap(), None);
}

#[tokio::test]
async fn the_owner_is_told_of_every_tie_that_is_made_or_undone() {
    let world = World::new().await;
    let auth = world.with_letters();
    let user = world.register().await;
    confirm(&world, &user).await;
    let letters = async || world.stores.outbox.waiting().await.unwrap();
    // By the address alone, which nobody who is signed in here has asked for.
    let theirs = vouched(&world, "1", Some(ADA));
    let entered = auth.sign_in_vouched(&caller(), &theirs, true).await.unwrap();
    let here = entered.signed_in().unwrap();
    assert_eq!(letters().await, 1);
    let who = &here.access.identity;
    auth.untie(&caller(), who, "https://id.example").await.unwrap();
    assert_eq!(letters().await, 2);
    auth.tie(&caller(), who, &vouched(&world, "1", None)).await.unwrap();
    assert_eq!(letters().await, 3);
    // Somebody new has nobody to be told.
    let newcomer = vouched(&world, "2", Some("ben@example.com"));
    auth.sign_in_vouched(&caller(), &newcomer, true)
        .await
        .map(|_| ())
        .unwrap();
    assert_eq!(letters().await, 3);
}
