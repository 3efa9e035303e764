//! Nobody gets in, and no account is made or connected, when anything of the protocol does not hold.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{accounts, come_back, refusals, set_out, sign_in, world, world_with};
use crate::world::forge::{Forge, encode, part};
use crate::world::openid::{OpenId, keys};
use crate::world::{Answer, Upstream, WallClock, World};

/// Nobody is signed in, nothing was made, and the log says why.
#[track_caller]
fn refused(world: &World, answer: Answer, status: u16, why: &str) {
    let answer = answer.is(status);
    assert!(answer.cookie("__Host-gateward").is_none(), "{why}: signed in");
    assert_eq!(accounts(world), 0, "{why}: an account was made");
    let said = refusals(world);
    let last = said.last().unwrap_or_else(|| panic!("{why}: nothing in the audit log"));
    assert!(last.contains(why), "refused for {last}, not for {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_says_anything_else_gets_nobody_in() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    for (claims, why) in [
        (json!({"nonce": "another"}), "nonce"),
        (json!({"nonce": null}), "nonce"),
        (json!({"iss": "https://evil.example"}), "another issuer"),
        (json!({"iss": format!("{}/", provider.issuer())}), "another issuer"),
        (json!({"aud": "somebody else"}), "audience"),
        (json!({"aud": ["somebody else", "gateward"]}), "authorized party"),
        (
            json!({"aud": ["somebody else", "gateward"], "azp": "somebody else"}),
            "authorized party",
        ),
        (json!({"azp": "somebody else"}), "authorized party"),
        (json!({"exp": 1_700_000_000}), "expired"),
        (json!({"exp": null}), "missing"),
        (json!({"iat": 4_000_000_000_u64}), "not good yet"),
        (json!({"nbf": 4_000_000_000_u64}), "not good yet"),
        (json!({"sub": null}), "subject"),
        (json!({"sub": ""}), "subject"),
        (json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "at_hash"),
        (json!({"email_verified": false}), "no address"),
        (json!({"email_verified": null}), "no address"),
        (json!({"email_verified": "true"}), "no address"),
        (json!({"email": null}), "no address"),
    ] {
        provider.says(|says| says.claims = claims.clone());
        refused(&world, sign_in(&world, &provider, world.browser()).await, 403, why);
    }
    provider.says(|says| says.claims = json!({}));
    sign_in(&world, &provider, world.browser()).await.is(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_nobody_or_somebody_else_signed_gets_nobody_in() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    type Change = fn(&Forge, String) -> String;
    let attacks: [(&str, Change); 6] = [
        ("algorithm", |_, token| resigned(&token, "none", |_| Vec::new())),
        ("algorithm", |forge, token| {
            by_public_key(&token, forge.public_pem().as_bytes())
        }),
        ("algorithm", |forge, token| by_public_key(&token, &forge.public())),
        ("algorithm", |forge, token| {
            by_public_key(&token, keys(forge).as_bytes())
        }),
        ("signature", |_, token| {
            Forge::new().sign(&part(&token, 0), &part(&token, 1))
        }),
        ("signature", |_, token| {
            format!("{}.", token.rsplit_once('.').unwrap().0)
        }),
    ];
    for (why, attack) in attacks {
        provider.says(|says| says.token = Box::new(attack));
        refused(&world, sign_in(&world, &provider, world.browser()).await, 403, why);
    }
    for (header, why) in [
        (json!({"kid": "two"}), "unknown key"),
        (json!({"kid": 1}), "header member"),
        (json!({"crit": ["x"]}), "header member"),
        (json!({"jku": "https://evil.example/keys"}), "header member"),
        (
            json!({"jwk": {"kty": "RSA", "e": "AQAB", "n": "AQAB"}}),
            "header member",
        ),
        (json!({"typ": "at+jwt"}), "type"),
        (json!({"typ": "logout+jwt"}), "type"),
        (json!({"alg": "RS384"}), "algorithm"),
        (json!({"alg": "ES256"}), "not agreed on"),
    ] {
        provider.says(|says| {
            says.token = Box::new(|_, token| token);
            says.header = header.clone();
        });
        refused(&world, sign_in(&world, &provider, world.browser()).await, 403, why);
    }
    assert_eq!(provider.asked("/keys"), 1, "a made-up key made us ask for keys");
    provider.says(|says| says.header = json!({"kid": null}));
    sign_in(&world, &provider, world.browser()).await.is(303);
}

fn by_public_key(token: &str, public: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, public);
    resigned(token, "HS256", |message| hmac::sign(&key, message).as_ref().to_vec())
}

