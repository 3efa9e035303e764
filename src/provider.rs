//! Other people's sign-in: OpenID providers (OpenID Connect Core 1.0, code flow with PKCE), asked over a small client of our own.
//!
//! What a provider says is believed when each step of the specification holds and nothing is left to kindness: issuer, audience, nonce, times, signature,
//! and the `iss` of its answer (RFC 9207). This room knows no accounts and no browsers: the portal binds a question to the browser that asks it, and `auth`
//! says whose account a vouched person has. The usual crate brings a second crypto stack along, with an open advisory; a room of its own is smaller. It
//! imports `wire` for the authorities behind TLS, and `token` for judging signatures.

mod fetch;
mod id_token;
mod known;
mod metadata;
mod question;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::config;
use crate::model::clock::Clock;
use crate::model::vouched::Vouched;
use crate::token::foreign::{Distrust, Statement};
use crate::wire::trust::{Trust, TrustError};
use fetch::{Client, FetchError, form};
use id_token::Grant;
use known::Known;
use metadata::Metadata;
pub use question::Question;

/// How long the whole exchange behind an answer may take; a person waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the way out is looked for: whoever signs out is signed out already.
const LEAVE_PATIENCE: Duration = Duration::from_secs(2);

/// Why nobody was vouched for.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not in a way that can be understood.
    #[error("cannot be asked: {0}")]
    Unreachable(String),
    /// It says no, in a word of the specification.
    #[error("refused: {0}")]
    Refused(String),
    /// What it says does not hold.
    #[error("is not believed: {0}")]
    Distrusted(&'static str),
    /// It knows the person, and they are not among those that may come in.
    #[error("vouches for somebody of another domain, or for no address")]
    Outsider,
}

/// All providers of a configuration.
#[derive(Debug, Default)]
pub struct Providers(Vec<Provider>);

/// One provider.
#[derive(Debug)]
pub struct Provider {
    settings: config::Provider,
    callback: String,
    client: Client,
    known: Known,
    clock: Arc<dyn Clock>,
}

/// What a browser brought back from a provider.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The code.
    pub code: &'a str,
    /// Who the answer says it is from; empty where it does not say.
    pub issuer: &'a str,
}

impl Providers {
    /// Makes them ready: certificates are read here, and nobody is asked anything. `site` is where our own pages stand.
    ///
    /// # Errors
    /// There is nobody to vouch for a provider's server.
    pub fn new(settings: &[config::Provider], site: &str, clock: &Arc<dyn Clock>) -> Result<Self, TrustError> {
        let one = |settings: &config::Provider| {
            let trust = match settings.is_in_the_clear() {
                true => None,
                false => Some(Trust::read(settings.ca_file.as_deref(), "OpenID providers")?),
            };
            Ok(Provider {
                callback: format!("{site}/providers/{}/callback", settings.id),
                client: Client::new(trust.map(|trust| trust.connector)),
                known: Known::default(),
                clock: Arc::clone(clock),
                settings: settings.clone(),
            })
        };
        settings.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// The provider of a name.
    pub fn find(&self, id: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.settings.id == id)
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter()
    }
}

impl Provider {
    /// Its name in paths.
    pub fn id(&self) -> &str {
        &self.settings.id
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Who it is to itself.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Whether somebody whom it vouches for and nobody knows here gets an account.
    pub fn registers(&self) -> bool {
        self.settings.registration
    }

    /// Where a browser asks the question. `afresh`: the person is to prove themselves again, even if the provider remembers them.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn address(&self, question: &Question, afresh: bool) -> Result<String, ProviderError> {
        let metadata = self.metadata().await?;
        let scope = self.settings.scopes.join(" ");
        let challenge = question.challenge();
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.callback),
            ("scope", &scope),
            ("state", &question.state),
            ("nonce", &question.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if afresh {
            fields.push(("max_age", "0"));
        }
        Ok(with_query(&metadata.authorization, &form(&fields)))
    }

    /// Trades a code for what the provider says of the person.
    ///
    /// # Errors
    /// Whatever keeps its word from being believed.
    pub async fn redeem(&self, question: &Question, answer: &Answer<'_>) -> Result<Vouched, ProviderError> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(question, answer));
        exchange
            .await
            .map_err(|_| ProviderError::Unreachable("it took too long".to_owned()))?
    }

    /// Whether an answer may be from this provider: what it says itself of who it is from (RFC 9207 §2.4), whatever else it says.
    ///
    /// # Errors
    /// `Distrusted`, or `Unreachable` where that cannot be told.
    pub async fn must_be_from(&self, issuer: &str) -> Result<(), ProviderError> {
        if issuer.is_empty() && !self.metadata().await?.says_issuer {
            return Ok(());
        }
        if issuer == self.settings.issuer {
            return Ok(());
        }
        Err(ProviderError::Distrusted(
            "the answer is another issuer's, or says of none",
        ))
    }

