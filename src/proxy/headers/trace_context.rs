//! W3C Trace Context: passed on, or begun.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::secret;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A valid `traceparent` goes on as it is; otherwise a trace begins here, and the state of the one that was not understood ends.
pub(super) fn put(headers: &mut HeaderMap, request_id: &str) {
    let mut lines = headers.get_all(&TRACEPARENT).iter();
    let valid = lines.next().is_some_and(|line| is_traceparent(line.as_bytes()));
    if valid && lines.next().is_none() {
        return;
    }
    headers.remove(&TRACESTATE);
    match begun(request_id) {
        Some(line) => headers.insert(TRACEPARENT, line),
        None => headers.remove(&TRACEPARENT),
    };
}

/// A new trace. A request id that is a UUID names it, so that logs and traces find each other; its random half names our part of it. It is marked as
/// sampled: unmarked it would tell upstreams, whose samplers follow their parent, to record nothing at all.
fn begun(request_id: &str) -> Option<HeaderValue> {
    let trace = match Uuid::try_parse(request_id) {
        // Neither part may be all zeros.
        Ok(id) if id.as_u64_pair().1 != 0 => id,
        _ => Uuid::from_bytes(secret::random().ok()?),
    };
    let mut room = [0; Simple::LENGTH];
    let trace = trace.simple().encode_lower(&mut room);
    let (_, span) = trace.split_at(16);
    let mut line = Vec::with_capacity(55);
    for part in ["00-", trace, "-", span, "-01"] {
        line.extend_from_slice(part.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(line)).ok()
}

/// `version-trace-parent-flags`, lower-case hex, neither id all zeros, no version `ff`, nothing behind a version that we know.
fn is_traceparent(line: &[u8]) -> bool {
    let parts: [Option<&[u8]>; 4] = [line.get(..2), line.get(3..35), line.get(36..52), line.get(53..55)];
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let dashes = [2, 35, 52].iter().all(|&at| line.get(at) == Some(&b'-'));
    let [Some(version), Some(trace), Some(parent), Some(flags)] = parts else {
        return false;
    };
    let ends = match version {
        b"00" => line.len() == 55,
        b"ff" => false,
        _ => line.get(55).is_none_or(|&b| b == b'-'),
    };
    let nonzero = |part: &[u8]| part.iter().any(|&b| b != b'0');
    dashes && ends && [version, trace, parent, flags].into_iter().all(hex) && nonzero(trace) && nonzero(parent)
}
