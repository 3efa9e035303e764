//! Routes that ask for more than a session.

use super::*;

/// A token of a session whose person has shown two factors.
fn two_factors(door: &Door) -> String {
    let session = crate::model::session::Session {
        amr: proof::Proof::password().with_second(&["otp"]).into_amr(),
        ..door.world.session(&user())
    };
    door.world.tokens.issue(&user(), &session).unwrap().jwt
}

#[tokio::test]
async fn a_route_may_ask_for_two_factors_by_bearer_and_by_cookie() {
    let door = Door::new().await;
    let (one, two) = (door.token(), two_factors(&door));
    let vault = || Route {
        two_factors: true,
        ..required()
    };
    let insufficient = "insufficient_user_authentication";
    assert_eq!(
        door.get(vault(), &[("authorization", &bearer(&one))]).await,
        insufficient
    );
    assert_eq!(door.get(vault(), &[("cookie", &cookie(&one))]).await, insufficient);
    assert_eq!(door.get(vault(), &[("authorization", &bearer(&two))]).await, "ada");
    assert_eq!(door.get(vault(), &[("cookie", &cookie(&two))]).await, "ada+");
    assert_eq!(door.get(vault(), &[]).await, "no_token");
    assert_eq!(
        door.get(vault(), &[("authorization", "Basic x"), ("cookie", &cookie(&one))])
            .await,
        insufficient
    );
}

#[tokio::test]
async fn a_route_may_ask_for_a_recent_proof_and_a_cached_token_grows_old() {
    let door = Door::new().await;
    let token = door.token();
    let till = || Route {
        max_age: Some(Duration::from_secs(60)),
        ..required()
    };
    let line = bearer(&token);
    assert_eq!(door.get(till(), &[("authorization", &line)]).await, "ada");
    door.world.clock.advance(Duration::from_secs(62));
    assert_eq!(
        door.get(till(), &[("authorization", &line)]).await,
        "insufficient_user_authentication"
    );
    assert_eq!(door.get(required(), &[("authorization", &line)]).await, "ada");
}

#[tokio::test]
async fn whom_no_proof_would_help_is_told_so_and_not_sent_to_prove() {
    let door = Door::new().await;
    let route = Route {
        two_factors: true,
        ..needs("nobody-has-this")
    };
    let token = door.token();
    assert_eq!(
        door.get(route, &[("authorization", &bearer(&token))]).await,
        "forbidden"
    );
}
