//! An OpenID provider of the test's own: it keeps to the protocol unless it is told to say something else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateward::model::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::forge::Forge;
use super::upstream::{Recorded, Upstream};

/// What the gateway is called there, and what proves it.
pub const CLIENT: &str = "gateward";
pub const CLIENT_SECRET: &str = "s3cret of the gateway";

/// A provider at an address of its own.
pub struct OpenId {
    server: Upstream,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where it is; known once it listens.
    issuer: Mutex<String>,
    says: Mutex<Says>,
    codes: Mutex<BTreeMap<String, Question>>,
}

/// What a code was given out for.
struct Question {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

/// What becomes of an ID token before it is given out.
type Forging = Box<dyn Fn(&Forge, String) -> String + Send>;

/// What is said instead of the truth, or beside it.
pub struct Says {
    /// Signs.
    pub forge: Forge,
    /// Members put over those of the metadata; `null` takes one away.
    pub metadata: Value,
    /// The same for the header of ID tokens.
    pub header: Value,
    /// The same for their claims.
    pub claims: Value,
    /// The key set as text.
    pub keys: Option<String>,
    /// Makes an ID token another one.
    pub token: Forging,
    /// What `userinfo` says; `None`: there is no such place.
    pub userinfo: Option<Value>,
}

impl OpenId {
    /// A provider that vouches for Ada.
    pub fn start() -> Self {
        let shared = Arc::new(Shared {
            issuer: Mutex::default(),
            says: Mutex::new(Says {
                forge: Forge::new(),
                metadata: json!({}),
                header: json!({}),
                claims: json!({}),
                keys: None,
                token: Box::new(|_, token| token),
                userinfo: None,
            }),
            codes: Mutex::default(),
        });
        let server = Arc::clone(&shared);
        let server = Upstream::answering(move |request| server.answer(request));
        *shared.issuer.lock().unwrap() = server.url();
        Self { server, shared }
    }

    /// Who it is.
    pub fn issuer(&self) -> String {
        self.server.url()
    }

    /// The lines that make the gateway ask it.
    pub fn settings(&self, id: &str, more: &str) -> String {
        format!(
            "id = \"{id}\"\nname = \"The {id}\"\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret_file = \"corp.secret\"\n{more}\n",
            self.issuer()
        )
    }

    /// Has it say something else from now on.
    pub fn says(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.shared.says.lock().unwrap());
    }

    /// A person has said there who they are: the code that their browser brings back.
    pub fn agrees(&self, question: &BTreeMap<String, String>) -> String {
        let mut codes = self.shared.codes.lock().unwrap();
        let code = format!("code-{}-{}", self.server.port(), codes.len());
        let field = |name: &str| question[name].clone();
        let question = Question {
            nonce: field("nonce"),
            challenge: field("code_challenge"),
            redirect_uri: field("redirect_uri"),
        };
        codes.insert(code.clone(), question);
        code
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.server
            .requests()
            .iter()
            .filter(|request| request.target() == path)
            .count()
    }
}

impl Shared {
    fn answer(&self, request: &Recorded) -> String {
        let issuer = self.issuer.lock().unwrap().clone();
        let says = self.says.lock().unwrap();
        match request.target() {
            "/.well-known/openid-configuration" => {
                ok(&over(metadata(&issuer, says.userinfo.is_some()), &says.metadata).to_string())
            }
            "/keys" => ok(&says.keys.clone().unwrap_or_else(|| keys(&says.forge))),
            "/token" => match self.redeem(request) {
                Some(question) => ok(&grant(&issuer, &says, &question).to_string()),
                None => answer("400 Bad Request", r#"{"error":"invalid_grant"}"#),
            },
            "/userinfo" if request.values("authorization") == ["Bearer the-access-token"] => {
                ok(&says.userinfo.clone().unwrap_or_default().to_string())
            }
            _ => answer("404 Not Found", "{}"),
        }
    }

    /// A code is good once, for whoever asked the question.
    fn redeem(&self, request: &Recorded) -> Option<Question> {
        let fields = fields(&String::from_utf8_lossy(&request.body));
        let login = STANDARD.encode(format!("{CLIENT}:{}", CLIENT_SECRET.replace(' ', "%20")));
        let known = request.values("authorization") == [format!("Basic {login}")];
        let question = self.codes.lock().unwrap().remove(fields.get("code")?)?;
        let verifier = fields.get("code_verifier")?;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        let same = URL_SAFE_NO_PAD.encode(hash) == question.challenge;
        let back = fields.get("redirect_uri") == Some(&question.redirect_uri);
        (known && same && back).then_some(question)
    }
}

fn metadata(issuer: &str, userinfo: bool) -> Value {
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/end"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    });
    if userinfo {
        metadata["userinfo_endpoint"] = json!(format!("{issuer}/userinfo"));
    }
    metadata
}

/// The provider's key as it publishes it.
pub fn keys(forge: &Forge) -> String {
    json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "e": "AQAB", "n": forge.modulus()}]})
        .to_string()
}

fn grant(issuer: &str, says: &Says, question: &Question) -> Value {
    let now = SystemClock.now().as_secs();
    let claims = json!({
        "iss": issuer,
        "sub": "ada-there",
        "aud": CLIENT,
        "nonce": question.nonce,
        "iat": now,
        "exp": now + 600,
        "email": "ada@example.com",
        "email_verified": true,
    });
    let header = json!({"alg": "RS256", "kid": "one", "typ": "JWT"});
    let token = says
        .forge
        .sign(&over(header, &says.header), &over(claims, &says.claims));
    let token = (says.token)(&says.forge, token);
    json!({"access_token": "the-access-token", "token_type": "Bearer", "expires_in": 60, "id_token": token})
}

fn over(mut truth: Value, change: &Value) -> Value {
    let members = truth.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    truth
}

fn ok(body: &str) -> String {
    answer("200 OK", body)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The fields of a query or a form.
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text)
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
