//! One request in the making, and its answer.

use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Uri};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use super::client::Client;

/// A request in the making.
#[must_use]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    pub(super) fn new(client: Client, method: Method, path: &str) -> Self {
        Self {
            client,
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.client.secrets().remember(token);
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends JSON.
    pub fn json(mut self, body: &Value) -> Self {
        self.client.secrets().remember_members(body);
        self.body = Bytes::from(body.to_string());
        self.header("content-type", "application/json")
    }

    /// Sends bytes.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it; fails when there is no answer.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        self.try_send()
            .await
            .unwrap_or_else(|e| panic!("no answer to {what}: {e}"))
    }

    /// Sends it.
    pub async fn try_send(self) -> Result<Answer, String> {
        let client = self.client.clone();
        let request = self.into_request();
        let answer = tokio::time::timeout(3 * super::PATIENCE, client.send(request)).await;
        let (head, body) = answer.map_err(|_| "it took too long".to_owned())??.into_parts();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        client.keep(&answer);
        if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
            client.secrets().remember_members(&body);
        }
        if answer.status >= 400 {
            client.secrets().problem(&answer.text());
        }
        Ok(answer)
    }

    fn into_request(self) -> Request<Full<Bytes>> {
        let authority = self.client.authority();
        let uri = if self.client.is_h2() {
            format!("https://{authority}{}", self.path)
        } else {
            self.path
        };
        let uri: Uri = uri.parse().expect("a target");
        let mut request = Request::builder().method(self.method.clone()).uri(uri);
        if !self.client.is_h2() {
            request = request.header("host", authority);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.client.dress(&mut request, &self.method);
        request.body(Full::new(self.body)).expect("a request")
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A `Set-Cookie` line.
#[derive(Clone, Debug)]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What stands behind the first `;`, lower case.
    pub attributes: Vec<String>,
}

impl SetCookie {
    /// Whether the browser is to forget it.
    pub fn is_cleared(&self) -> bool {
        self.attributes.iter().any(|a| a == "max-age=0") || self.value.is_empty()
    }

    /// How long the browser keeps it.
    pub fn max_age(&self) -> Option<Duration> {
        let age = self.attributes.iter().find_map(|a| a.strip_prefix("max-age="))?;
        age.parse().ok().map(Duration::from_secs)
    }
}

impl Answer {
    /// Fails unless the status is the given one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }

    /// Fails unless it is a problem document of that status and code, made as RFC 9457 says.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text()
        );
        let document = self.json();
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(document["status"], status, "{document}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(
                document[member].as_str().is_some_and(|text| !text.is_empty()),
                "no {member}: {document}"
            );
        }
        self.is(status)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// A string member of the JSON body.
    #[track_caller]
    pub fn member(&self, name: &str) -> String {
        let body = self.json();
        body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {body}"))
            .to_owned()
    }

    /// A header that must be there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(values.next().is_none(), "more than one {name} in {:?}", self.headers);
        value.to_str().expect("a header in ASCII")
    }

    /// All `Set-Cookie` lines.
    pub fn cookies(&self) -> Vec<SetCookie> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|line| set_cookie(line.to_str().ok()?))
            .collect()
    }

    /// The `Set-Cookie` line of a name.
    pub fn cookie(&self, name: &str) -> Option<SetCookie> {
        self.cookies().into_iter().find(|cookie| cookie.name == name)
    }
}

fn set_cookie(line: &str) -> Option<SetCookie> {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let (name, value) = pair.split_once('=')?;
    let attributes = attributes.split(';').map(|a| a.trim().to_ascii_lowercase()).collect();
    Some(SetCookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        attributes,
    })
}
