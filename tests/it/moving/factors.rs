//! Second factors move along, and stay as the target has them where it knows better.

use super::*;
use crate::world::authenticator::{App, begin, verify};

#[tokio::test(flavor = "multi_thread")]
async fn second_factors_move_along_and_no_used_recovery_code_comes_back_with_a_second_run() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let (ada, ben) = (old.person("ada").await, old.person("ben").await);
    let (app, codes) = App::added_to(&old, &ada).await;
    let (_, bens_codes) = App::added_to(&old, &ben).await;
    // One is used before the move.
    let token = begin(&ada.client, &ada.email).await;
    verify(&ada.client, &token, "recovery", &codes[0]).await.is(200);
    stop(&mut old);
    let mut new = stores.stopped(&upstream, |_| ());
    copy(&old, &new).done();
    new.up();
    let client = new.client();
    let token = begin(&client, &ada.email).await;
    verify(&client, &token, "recovery", &codes[0])
        .await
        .problem(401, "invalid_code");
    // Others after it; and Ben's are replaced, Cleo's app comes to the old place meanwhile.
    verify(&client, &token, "recovery", &codes[1]).await.is(200);
    let token = begin(&client, &ben.email).await;
    let signed_in = verify(&client, &token, "recovery", &bens_codes[0]).await.is(200);
    let renewed = client
        .post("/auth/mfa/recovery")
        .bearer(&signed_in.member("access_token"));
    let fresh = renewed.send().await.is(200).json()["recovery_codes"][0]
        .as_str()
        .unwrap()
        .to_owned();
    new.secret(&fresh);
    old.up();
    let cleo = old.person("cleo").await;
    App::added_to(&old, &cleo).await;
    let token = begin(&old.client(), &ada.email).await;
    verify(&old.client(), &token, "recovery", &codes[2]).await.is(200);
    stop(&mut old);

    copy(&old, &new).done();

    let token = begin(&client, &ada.email).await;
    for used in [&codes[0], &codes[1], &codes[2]] {
        verify(&client, &token, "recovery", used)
            .await
            .problem(401, "invalid_code");
    }
    verify(&client, &token, "totp", &app.code(1)).await.is(200);
    let token = begin(&client, &ben.email).await;
    verify(&client, &token, "recovery", &bens_codes[1])
        .await
        .problem(401, "invalid_code");
    verify(&client, &token, "recovery", &fresh).await.is(200);
    begin(&client, &cleo.email).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_that_was_taken_away_at_the_target_does_not_come_back_with_a_second_run() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let ada = old.person("ada").await;
    App::added_to(&old, &ada).await;
    stop(&mut old);
    let mut new = stores.stopped(&upstream, |_| ());
    copy(&old, &new).done();
    new.run(&["user", "reset-mfa", &ada.email]).done();
    copy(&old, &new).done();
    new.up();
    login(&new.client(), &ada.email, PASSWORD, true)
        .await
        .is(200)
        .member("access_token");
}
