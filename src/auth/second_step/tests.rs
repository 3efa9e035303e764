//! The second step: what it takes, what it costs whoever guesses, and what is spent when.

use super::*;
use crate::auth::entry::Entered;
use crate::auth::world::{App, World, caller, password};
use crate::model::clock::Clock as _;

const STEP: Duration = Duration::from_secs(30);

/// Ada, whose account has an app.
struct Ada {
    world: World,
    app: App,
    codes: Vec<String>,
}

impl Ada {
    async fn with_app() -> Self {
        let world = World::new().await;
        let (_, app, codes) = world.with_app().await;
        // The step that the first code was of is taken.
        world.clock.advance(STEP);
        Self { world, app, codes }
    }

    /// The password, and with it the token of the second step.
    async fn begin(&self) -> SecondStep {
        begin(&self.world).await
    }

    async fn totp(&self, token: &str, code: &str) -> Result<SignedIn, AuthError> {
        self.take(token, Typed::Totp(code)).await
    }

    async fn recovery(&self, token: &str, code: &str) -> Result<SignedIn, AuthError> {
        self.take(token, Typed::Recovery(code)).await
    }

    async fn take(&self, token: &str, typed: Typed<'_>) -> Result<SignedIn, AuthError> {
        match self.world.auth.take_second_step(&caller(), token, typed).await? {
            Completed::SignedIn(signed_in) => Ok(*signed_in),
            Completed::Raised(_) => panic!("nobody was signed in before"),
        }
    }

    /// A code that is right now.
    fn code(&self) -> String {
        self.app.code(self.world.clock.now())
    }

    async fn sessions(&self) -> usize {
        self.world.auth.sessions_of("ada@example.com").await.unwrap().len()
    }
}

async fn begin(world: &World) -> SecondStep {
    match world
        .auth
        .login(&caller(), "ada@example.com", password())
        .await
        .unwrap()
    {
        Entered::SecondStep(step) => step,
        Entered::SignedIn(_) => panic!("the password was enough"),
    }
}

#[track_caller]
fn is_wrong<T>(outcome: Result<T, AuthError>) {
    assert!(matches!(outcome, Err(AuthError::WrongCode)));
}

#[track_caller]
fn is_over(outcome: Result<SignedIn, AuthError>) {
    assert!(matches!(outcome, Err(AuthError::StepOver)));
}

#[tokio::test]
async fn password_and_code_together_open_a_session_that_says_so() {
    let ada = Ada::with_app().await;
    let before = ada.sessions().await;
    let step = ada.begin().await;
    assert_eq!(step.methods, [FactorKind::Totp, FactorKind::Recovery]);
    assert_eq!(ada.sessions().await, before, "the password alone opens none");
    let signed_in = ada.totp(&step.token, &ada.code()).await.unwrap();
    let told: Vec<&str> = signed_in.session.amr.iter().map(|amr| amr.0.as_str()).collect();
    assert_eq!(told, ["pwd", "otp", "mfa"]);
    assert_eq!(signed_in.access.identity.amr, signed_in.session.amr);
}

#[tokio::test]
async fn a_token_of_a_second_step_is_good_once() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    ada.totp(&step.token, &ada.code()).await.unwrap();
    ada.world.clock.advance(STEP);
    is_over(ada.totp(&step.token, &ada.code()).await);
    is_over(ada.recovery(&step.token, &ada.codes[0]).await);
}

#[tokio::test]
async fn two_right_codes_at_once_take_one_second_step() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    let (code, before) = (ada.code(), ada.sessions().await);
    let (app, paper) = tokio::join!(ada.totp(&step.token, &code), ada.recovery(&step.token, &ada.codes[0]));
    assert_eq!(usize::from(app.is_ok()) + usize::from(paper.is_ok()), 1);
    assert_eq!(ada.sessions().await, before + 1, "nothing is left of the other");
}

#[tokio::test]
async fn a_time_step_is_taken_once_and_none_before_it() {
    let ada = Ada::with_app().await;
    let earlier = ada.code();
    ada.world.clock.advance(STEP);
    let code = ada.code();
    ada.totp(&ada.begin().await.token, &code).await.unwrap();
    is_wrong(ada.totp(&ada.begin().await.token, &code).await);
    is_wrong(ada.totp(&ada.begin().await.token, &earlier).await);
    ada.world.clock.advance(STEP);
    ada.totp(&ada.begin().await.token, &ada.code()).await.unwrap();
}

#[tokio::test]
async fn the_code_that_added_the_app_opens_nothing_more() {
    let world = World::new().await;
    let (_, app, _) = world.with_app().await;
    let code = app.code(world.clock.now());
    let step = begin(&world).await;
    is_wrong(
        world
            .auth
            .take_second_step(&caller(), &step.token, Typed::Totp(&code))
            .await,
    );
}

#[tokio::test]
async fn each_recovery_code_is_good_once() {
    let ada = Ada::with_app().await;
    assert_eq!(ada.codes.len(), 10);
    let signed_in = ada
        .recovery(&ada.begin().await.token, &ada.codes[3].to_uppercase())
        .await
        .unwrap();
    assert!(signed_in.session.amr.contains(&Amr("mfa".to_owned())));
    is_wrong(ada.recovery(&ada.begin().await.token, &ada.codes[3]).await);
    ada.recovery(&ada.begin().await.token, &ada.codes[4]).await.unwrap();
}

#[tokio::test]
async fn codes_that_were_replaced_are_good_for_nothing() {
    let ada = Ada::with_app().await;
    let signed_in = ada.totp(&ada.begin().await.token, &ada.code()).await.unwrap();
    let fresh = ada
        .world
        .auth
        .renew_recovery_codes(&caller(), &signed_in.access.identity)
        .await
        .unwrap();
    is_wrong(ada.recovery(&ada.begin().await.token, &ada.codes[0]).await);
    ada.recovery(&ada.begin().await.token, &fresh[0]).await.unwrap();
}