fn resigned(token: &str, alg: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let mut header = part(token, 0);
    header["alg"] = json!(alg);
    let claims = token.split('.').nth(1).unwrap();
    let message = format!("{}.{claims}", encode(header.to_string().as_bytes()));
    let signature = encode(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_in_the_browser_that_asked_and_for_its_own_question() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let no_question = "no question of this browser";
    let (mine, other) = (
        set_out(&world, world.browser(), "corp", "/").await,
        set_out(&world, world.browser(), "corp", "/").await,
    );
    // Another browser's state, with its own code: what somebody sends a victim to sign them in as somebody else.
    let code = provider.agrees(&other.question);
    let query = format!("code={code}&state={}", other.question["state"]);
    refused(
        &world,
        come_back(&world, &mine.browser, "corp", &query).await,
        403,
        no_question,
    );
    // Another browser's code under one's own state.
    refused(&world, mine.back(&world, &code).await, 403, "invalid_grant");
    // That question is answered now, wrong as the answer was.
    let good = provider.agrees(&mine.question);
    refused(&world, mine.back(&world, &good).await, 403, no_question);
    for nonsense in ["", "state=", "state=short&code=x", "code=x"] {
        refused(
            &world,
            come_back(&world, &other.browser, "corp", nonsense).await,
            403,
            no_question,
        );
    }

    let fresh = set_out(&world, world.browser(), "corp", "/").await;
    let code = provider.agrees(&fresh.question);
    let kept = fresh.browser.copy();
    fresh.back(&world, &code).await.is(303);
    // The same answer once more, in a browser that has kept the cookie of its question.
    let replayed = format!("code={code}&state={}", fresh.question["state"]);
    let again = come_back(&world, &kept, "corp", &replayed).await.is(403);
    assert!(again.cookie("__Host-gateward").is_none());
    // A new question with the code of the old one.
    let next = set_out(&world, world.browser(), "corp", "/").await;
    assert!(
        next.back(&world, &code)
            .await
            .is(403)
            .cookie("__Host-gateward")
            .is_none()
    );
    assert_eq!(
        refusals(&world).last().map(String::as_str),
        Some("corp: refused: invalid_grant")
    );
    assert_eq!(accounts(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_come_back_with_one_answer_at_once_one_gets_in() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let away = set_out(&world, world.browser(), "corp", "/").await;
    let code = provider.agrees(&away.question);
    let query = format!("code={code}&state={}", away.question["state"]);
    let twenty: Vec<_> = (0..20).map(|_| away.browser.copy()).collect();
    let racers = twenty.iter().map(|browser| come_back(&world, browser, "corp", &query));
    let answers = futures_util::future::join_all(racers).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1);
    assert!(answers.iter().all(|answer| [303, 403].contains(&answer.status)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_provider_is_none_of_the_one_that_was_asked() {
    let (upstream, provider, evil) = (Upstream::friendly(), OpenId::start(), OpenId::start());
    let providers = [provider.settings("corp", ""), evil.settings("other", "")];
    let world = world_with(&upstream, &providers, |_| {});
    // Asked at one, come back by the address of the other.
    let away = set_out(&world, world.browser(), "corp", "/").await;
    let code = provider.agrees(&away.question);
    let query = format!("code={code}&state={}", away.question["state"]);
    let lost = come_back(&world, &away.browser, "other", &query).await;
    refused(&world, lost, 403, "no question of this browser");
    // It says itself that it is from another.
    let issuer = evil.issuer();
    refused(
        &world,
        away.back_with(&world, &format!("code={code}&iss={issuer}")).await,
        403,
        "another issuer's",
    );
    let away = set_out(&world, world.browser(), "corp", "/").await;
    let denied = away
        .back_with(&world, &format!("error=access_denied&iss={issuer}"))
        .await;
    refused(&world, denied, 403, "another issuer's");
    assert_eq!(
        evil.asked("/token") + provider.asked("/token"),
        0,
        "a code was sent to somebody"
    );
    // An ID token that is good where it comes from.
    evil.says(|says| says.token = Box::new(|_, token| token));
    let elsewhere = evil.issuer();
    provider.says(|says| says.claims = json!({"iss": elsewhere}));
    refused(
        &world,
        sign_in(&world, &provider, world.browser()).await,
        403,
        "another issuer",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_whom_its_answers_are_from_says_it_in_each() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    provider.says(|says| says.metadata = json!({"authorization_response_iss_parameter_supported": true}));
    let world = world(&upstream, &provider);
    refused(
        &world,
        sign_in(&world, &provider, world.browser()).await,
        403,
        "another issuer's, or says of none",
    );
    let away = set_out(&world, world.browser(), "corp", "/").await;
    let code = provider.agrees(&away.question);
    away.back_with(&world, &format!("code={code}&iss={}", provider.issuer()))
        .await
        .is(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_another_domain_comes_in() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let lines = provider.settings("corp", "allowed_domains = [\"example.com\"]");
    let world = world_with(&upstream, &[lines], |_| {});
    for claims in [
        json!({"email": "ada@evil.example"}),
        json!({"email": "ada@example.com.evil.example"}),
        json!({"email": "ada@sub.example.com"}),
        json!({"email_verified": false}),
        json!({"email": null}),
    ] {
        provider.says(|says| says.claims = claims.clone());
        refused(
            &world,
            sign_in(&world, &provider, world.browser()).await,
            403,
            "another domain",
        );
    }
    provider.says(|says| says.claims = json!({}));
    sign_in(&world, &provider, world.browser()).await.is(303);
    // Somebody who has left is no longer let in.
    provider.says(|says| says.claims = json!({"email": "ada@elsewhere.example"}));
    sign_in(&world, &provider, world.browser()).await.is(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_huge_slow_or_ambiguous_are_none_and_hurt_nobody_else() {
    let upstream = Upstream::friendly();
    let huge = format!("{{\"keys\":[],\"padding\":\"{}\"}}", "x".repeat(300 * 1024));
    for (set, why) in [
        (huge, "too large"),
        ("{\"keys\":{}}".to_owned(), "JWK set"),
        ("{\"keys\":[],\"keys\":[]}".to_owned(), "JWK set"),
        ("[".repeat(100_000), "JWK set"),
    ] {
        let provider = OpenId::start();
        provider.says(|says| says.keys = Some(set));
        let world = world(&upstream, &provider);
        let answer = sign_in(&world, &provider, world.browser()).await;
        assert_eq!(answer.header("retry-after"), "5");
        refused(&world, answer, 503, why);
        // A provider that failed is left alone for a while.
        refused(
            &world,
            sign_in(&world, &provider, world.browser()).await,
            503,
            "a moment ago",
        );
        assert_eq!(provider.asked("/keys"), 1);
    }
}

/// A server that takes requests and says nothing.
fn silent() -> Upstream {
    let silent = Upstream::friendly();
    silent.now(|_, wire| {
        // Until whoever asked goes away.
        let _ = wire.head();
        Ok(crate::world::upstream::Then::Close)
    });
    silent
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_come_are_given_up() {
    let (upstream, provider, silent) = (Upstream::friendly(), OpenId::start(), silent());
    provider.says(|says| says.metadata = json!({"jwks_uri": format!("{}/keys", silent.url())}));
    let world = world(&upstream, &provider);
    refused(
        &world,
        sign_in(&world, &provider, world.browser()).await,
        503,
        "took too long",
    );
    refused(
        &world,
        sign_in(&world, &provider, world.browser()).await,
        503,
        "a moment ago",
    );
    assert_eq!(silent.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_answer_is_given_up_and_everything_else_goes_on() {
    let (upstream, silent) = (Upstream::friendly(), silent());
    let lines = format!(
        "id = \"corp\"\nissuer = \"{}\"\nclient_id = \"gateward\"\n",
        silent.url()
    );
    let world = world_with(&upstream, &[lines], |_| {});
    let browser = world.browser();
    let page = browser
        .get("/auth/login")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let form = format!("form_token={}", super::form_token(&page));
    let waiting = super::submit(&browser, "/auth/providers/corp", &form);
    let others = async {
        let person = world.person("ben").await;
        person.client.get("/things").bearer(&person.access).send().await.is(200);
    };
    let (answer, ()) = tokio::join!(waiting, others);
    let text = answer.is(503).text();
    assert!(
        text.contains("does not answer properly") && text.contains("name=\"password\""),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_or_with_unsafe_places_are_none() {
    let upstream = Upstream::friendly();
    for metadata in [
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"id_token_signing_alg_values_supported": ["none", "HS256"]}),
        json!({"jwks_uri": Value::Null}),
    ] {
        let provider = OpenId::start();
        provider.says(|says| says.metadata = metadata.clone());
        let world = world(&upstream, &provider);
        let browser = world.browser();
        let page = browser
            .get("/auth/login")
            .header("accept", "text/html")
            .send()
            .await
            .is(200);
        let form = format!("form_token={}", super::form_token(&page));
        super::submit(&browser, "/auth/providers/corp", &form).await.is(503);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_of_a_provider_is_found_within_a_minute_and_a_withdrawn_one_forgotten_within_an_hour() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let mut world = World::stopped(&upstream, |config| super::ask(config, &[provider.settings("corp", "")]));
    std::fs::write(world.dir().join("corp.secret"), crate::world::openid::CLIENT_SECRET).unwrap();
    let clock = WallClock::right(world.dir());
    world.under(&clock);
    world.up();
    sign_in(&world, &provider, world.browser()).await.is(303);
    provider.says(|says| {
        says.forge = Forge::new();
        says.header = json!({"kid": "two"});
        says.keys = Some(keys(&says.forge).replace("\"one\"", "\"two\""));
    });
    sign_in(&world, &provider, world.browser()).await.is(403);
    clock.set_ahead(Duration::from_secs(61));
    sign_in(&world, &provider, world.browser()).await.is(303);
    assert_eq!(provider.asked("/keys"), 2);
    provider.says(|says| says.keys = Some("{\"keys\":[]}".to_owned()));
    clock.set_ahead(Duration::from_secs(61 + 3600));
    provider.says(|says| {
        let later = gateward::model::clock::Clock::now(&gateward::model::clock::SystemClock).as_secs() + 61 + 3600;
        says.claims = json!({"iat": later, "exp": later + 600});
    });
    sign_in(&world, &provider, world.browser()).await.is(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_sends_a_browser_to_a_provider() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let browser = world.browser();
    let page = browser
        .get("/auth/login")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let token = super::form_token(&page);
    let without = super::submit(&browser, "/auth/providers/corp", "form_token=")
        .await
        .is(403)
        .text();
    assert!(without.contains("open for too long"), "{without}");
    let foreign = browser
        .post("/auth/providers/corp")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://evil.example")
        .body(format!("form_token={token}"));
    foreign.send().await.is(403);
    // Nor does a link, whoever wrote it.
    browser.get("/auth/providers/corp").send().await.is(405);
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 0);
}