    /// Where a browser leaves the provider too (OpenID Connect RP-Initiated Logout 1.0), coming back to `after`; `None`: there is no such place, or it
    /// cannot be told now.
    pub async fn way_out(&self, after: &str) -> Option<String> {
        let metadata = tokio::time::timeout(LEAVE_PATIENCE, self.metadata()).await.ok()?.ok()?;
        let end = metadata.end_session.as_ref()?;
        let fields = [
            ("client_id", self.settings.client_id.as_str()),
            ("post_logout_redirect_uri", after),
        ];
        Some(with_query(end, &form(&fields)))
    }

    async fn exchange(&self, question: &Question, answer: &Answer<'_>) -> Result<Vouched, ProviderError> {
        self.must_be_from(answer.issuer).await?;
        let metadata = self.metadata().await?;
        let grant = self.grant(&metadata, question, answer.code).await?;
        let said = self.proved(&metadata, &grant.id_token).await?;
        let now = self.clock.now();
        id_token::judge(&said, &self.settings, question, grant.access_token.as_deref(), now)?;
        let more = self.more(&metadata, &grant, &said).await?;
        id_token::vouched(&said, more.as_ref(), &self.settings, now)
    }

    /// Code against tokens (OpenID Connect Core §3.1.3).
    async fn grant(&self, metadata: &Metadata, question: &Question, code: &str) -> Result<Grant, ProviderError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback),
            ("code_verifier", &question.verifier),
        ];
        let secret = self.settings.client_secret.as_ref().map(|secret| secret.expose());
        let basic = secret.filter(|_| metadata.takes_basic);
        if basic.is_none() {
            fields.push(("client_id", &self.settings.client_id));
            fields.extend(secret.map(|secret| ("client_secret", secret)));
        }
        let login = basic.map(|secret| (self.settings.client_id.as_str(), secret));
        let (status, body) = self.client.post(&metadata.token, &fields, login).await?;
        Grant::read(status, &body)
    }

    /// The ID token's claims, once a key of the provider has proved them. A key that is not known may be a new one: the set is read again, but not for
    /// everybody who makes a name up.
    async fn proved(&self, metadata: &Metadata, token: &str) -> Result<Statement, ProviderError> {
        let clock = self.clock.as_ref();
        let keys = self.known.keys(&self.client, metadata, clock).await?;
        match keys.verify(token, &metadata.algorithms) {
            Err(Distrust::UnknownKey) => {}
            judged => return judged.map_err(distrusted),
        }
        let Some(keys) = self.known.newer_keys(&self.client, metadata, clock).await? else {
            return Err(distrusted(Distrust::UnknownKey));
        };
        keys.verify(token, &metadata.algorithms).map_err(distrusted)
    }

    /// What the ID token leaves out may be told elsewhere (OpenID Connect Core §5.3): most providers keep the address for there.
    async fn more(
        &self,
        metadata: &Metadata,
        grant: &Grant,
        said: &Statement,
    ) -> Result<Option<Statement>, ProviderError> {
        let roles = self.settings.roles_from.as_ref();
        let complete = said.has("email") && roles.is_none_or(|claim| said.texts_at(claim).is_some());
        let (Some(place), Some(token)) = (&metadata.userinfo, &grant.access_token) else {
            return Ok(None);
        };
        if complete {
            return Ok(None);
        }
        let body = self.client.get(place, Some(token)).await?;
        id_token::same_person(&body, said).map(Some)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let (issuer, clock) = (&self.settings.issuer, self.clock.as_ref());
        self.known.metadata(&self.client, issuer, clock).await
    }
}

fn with_query(address: &Uri, query: &str) -> String {
    let border = if address.query().is_some() { '&' } else { '?' };
    format!("{address}{border}{query}")
}

fn distrusted(why: Distrust) -> ProviderError {
    match why {
        Distrust::UnknownKey => ProviderError::Distrusted("unknown key"),
        Distrust::Invalid(why) => ProviderError::Distrusted(why),
    }
}

impl ProviderError {
    /// A provider's error code, as far as it is one of OAuth's: it goes into the log.
    pub fn refusal(code: &str) -> Self {
        let known = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        Self::Refused(if known { code } else { "an error without a name" }.to_owned())
    }
}

impl From<FetchError> for ProviderError {
    fn from(error: FetchError) -> Self {
        Self::Unreachable(error.to_string())
    }
}
