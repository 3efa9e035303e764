//! Who passes and who does not, credential by credential.

mod proofs;

use std::time::Duration;

use http::header::COOKIE;
use uuid::Uuid;

use super::*;
use crate::config::{Algorithm, Route};
use crate::model::user::{User, UserId};
use crate::proxy::world::{found, origin, route};
use crate::token::world::{World, user};

/// A gate before a world's tokens.
struct Door {
    world: World,
    gate: Gate,
}

impl Door {
    async fn new() -> Self {
        let world = World::new(Algorithm::EdDsa).await;
        let gate = Gate {
            tokens: Arc::clone(&world.tokens),
            public_url: "https://app.test:8443".parse().unwrap(),
        };
        Self { world, gate }
    }

    /// Ada's access token.
    fn token(&self) -> String {
        self.world.issue().jwt
    }

    /// Somebody else's.
    fn other_token(&self) -> String {
        let other = User {
            id: UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002)),
            ..user()
        };
        let session = self.world.session(&other);
        self.world.tokens.issue(&other, &session).unwrap().jwt
    }

    fn expired(&self) -> String {
        let token = self.token();
        self.world.clock.advance(Duration::from_secs(16 * 60));
        token
    }

    async fn knock(&self, route: Route, method: Method, lines: &[(&str, &str)]) -> String {
        self.ask(route, method, lines, None).await
    }

    async fn get(&self, route: Route, lines: &[(&str, &str)]) -> String {
        self.ask(route, Method::GET, lines, None).await
    }

    /// What the gate says, in a word: `ada`, `nobody`, `renew`, or the refusal's code; with `+` where `Authorization` goes on.
    async fn ask(&self, route: Route, method: Method, lines: &[(&str, &str)], access: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let knock = Knock {
            origin: &origin(false),
            method: &method,
            headers: &headers,
            access,
        };
        match self.gate.admit(&found(route), knock).await {
            Ok(admitted) => {
                let who = match admitted.who() {
                    Some(who) if who.identity.user == user().id => "ada",
                    Some(_) => "somebody",
                    None => "nobody",
                };
                let sign = if admitted.keep_authorization { "+" } else { "" };
                format!("{who}{sign}")
            }
            Err(Refused::Renewable) => "renew".into(),
            Err(Refused::Unauthenticated(problem) | Refused::Insufficient(problem) | Refused::Denied(problem)) => {
                problem.code.word().into()
            }
        }
    }
}

fn public() -> Route {
    route()
}

fn optional() -> Route {
    Route {
        access: Access::Optional,
        ..route()
    }
}

fn required() -> Route {
    Route {
        access: Access::Required,
        ..route()
    }
}

