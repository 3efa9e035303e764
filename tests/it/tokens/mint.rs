//! A gateway that knows a key which the test can sign with, and every token that is not to be accepted although, or because, that key signed it.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::jwks;
use crate::world::forge::{Forge, claims, encode, part};
use crate::world::{Config, Person, Upstream, World};

/// A world whose gateway knows a key that the test can sign with.
pub struct Mint {
    pub world: World,
    pub forge: Forge,
    pub person: Person,
    pub header: Value,
    pub claims: Value,
}

impl Mint {
    pub async fn open(upstream: &Upstream) -> Self {
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

    pub fn good(&self) -> String {
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

    pub fn forged_headers(&self) -> Vec<(String, String)> {
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

    pub fn forged_claims(&self) -> Vec<(String, String)> {
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

    pub fn forged_spellings(&self) -> Vec<(String, String)> {
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
    pub async fn refuses(&self, upstream: &Upstream, what: &str, token: &str) {
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
