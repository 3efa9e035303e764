//! `builtin:whoami`: shows what an upstream is told, as JSON, or as a plain page to whoever prefers one.

use std::fmt::Write as _;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::wire::Body;
use crate::wire::reply;

/// The answer. `headers` are those that an upstream would have got.
pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    let mut response = if prefers_page(headers) {
        page(method, path, headers)
    } else {
        reply::json(StatusCode::OK, &document(method, path, headers))
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    response
}

fn document(method: &Method, path: &str, headers: &HeaderMap) -> Value {
    let mut told = Map::new();
    for name in headers.keys() {
        let mut values = headers.get_all(name).iter().map(text);
        let first = Value::String(values.next().unwrap_or_default());
        let rest: Vec<Value> = values.map(Value::String).collect();
        let all = if rest.is_empty() {
            first
        } else {
            Value::Array(std::iter::once(first).chain(rest).collect())
        };
        told.insert(name.as_str().to_owned(), all);
    }
    json!({ "method": method.as_str(), "path": path, "headers": told })
}

fn page(method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>whoami</title>\n<h1>What the upstream is told</h1>\n",
    );
    let _ = writeln!(
        html,
        "<p><code>{} {}</code></p>\n<table>",
        Escaped(method.as_str()),
        Escaped(path)
    );
    for (name, value) in headers {
        let value = text(value);
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>",
            Escaped(name.as_str()),
            Escaped(&value)
        );
    }
    html.push_str("</table>\n</html>\n");
    let mut response = Response::new(Body::Full(html.into()));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Whether `text/html` stands before JSON and before anything goes, as it does with browsers.
fn prefers_page(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let first = accept
        .split(',')
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .find(|range| matches!(*range, "text/html" | "application/json" | "*/*"));
    first == Some("text/html")
}

/// Text that means nothing to an HTML parser.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(accept: &'static str) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert("x-forwarded-user", HeaderValue::from_static("<script>\"'&"));
        headers.append("x-two", HeaderValue::from_static("1"));
        headers.append("x-two", HeaderValue::from_static("2"));
        let response = answer(&Method::GET, "/whoami", &headers);
        let Body::Full(bytes) = response.body() else {
            panic!("no body")
        };
        (response.headers().clone(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn programs_get_json() {
        for accept in ["*/*", "application/json", "application/json, text/html"] {
            let (_, body) = shown(accept);
            let document: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(document["path"], "/whoami");
            assert_eq!(document["headers"]["x-forwarded-user"], "<script>\"'&");
            assert_eq!(document["headers"]["x-two"], json!(["1", "2"]));
        }
    }

    #[test]
    fn browsers_get_a_page_in_which_nothing_runs() {
        let (headers, body) = shown("text/html,application/xhtml+xml,*/*;q=0.8");
        assert!(!body.contains("<script"));
        assert!(body.contains("&lt;script&gt;&quot;&#39;&amp;"));
        assert!(
            headers[CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
    }
}