#[tokio::test]
async fn five_codes_may_be_tried_and_then_it_begins_anew() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    for _ in 0..5 {
        is_wrong(ada.totp(&step.token, "not a code").await);
    }
    is_over(ada.totp(&step.token, &ada.code()).await);
    ada.totp(&ada.begin().await.token, &ada.code()).await.unwrap();
}

#[tokio::test]
async fn endless_beginnings_give_no_endless_guesses() {
    let ada = Ada::with_app().await;
    let limit = ada.world.limits.per_account_code.count;
    for tried in 0..limit {
        let outcome = ada.totp(&ada.begin_again(tried).await.token, "000000").await;
        is_wrong(outcome);
    }
    let step = ada.begin_again(limit).await;
    for outcome in [
        ada.totp(&step.token, &ada.code()).await,
        ada.recovery(&step.token, &ada.codes[0]).await,
    ] {
        assert!(matches!(outcome, Err(AuthError::RateLimited { .. })));
    }
}

#[tokio::test]
async fn a_hundred_wrong_codes_in_a_row_are_the_end_until_a_right_proof() {
    let ada = Ada::with_app().await;
    let limit = ada.world.limits.per_account_code.count;
    for tried in 0..100 {
        if tried % limit == 0 {
            ada.world.clock.advance(Duration::from_secs(3600));
        }
        is_wrong(ada.totp(&ada.begin_again(tried).await.token, "000000").await);
    }
    ada.world.clock.advance(Duration::from_secs(3600));
    let step = ada.begin_again(100).await;
    assert!(matches!(
        ada.totp(&step.token, &ada.code()).await,
        Err(AuthError::RateLimited { .. })
    ));
    ada.recovery(&step.token, &ada.codes[0]).await.unwrap();
}

#[tokio::test]
async fn a_second_step_is_over_after_five_minutes_and_with_the_epoch() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    ada.world.clock.advance(LIFE);
    is_over(ada.totp(&step.token, &ada.code()).await);

    let step = ada.begin().await;
    ada.world.auth.end_all_sessions("ada@example.com").await.unwrap();
    is_over(ada.totp(&step.token, &ada.code()).await);
}

#[tokio::test]
async fn a_disabled_account_takes_no_second_step() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    ada.world.auth.disable("ada@example.com").await.unwrap();
    is_over(ada.totp(&step.token, &ada.code()).await);
}

#[tokio::test]
async fn another_accounts_codes_open_nothing() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    let (_, app, codes) = ada.world.with_app_as("ben@example.com").await;
    ada.world.clock.advance(STEP);
    is_wrong(ada.totp(&step.token, &app.code(ada.world.clock.now())).await);
    is_wrong(ada.recovery(&step.token, &codes[0]).await);
}

#[tokio::test]
async fn a_store_that_fails_spends_neither_step_nor_code() {
    let ada = Ada::with_app().await;
    let (step, code) = (ada.begin().await, ada.code());
    for switched in [true, false] {
        ada.world.sessions.set_down(switched);
        ada.world.ephemeral.set_down(!switched);
        for outcome in [
            ada.totp(&step.token, &code).await,
            ada.recovery(&step.token, &ada.codes[0]).await,
        ] {
            assert!(matches!(outcome, Err(AuthError::Store(_))));
        }
    }
    ada.world.ephemeral.set_down(false);
    ada.totp(&step.token, &code).await.unwrap();
    ada.recovery(&ada.begin().await.token, &ada.codes[0]).await.unwrap();
}

#[tokio::test]
async fn who_can_write_to_the_store_of_passing_facts_makes_up_no_first_factor() {
    let ada = Ada::with_app().await;
    let (step, other) = (ada.begin().await, ada.begin().await);
    let (store, now) = (&ada.world.stores.ephemeral, ada.world.clock.now());
    let kept = store.peek(&key_of(&step.token), now).await.unwrap().unwrap();
    let made_up = serde_json::json!({"user": ada.world.auth.find_user("ada@example.com").await.unwrap().id,
        "epoch": 0, "amr": ["pwd"], "session": null, "until": now.plus(LIFE).as_millis()});
    for value in [kept, made_up.to_string().into_bytes()] {
        store.keep(&key_of(&other.token), &value, now.plus(LIFE)).await.unwrap();
        is_over(ada.totp(&other.token, &ada.code()).await);
    }
    ada.totp(&step.token, &ada.code()).await.unwrap();
}

#[tokio::test]
async fn the_store_of_passing_facts_holds_no_token_of_a_second_step() {
    let ada = Ada::with_app().await;
    let step = ada.begin().await;
    assert_eq!(step.token.len(), 43, "256 bits");
    let store = &ada.world.stores.ephemeral;
    let kept = store
        .peek(&key_of(&step.token), ada.world.clock.now())
        .await
        .unwrap()
        .unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains(&step.token));
    assert!(!key_of(&step.token).contains(&step.token));
}

impl Ada {
    /// The password limits stand aside: an attacker who knows it comes from another place each time.
    async fn begin_again(&self, number: u32) -> SecondStep {
        let from = crate::auth::world::caller_at(&format!("198.51.{}.{}", number / 250, number % 250));
        let user = self.world.auth.find_user("ada@example.com").await.unwrap();
        match self.world.auth.proven(&from, user, Proof::password()).await.unwrap() {
            Entered::SecondStep(step) => step,
            Entered::SignedIn(_) => panic!("the password was enough"),
        }
    }
}
