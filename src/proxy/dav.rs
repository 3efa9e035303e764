//! The second place that a request of WebDAV names (RFC 4918 §9.8, §9.9): where `COPY` and `MOVE` put what the path names.
//!
//! Routes judge the path. An upstream that follows `Destination` would write where another route says who may; so it must lie on the route that was judged.

use http::{HeaderMap, Method, Uri};

use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};

const DESTINATION: &str = "destination";

/// The path of the second place; `None` where there is none. `Err`: it can be read in two ways, or lies at another site.
pub(super) fn destination(method: &Method, headers: &HeaderMap, origin: &Origin) -> Result<Option<Uri>, Problem> {
    if !matches!(method.as_str(), "COPY" | "MOVE") {
        return Ok(None);
    }
    let mut lines = headers.get_all(DESTINATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(unclear());
    }
    let place: Uri = line
        .to_str()
        .ok()
        .filter(|text| !text.contains('#'))
        .and_then(|text| text.parse().ok())
        .ok_or_else(unclear)?;
    let elsewhere = place
        .authority()
        .is_some_and(|named| !named.as_str().eq_ignore_ascii_case(origin.authority.as_str()));
    if elsewhere {
        return Err(forbidden());
    }
    Ok(Some(place))
}

/// What is said of a place where other rules hold.
pub(super) fn forbidden() -> Problem {
    Problem::new(
        Code::Forbidden,
        "Destination must lie at this site, on the route that the path lies on.",
    )
}

fn unclear() -> Problem {
    Problem::new(Code::BadRequest, "Destination must be one URI or path.")
}
