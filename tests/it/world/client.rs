//! A comfortable client: JSON in, JSON out, over a fresh TLS connection for each request unless told to keep one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ::http::{Method, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::{Answer, Call};
use super::secrets::Secrets;

/// Speaks to one gateway.
#[derive(Clone)]
pub struct Client {
    port: u16,
    tls: Arc<ClientConfig>,
    secrets: Arc<Secrets>,
    jar: Option<Jar>,
    h2: bool,
}

/// A browser's cookies and the origin its pages are of.
#[derive(Clone)]
struct Jar {
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    origin: String,
}

impl Client {
    /// A client without cookies.
    pub fn new(port: u16, tls: Arc<ClientConfig>, secrets: Arc<Secrets>) -> Self {
        Self {
            port,
            tls,
            secrets,
            jar: None,
            h2: false,
        }
    }

    /// Keeps cookies, and sends `Origin` with whatever is not safe.
    pub fn with_jar(mut self, origin: &str) -> Self {
        self.jar = Some(Jar {
            cookies: Arc::default(),
            origin: origin.to_owned(),
        });
        self
    }

    /// Reaches the gateway through another port of this machine.
    pub fn through(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Speaks HTTP/2.
    pub fn h2(mut self) -> Self {
        self.h2 = true;
        self
    }

    /// Begins a GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// Begins a POST.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// Begins a DELETE.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Begins a request.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.clone(), method, path)
    }

    /// The value of a cookie in the jar.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies().lock().expect("a jar").get(name).cloned()
    }

    /// Puts a cookie into the jar.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.secrets.remember(value);
        self.cookies()
            .lock()
            .expect("a jar")
            .insert(name.to_owned(), value.to_owned());
    }

    /// Another browser with the same cookies as of now.
    pub fn copy(&self) -> Self {
        let mut copy = self.clone();
        if let Some(jar) = &mut copy.jar {
            let cookies = jar.cookies.lock().expect("a jar").clone();
            jar.cookies = Arc::new(Mutex::new(cookies));
        }
        copy
    }

    #[track_caller]
    fn cookies(&self) -> &Mutex<BTreeMap<String, String>> {
        &self.jar.as_ref().expect("a client with a jar").cookies
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What a browser adds to a request of its own page.
    pub(super) fn dress(&self, request: &mut ::http::request::Builder, method: &Method) {
        let Some(jar) = &self.jar else { return };
        let Some(headers) = request.headers_mut() else { return };
        let cookies = jar.cookies.lock().expect("a jar");
        let line: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !line.is_empty() && !headers.contains_key("cookie") {
            headers.insert("cookie", line.join("; ").parse().expect("a cookie line"));
        }
        if !method.is_safe() && !headers.contains_key("origin") && !headers.contains_key("sec-fetch-site") {
            headers.insert("origin", jar.origin.parse().expect("an origin"));
        }
    }

    /// What a browser does with an answer's cookies.
    pub(super) fn keep(&self, answer: &Answer) {
        for cookie in answer.cookies() {
            self.secrets.remember(&cookie.value);
            let Some(jar) = &self.jar else { continue };
            let mut cookies = jar.cookies.lock().expect("a jar");
            if cookie.is_cleared() {
                cookies.remove(&cookie.name);
            } else {
                cookies.insert(cookie.name, cookie.value);
            }
        }
    }

    pub(super) fn authority(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(super) fn is_h2(&self) -> bool {
        self.h2
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let answer = self.exchange(request).await?;
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|e| format!("the answer's body broke: {e:?}"))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let stream = TokioIo::new(self.connect().await?);
        if self.h2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                .await
                .map_err(|e| format!("{e:?}"))?;
            tokio::spawn(connection);
            return sender.send_request(request).await.map_err(|e| format!("{e:?}"));
        }
        let (mut sender, connection) = http1::handshake(stream).await.map_err(|e| format!("{e:?}"))?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(|e| format!("{e:?}"))
    }

    /// A TLS connection on which nothing was said yet.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, String> {
        let mut config = (*self.tls).clone();
        config.alpn_protocols = vec![if self.h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let name = ServerName::try_from("localhost").map_err(|e| e.to_string())?;
        let stream = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .map_err(|e| format!("cannot connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(|e| format!("TLS: {e}"))
    }
}
