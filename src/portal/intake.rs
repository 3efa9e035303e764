//! Reading a JSON body: small, in time, of the right type.
//!
//! `Content-Type: application/json` is required, which is a wall of its own against other sites: a form cannot send it, and a script only after a
//! preflight that we do not grant. What is wrong with a body is told in our own words, since a parser's would quote it, and it may hold a password.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::wire::reply::{Code, Problem};

/// Octets of a body at most.
const LIMIT: usize = 16 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that says what it must look like.
pub(super) trait Shape: DeserializeOwned {
    /// For the person who got it wrong.
    const SHAPE: &'static str;
}

/// Reads a body that must be there.
pub(super) async fn read<T, B>(headers: &HeaderMap, body: B) -> Result<T, Problem>
where
    T: Shape,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let bytes = bytes(body).await?;
    parse(headers, &bytes)
}

/// Reads a body that may be missing.
pub(super) async fn read_optional<T, B>(headers: &HeaderMap, body: B) -> Result<Option<T>, Problem>
where
    T: Shape,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let bytes = bytes(body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    parse(headers, &bytes).map(Some)
}

/// Reads a body whatever it is.
pub(super) async fn bytes<B>(body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let too_large = || Problem::new(Code::PayloadTooLarge, "Send at most 16 KiB.");
    if body.size_hint().lower() > LIMIT as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, Limited::new(body, LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "The body broke off.")),
        Err(_) => Err(Problem::new(Code::RequestTimeout, "The body took too long to arrive.")),
    }
}

fn parse<T: Shape>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    if !bytes.is_empty() && !is_json(headers) {
        let words = "Send the body as JSON, with Content-Type: application/json.";
        return Err(Problem::new(Code::UnsupportedMediaType, words));
    }
    serde_json::from_slice(bytes).map_err(|_| Problem::new(Code::BadRequest, T::SHAPE))
}

/// Exactly one type, and that JSON; parameters such as `charset` change nothing (RFC 8259 §11).
fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let essence = line.to_str().ok().and_then(|line| line.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
