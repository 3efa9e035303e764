//! A small HTTP client for asking providers: one request a connection, with a limit to everything.
//!
//! No redirect is followed and no proxy asked, so what is asked is what stands in the configuration or in the metadata of who stands there. In the clear
//! nobody is asked but a provider on this machine, where the configuration says so.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Octets of an answer at most: the largest key sets in use are a tenth of it.
const LARGEST: usize = 256 * 1024;
/// From the name's look-up to the last octet.
const PATIENCE: Duration = Duration::from_secs(5);

/// What stays as it is in a form (URL Standard §5).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it took too long")]
    TooLong,
    #[error("its answer is too large")]
    TooLarge,
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("{0} is no address that may be asked")]
    Address(Uri),
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    #[error("not HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

/// Asks. Without a connector it asks in the clear, on this machine.
pub(super) struct Client(Option<TlsConnector>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Client(https)"
        } else {
            "Client(http)"
        })
    }
}

impl Client {
    pub(super) const fn new(tls: Option<TlsConnector>) -> Self {
        Self(tls)
    }

    /// The body of a page that must be there.
    pub(super) async fn get(&self, uri: &Uri, bearer: Option<&str>) -> Result<Bytes, FetchError> {
        let bearer = bearer.map(|token| format!("Bearer {token}"));
        match self.send(uri, Method::GET, bearer, Bytes::new()).await? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(FetchError::Status(status)),
        }
    }

    /// Sends a form; whatever the answer's status, its body may say why. `login` goes as RFC 6749 §2.3.1 has it.
    pub(super) async fn post(
        &self,
        uri: &Uri,
        fields: &[(&str, &str)],
        login: Option<(&str, &str)>,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let login = login.map(|(name, secret)| {
            let both = format!("{}:{}", encoded(name), encoded(secret));
            format!("Basic {}", STANDARD.encode(both))
        });
        self.send(uri, Method::POST, login, form(fields).into()).await
    }

    async fn send(
        &self,
        uri: &Uri,
        method: Method,
        authorization: Option<String>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let address = || FetchError::Address(uri.clone());
        let request = request(uri, method, authorization, body).ok_or_else(address)?;
        let exchange = async {
            let https = self.0.is_some();
            let host = uri.host().ok_or_else(address)?.trim_matches(['[', ']']);
            let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
            let stream = TcpStream::connect((host, port)).await?;
            let Some(tls) = &self.0 else {
                return exchange(stream, request).await;
            };
            let name = ServerName::try_from(host.to_owned()).map_err(|_| address())?;
            exchange(tls.connect(name, stream).await?, request).await
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .unwrap_or(Err(FetchError::TooLong))
    }
}

async fn exchange<T>(stream: T, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), FetchError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with everything in it when this ends, however it ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok((head.status, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
        Err(error) => Err(FetchError::Broken(error)),
    }
}

fn request(uri: &Uri, method: Method, authorization: Option<String>, body: Bytes) -> Option<Request<Full<Bytes>>> {
    let target = uri.path_and_query()?.as_str();
    let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
    let mut request = Request::builder().method(&method).uri(target);
    let headers = request.headers_mut()?;
    headers.insert(HOST, host);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if method == Method::POST {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
    }
    if let Some(credentials) = authorization {
        let mut credentials = HeaderValue::try_from(credentials).ok()?;
        credentials.set_sensitive(true);
        headers.insert(AUTHORIZATION, credentials);
    }
    request.body(Full::new(body)).ok()
}

/// Fields as a form sends them, and as a query says them.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
