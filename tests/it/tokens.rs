//! Access tokens: good ones verify with anybody's library, forged ones never reach an upstream.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::world::forge::{Forge, claims, encode, part};
use crate::world::{Config, Person, Upstream, World};

/// A world whose gateway knows a key that the test can sign with.
pub struct Mint {
    pub world: World,
    forge: Forge,
    pub person: Person,
    header: Value,
    claims: Value,
}

impl Mint {
    async fn open(upstream: &Upstream) -> Self {
        Self::with(upstream, |_| {}).await
    }

    /// The same with changes to the settings.
    pub async fn with(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> Self {
        let forge = Forge::new();
        let mut world = World::stopped(upstream, change);
        let file = world.dir().join("imported.pem");
        std::fs::write(&file, forge.pem()).expect("a key file");
        world.run(&["keys", "import", &file.to_string_lossy()]).done();
        world.up();
        let person = world.person("ada").await;
        let kid = kid_of(&world, &forge).await;
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid});
        let session = part(&person.access, 1)["sid"].as_str().expect("a session").to_owned();
        let claims = claims(&world, &person.id, &session);
        Self {
            world,
            forge,
            person,
            header,
            claims,
        }
    }

    fn good(&self) -> String {
        self.forge.sign(&self.header, &self.claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        set(&mut header, name, value);
        self.forge.sign(&header, &self.claims)
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        set(&mut claims, name, value);
        self.forge.sign(&self.header, &claims)
    }

    /// Every token there is that no road should let through, with what is wrong with it.
    pub fn forgeries(&self) -> Vec<(String, String)> {
        [self.forged_headers(), self.forged_claims(), self.forged_spellings()].concat()
    }

    fn forged_headers(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let unsigned = |alg: &str| {
            let mut header = self.header.clone();
            set(&mut header, "alg", json!(alg));
            let message = format!(
                "{}.{}",
                encode(header.to_string().as_bytes()),
                encode(self.claims.to_string().as_bytes())
            );
            format!("{message}.")
        };
        for alg in ["none", "None", "NONE", "RS256"] {
            all.push((format!("alg {alg} without a signature"), unsigned(alg)));
        }
        let message = unsigned("HS256");
        let message = message.trim_end_matches('.');
        for public in [self.forge.public(), self.forge.public_pem().into_bytes()] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message.as_bytes());
            let token = format!("{message}.{}", encode(tag.as_ref()));
            all.push(("HS256 with the public key".to_owned(), token));
        }

        let altered = [
            ("alg", json!("ES256")),
            ("alg", json!("PS256")),
            ("alg", Value::Null),
            ("alg", json!("rs256")),
            ("alg", json!("RS384")),
            ("alg", json!(["RS256"])),
            ("typ", json!("JWT")),
            ("typ", json!("gateward-assertion+jwt")),
            ("typ", Value::Null),
            ("typ", json!(7)),
            ("kid", json!("unknown")),
            ("kid", Value::Null),
            ("kid", json!("")),
            ("kid", json!(0)),
            ("kid", json!("../../etc/passwd")),
            ("kid", json!("' OR 1=1 --")),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("jku", json!("https://evil.example/jwks.json")),
            ("jwk", json!({"kty": "RSA", "e": "AQAB", "n": self.forge.modulus()})),
            ("x5u", json!("https://evil.example/cert.pem")),
            ("x5c", json!(["MIIB"])),
            ("cty", json!("JWT")),
        ];
        for (name, value) in altered {
            all.push((
                format!("header {name} = {value}"),
                self.with_header(name, value.clone()),
            ));
        }
        let kid = self.header["kid"].as_str().expect("a kid");
        let doubled = format!(r#"{{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"{kid}"}}"#);
        all.push((
            "alg twice".to_owned(),
            self.forge.sign_text(&doubled, &self.claims.to_string()),
        ));
        let escaped = format!(r#"{{"alg":"none","\u0061lg":"RS256","typ":"at+jwt","kid":"{kid}"}}"#);
        all.push((
            "alg twice, once escaped".to_owned(),
            self.forge.sign_text(&escaped, &self.claims.to_string()),
        ));
        all
    }

    fn forged_claims(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let now = self.claims["iat"].as_u64().expect("a moment");

        for claim in [
            "iss",
            "sub",
            "aud",
            "iat",
            "nbf",
            "exp",
            "jti",
            "sid",
            "auth_time",
            "amr",
        ] {
            all.push((format!("no {claim}"), self.with_claim(claim, Value::Null)));
        }
        let altered = [
            ("iss", json!("https://evil.example")),
            ("iss", json!([self.world.origin()])),
            ("aud", json!("elsewhere")),
            ("aud", json!([])),
            ("aud", json!(7)),
            ("sub", json!(7)),
            ("sub", json!("")),
            ("sub", json!("admin")),
            ("sub", json!(format!("{}\r\nX-Forwarded-User: root", self.person.id))),
            ("exp", json!(now - 3600)),
            ("exp", json!((now + 600).to_string())),
            ("exp", json!(-1)),
            ("exp", json!(now + 10 * 365 * 24 * 3600)),
            ("nbf", json!(now + 3600)),
            ("iat", json!(now + 3600)),
            ("iat", json!("now")),
            ("jti", json!("x")),
            ("sid", json!("x")),
            ("sub", json!(self.person.id.to_uppercase())),
            ("sub", json!(format!("urn:uuid:{}", self.person.id))),
            ("sub", json!(format!("{} ", self.person.id))),
            ("exp", json!(now as f64 + 600.5)),
            ("exp", json!([now + 600])),
            ("exp", json!(u64::MAX)),
            ("nbf", json!(true)),
            ("iat", json!(now - 100 * 24 * 3600)),
            ("auth_time", json!("x")),
            ("amr", json!("pwd")),
            ("amr", json!([7])),
            ("jti", json!(7)),
            ("roles", json!({"0": "admin"})),
            ("roles", json!("admin")),
            ("roles", json!(["staff,admin"])),
            ("roles", json!(["staff\r\nX-Forwarded-User: root"])),
            ("email", json!(["a@example.com"])),
        ];
        for (name, value) in altered {
            all.push((format!("claim {name} = {value}"), self.with_claim(name, value.clone())));
        }
        let text = self.claims.to_string();
        for (what, claims) in [
            (
                "sub twice",
                text.replacen('{', &format!(r#"{{"sub":"{}","#, self.person.id), 1),
            ),
            ("roles twice", text.replacen('{', r#"{"roles":["admin"],"#, 1)),
            ("something behind the object", format!("{text}{{}}")),
            ("an array", format!("[{text}]")),
        ] {
            all.push((what.to_owned(), self.forge.sign_text(&self.header.to_string(), &claims)));
        }
        all
    }

    fn forged_spellings(&self) -> Vec<(String, String)> {
        let good = self.good();
        let (message, signature) = good.rsplit_once('.').expect("a signature");
        let (head, claims) = message.split_once('.').expect("claims");

        // 256 octets are 342 letters, the last of which carries four bits that count for nothing.
        let last = signature.chars().last().expect("a letter");
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let twin = alphabet
            .find(last)
            .and_then(|at| alphabet.chars().nth(at | 1))
            .expect("a letter beside it");
        assert_ne!(last, twin);
        let stub = &signature[..signature.len() - 1];
        let other = Forge::new().sign(&self.header, &self.claims);
        let another_user = encode(
            self.claims
                .to_string()
                .replace(&self.person.id[..8], "01900000")
                .as_bytes(),
        );

        let all = [
            ("a non-canonical signature", format!("{message}.{stub}{twin}")),
            ("padding", format!("{good}==")),
            (
                "a shorter signature",
                format!("{message}.{}", &signature[..signature.len() - 4]),
            ),
            ("a longer signature", format!("{good}AAAA")),
            ("another key's signature", other),
            ("another's claims", format!("{head}.{another_user}.{signature}")),
            ("no signature", message.to_owned()),
            ("an empty signature", format!("{message}.")),
            ("four parts", format!("{good}.AAAA")),
            ("five parts", format!("{good}.AAAA.AAAA")),
            (
                "the ordinary alphabet",
                format!("{head}.{}.{signature}", claims.replacen(&claims[4..5], "+", 1)),
            ),
            ("nothing", "x".to_owned()),
            ("dots", "..".to_owned()),
            ("too long", format!("{head}.{}.{signature}", "A".repeat(9000))),
        ];
        all.map(|(what, token)| (what.to_owned(), token)).into()
    }

    /// Presents a token as a bearer and as a cookie: both are refused and nothing reaches the upstream.
    async fn refuses(&self, upstream: &Upstream, what: &str, token: &str) {
        let before = upstream.count();
        let bearer = self.world.client().get("/things").bearer(token).send().await;
        assert_eq!(
            (bearer.status, bearer.member("code").as_str()),
            (401, "invalid_token"),
            "{what}: {}",
            bearer.text()
        );
        assert!(
            bearer.header("www-authenticate").contains("error=\"invalid_token\""),
            "{what}"
        );
        let cookie = format!("__Host-gateward={token}");
        let cookie = self
            .world
            .client()
            .get("/things")
            .header("cookie", &cookie)
            .send()
            .await;
        assert_eq!(cookie.status, 401, "{what}, as a cookie: {}", cookie.text());
        assert_eq!(upstream.count(), before, "{what} reached the upstream");
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().expect("an object");
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}

async fn jwks(world: &World) -> Value {
    world.client().get("/.well-known/jwks.json").send().await.is(200).json()
}

/// The `kid` under which the gateway publishes the forge's public key.
async fn kid_of(world: &World, forge: &Forge) -> String {
    let set = jwks(world).await;
    let keys = set["keys"].as_array().expect("keys");
    let modulus = forge.modulus();
    let key = keys.iter().find(|key| key["n"] == modulus.as_str());
    key.unwrap_or_else(|| panic!("the imported key is not published: {set}"))["kid"]
        .as_str()
        .expect("a kid")
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_verifies_with_an_independent_library_against_the_jwks() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let set: JwkSet = serde_json::from_value(jwks(&world).await).expect("a JWK set");
    let header = jsonwebtoken::decode_header(&person.access).expect("a header");
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("at+jwt")));

    let jwk = set
        .find(header.kid.as_deref().expect("a kid"))
        .expect("its key is published");
    let mut wanted = Validation::new(Algorithm::RS256);
    wanted.set_audience(&["gateward"]);
    wanted.set_issuer(&[world.origin()]);
    wanted.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    let key = DecodingKey::from_jwk(jwk).expect("a key");
    let token = jsonwebtoken::decode::<Value>(&person.access, &key, &wanted).expect("the token verifies");
    assert_eq!(token.claims["sub"], person.id.as_str());
    assert_eq!(token.claims["email"], person.email.as_str());
    for claim in ["iat", "nbf", "exp", "auth_time"] {
        assert!(token.claims[claim].is_u64(), "{claim} is no number: {}", token.claims);
    }
    assert_eq!(
        token.claims["exp"]
            .as_u64()
            .zip(token.claims["iat"].as_u64())
            .map(|(e, i)| e - i),
        Some(900)
    );
    assert_eq!(token.claims["amr"], json!(["pwd"]));
    assert!(token.claims["jti"].is_string() && token.claims["sid"].is_string());
    assert!(person.access.len() < 1000, "{} bytes", person.access.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jwks_holds_public_members_and_thumbprints_only() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let answer = world.client().get("/.well-known/jwks.json").send().await.is(200);
    let cache = answer.header("cache-control").to_owned();
    let age: u64 = cache
        .split("max-age=")
        .nth(1)
        .and_then(|age| age.parse().ok())
        .expect("a max-age");
    assert!(
        cache.starts_with("public") && age <= 1800,
        "at most half of publish_before: {cache}"
    );

    let set = answer.json();
    let keys = set["keys"].as_array().expect("keys");
    assert!(!keys.is_empty());
    for key in keys {
        let mut names: Vec<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!("RS256")));
        let e = key["e"].as_str().expect("e");
        let n = key["n"].as_str().expect("n");
        // RFC 7638 §3: required members in lexicographic order, no white space.
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        assert_eq!(
            key["kid"],
            encode(digest(&SHA256, members.as_bytes()).as_ref()).as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    mint.person
        .client
        .get("/things")
        .bearer(&mint.good())
        .send()
        .await
        .is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), mint.person.id);

    for (what, token) in mint.forged_headers() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_claims_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    mint.person
        .client
        .get("/things")
        .bearer(&mint.good())
        .send()
        .await
        .is(200);
    for (what, token) in mint.forged_claims() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_signatures_and_spellings_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    let good = mint.good();
    mint.person.client.get("/things").bearer(&good).send().await.is(200);
    for (what, token) in mint.forged_spellings() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bearer_never_falls_back_to_the_cookie_and_two_credentials_must_agree() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let ben = world.person("ben").await;
    let cookie = |token: &str| format!("__Host-gateward={token}");
    let call = || world.client().get("/things");

    call().header("cookie", &cookie(&ada.access)).send().await.is(200);
    call()
        .header("cookie", &cookie(&ada.access))
        .bearer("nonsense")
        .send()
        .await
        .problem(401, "invalid_token");
    let disagreeing = call()
        .header("cookie", &cookie(&ada.access))
        .bearer(&ben.access)
        .send()
        .await;
    assert!(matches!(disagreeing.status, 400 | 401), "{}", disagreeing.text());
    let doubled = format!("{}; {}", cookie(&ada.access), cookie(&ben.access));
    let doubled = call().header("cookie", &doubled).send().await;
    assert!(matches!(doubled.status, 400 | 401), "{}", doubled.text());
    let lines = call()
        .header("cookie", &cookie(&ada.access))
        .header("cookie", &cookie(&ben.access))
        .send()
        .await;
    assert!(matches!(lines.status, 400 | 401), "{}", lines.text());
    let two = call().bearer(&ada.access).bearer(&ada.access).send().await;
    assert!(matches!(two.status, 400 | 401), "{}", two.text());
    assert_eq!(upstream.count(), 1);

    // RFC 9110 §11.1: a scheme's name has no case.
    call()
        .header("authorization", &format!("bearer {}", ada.access))
        .send()
        .await
        .is(200);
    // A token in the query is no credential.
    world
        .client()
        .get(&format!("/things?access_token={}", ada.access))
        .send()
        .await
        .problem(401, "no_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_do_not_accept_a_credential_do_not_see_it() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("bearer-only", "path = \"/b\"\ncredentials = [\"bearer\"]");
        config.route("cookie-only", "path = \"/c\"\ncredentials = [\"cookie\"]");
    });
    let ada = world.person("ada").await;
    let cookie = format!("__Host-gateward={}", ada.access);
    ada.get("/b").await.is(200);
    world.client().get("/c").header("cookie", &cookie).send().await.is(200);
    world
        .client()
        .get("/b")
        .header("cookie", &cookie)
        .send()
        .await
        .problem(401, "no_token");
    ada.get("/c").await.problem(401, "no_token");
    assert_eq!(upstream.count(), 2);
}