fn needs(role: &str) -> Route {
    Route {
        roles: vec!["boss".parse().unwrap(), role.parse().unwrap()],
        ..required()
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn cookie(token: &str) -> String {
    format!("theme=dark; __Host-gateward={token}")
}

const REFRESH: &str = "__Host-gateward-refresh=x";
const OURS: (&str, &str) = ("origin", "https://app.test:8443");
const EVIL: (&str, &str) = ("origin", "https://evil.test");

#[tokio::test]
async fn a_required_route_asks_for_a_credential() {
    let door = Door::new().await;
    let token = door.token();
    assert_eq!(door.get(required(), &[]).await, "no_token");
    assert_eq!(door.get(required(), &[("authorization", &bearer(&token))]).await, "ada");
    assert_eq!(
        door.get(required(), &[("authorization", &format!("bEaReR {token}"))])
            .await,
        "ada"
    );
    assert_eq!(door.get(required(), &[("cookie", &cookie(&token))]).await, "ada+");
    assert_eq!(
        door.get(required(), &[("authorization", "Basic dTpw")]).await,
        "no_token"
    );
}

#[tokio::test]
async fn a_public_route_identifies_nobody() {
    let door = Door::new().await;
    let token = door.token();
    assert_eq!(door.get(public(), &[("cookie", &cookie(&token))]).await, "nobody+");
    assert_eq!(
        door.get(public(), &[("cookie", "__Host-gateward=bad; __Host-gateward=twice")])
            .await,
        "nobody+"
    );
    assert_eq!(
        door.get(public(), &[("authorization", "Bearer theirs")]).await,
        "nobody+"
    );
    assert_eq!(
        door.knock(public(), Method::POST, &[("cookie", &cookie(&token)), EVIL])
            .await,
        "nobody+"
    );
}

#[tokio::test]
async fn a_token_of_ours_goes_on_only_where_the_route_says_so() {
    let door = Door::new().await;
    let ours = bearer(&door.token());
    let lines: &[(&str, &str)] = &[("authorization", &ours)];
    let cookies_only = |access| Route {
        accept_bearer: false,
        access,
        ..route()
    };
    assert_eq!(door.get(public(), lines).await, "nobody");
    assert_eq!(door.get(cookies_only(Access::Optional), lines).await, "nobody");
    assert_eq!(door.get(cookies_only(Access::Required), lines).await, "no_token");
    for access in [Access::Public, Access::Optional, Access::Required] {
        let forwarding = Route {
            forward_token: true,
            access,
            ..route()
        };
        assert!(door.get(forwarding, lines).await.ends_with('+'));
    }
    let expired = bearer(&door.expired());
    assert_eq!(door.get(public(), &[("authorization", &expired)]).await, "nobody");
}

#[tokio::test]
async fn a_foreign_authorization_goes_on_beside_a_cookie_where_bearer_tokens_do_not_count() {
    let door = Door::new().await;
    let cookies_only = Route {
        accept_bearer: false,
        ..required()
    };
    let token = cookie(&door.token());
    for theirs in ["Bearer theirs", "Basic dTpw"] {
        let lines: &[(&str, &str)] = &[("authorization", theirs), ("cookie", &token)];
        assert_eq!(door.get(cookies_only.clone(), lines).await, "ada+");
    }
}

#[tokio::test]
async fn a_bad_bearer_token_never_falls_back_to_the_cookie() {
    let door = Door::new().await;
    let good = cookie(&door.token());
    for bad in ["Bearer bad", "Bearer ", "Bearer", "Bearer a b"] {
        let lines: &[(&str, &str)] = &[("authorization", bad), ("cookie", &good), ("cookie", REFRESH)];
        assert_eq!(door.get(required(), lines).await, "invalid_token", "{bad}");
        assert_eq!(door.get(optional(), lines).await, "invalid_token", "{bad}");
    }
    let expired = bearer(&door.expired());
    let lines: &[(&str, &str)] = &[("authorization", &expired), ("cookie", REFRESH)];
    assert_eq!(door.get(required(), lines).await, "invalid_token");
}

#[tokio::test]
async fn credentials_that_disagree_or_are_doubled_are_refused() {
    let door = Door::new().await;
    let (ada, other) = (door.token(), door.other_token());
    let (by_bearer, by_cookie) = (bearer(&ada), cookie(&other));
    let lines: &[(&str, &str)] = &[("authorization", &by_bearer), ("cookie", &by_cookie)];
    assert_eq!(door.get(required(), lines).await, "bad_request");
    let same = cookie(&ada);
    assert_eq!(
        door.get(required(), &[("authorization", &by_bearer), ("cookie", &same)])
            .await,
        "ada"
    );
    assert_eq!(
        door.get(
            required(),
            &[("authorization", &by_bearer), ("cookie", "__Host-gateward=bad")]
        )
        .await,
        "ada"
    );
    let twice: &[(&str, &str)] = &[("authorization", &by_bearer), ("authorization", &by_bearer)];
    assert_eq!(door.get(required(), twice).await, "bad_request");
    assert_eq!(door.get(public(), twice).await, "bad_request");
    let twice: &[(&str, &str)] = &[("cookie", &same), ("cookie", &same)];
    assert_eq!(door.get(required(), twice).await, "bad_request");
    assert_eq!(door.get(optional(), twice).await, "bad_request");
}

#[tokio::test]
async fn only_the_routes_credentials_count() {
    let door = Door::new().await;
    let token = door.token();
    let bearer_only = Route {
        accept_cookie: false,
        ..required()
    };
    assert_eq!(
        door.get(bearer_only.clone(), &[("cookie", &cookie(&token))]).await,
        "no_token"
    );
    assert_eq!(door.get(bearer_only, &[("cookie", REFRESH)]).await, "no_token");
}

#[tokio::test]
async fn a_dead_cookie_is_renewed_where_it_can_be() {
    let door = Door::new().await;
    let expired = cookie(&door.expired());
    for access in [required(), optional()] {
        assert_eq!(
            door.get(access.clone(), &[("cookie", &expired), ("cookie", REFRESH)])
                .await,
            "renew"
        );
        assert_eq!(door.get(access, &[("cookie", REFRESH)]).await, "renew");
    }
    assert_eq!(door.get(required(), &[("cookie", &expired)]).await, "invalid_token");
    assert_eq!(door.get(optional(), &[("cookie", &expired)]).await, "nobody+");
    assert_eq!(
        door.get(public(), &[("cookie", &expired), ("cookie", REFRESH)]).await,
        "nobody+"
    );
}

#[tokio::test]
async fn after_a_renewal_the_new_token_counts_and_nothing_else() {
    let door = Door::new().await;
    let stale = cookie(&door.expired());
    let lines: &[(&str, &str)] = &[("cookie", &stale), ("cookie", REFRESH)];
    let fresh = door.token();
    assert_eq!(door.ask(required(), Method::GET, lines, Some(&fresh)).await, "ada+");
    // An empty token says that the renewal failed.
    assert_eq!(
        door.ask(required(), Method::GET, lines, Some("")).await,
        "invalid_token"
    );
    assert_eq!(door.ask(optional(), Method::GET, lines, Some("")).await, "nobody+");
}

#[tokio::test]
async fn a_revoked_token_does_not_count() {
    let door = Door::new().await;
    let token = door.world.issue();
    let by_bearer = bearer(&token.jwt);
    assert_eq!(door.get(required(), &[("authorization", &by_bearer)]).await, "ada");
    door.world.revoke(&token).await;
    assert_eq!(
        door.get(required(), &[("authorization", &by_bearer)]).await,
        "invalid_token"
    );
}

#[tokio::test]
async fn a_store_that_is_needed_and_silent_is_no_sign_out() {
    let door = Door::new().await;
    let strict = Route {
        revocation: RevocationMode::Strict,
        ..required()
    };
    let token = cookie(&door.token());
    door.world.revocations.set_down(true);
    let lines: &[(&str, &str)] = &[("cookie", &token), ("cookie", REFRESH)];
    assert_eq!(door.get(strict, lines).await, "store_unavailable");
    assert_eq!(door.get(public(), lines).await, "nobody+");
}

#[tokio::test]
async fn any_of_the_roles_is_enough_and_none_is_forbidden() {
    let door = Door::new().await;
    let token = bearer(&door.token());
    let lines: &[(&str, &str)] = &[("authorization", &token)];
    assert_eq!(door.get(needs("staff"), lines).await, "ada");
    assert_eq!(door.get(needs("root"), lines).await, "forbidden");
    let optional = Route {
        access: Access::Optional,
        ..needs("staff")
    };
    assert_eq!(door.get(optional.clone(), lines).await, "ada");
    assert_eq!(door.get(optional, &[]).await, "no_token");
}

#[tokio::test]
async fn an_unsafe_request_by_cookie_must_come_from_our_pages() {
    let door = Door::new().await;
    let token = cookie(&door.token());
    let by_cookie: (&str, &str) = ("cookie", &token);
    for route in [required(), optional()] {
        for unproven in [
            vec![by_cookie],
            vec![by_cookie, EVIL],
            vec![by_cookie, OURS, ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(
                door.knock(route.clone(), Method::POST, &unproven).await,
                "cross_site",
                "{unproven:?}"
            );
            assert_eq!(door.knock(route.clone(), Method::GET, &unproven).await, "ada+");
        }
        assert_eq!(door.knock(route, Method::POST, &[by_cookie, OURS]).await, "ada+");
    }
    let lenient = Route {
        csrf: false,
        ..required()
    };
    assert_eq!(door.knock(lenient, Method::POST, &[by_cookie, EVIL]).await, "ada+");
}

#[tokio::test]
async fn a_foreign_page_renews_nothing() {
    let door = Door::new().await;
    assert_eq!(
        door.knock(required(), Method::POST, &[("cookie", REFRESH), EVIL]).await,
        "cross_site"
    );
    assert_eq!(
        door.knock(required(), Method::POST, &[("cookie", REFRESH), OURS]).await,
        "renew"
    );
}

#[tokio::test]
async fn a_bearer_token_needs_no_origin() {
    let door = Door::new().await;
    let token = bearer(&door.token());
    assert_eq!(
        door.knock(required(), Method::POST, &[("authorization", &token), EVIL])
            .await,
        "ada"
    );
}

#[tokio::test]
async fn a_websocket_by_cookie_needs_an_origin_of_ours() {
    let door = Door::new().await;
    let token = cookie(&door.token());
    let chat = Route {
        websocket: true,
        csrf: false,
        ..required()
    };
    let handshake = [("connection", "Upgrade"), ("upgrade", "websocket"), ("cookie", &*token)];
    let with = |more: &[(&'static str, &'static str)]| [handshake.as_slice(), more].concat();
    assert_eq!(door.get(chat.clone(), &with(&[])).await, "cross_site");
    assert_eq!(door.get(chat.clone(), &with(&[EVIL])).await, "cross_site");
    assert_eq!(
        door.get(chat.clone(), &with(&[("sec-fetch-site", "same-origin")]))
            .await,
        "cross_site"
    );
    assert_eq!(door.get(chat.clone(), &with(&[OURS])).await, "ada+");
    assert_eq!(door.get(chat, &[(COOKIE.as_str(), &token)]).await, "ada+");
}
