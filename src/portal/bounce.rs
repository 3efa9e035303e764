//! Notices when a person is sent round in circles.
//!
//! Each time the sign-in page sends somebody on to a place, a cookie counts it. The third time within a minute for the same place, the sign-in does
//! not hold there, and a page that says what may be wrong is worth more than another round. Places are told apart, so that ten tabs restored at once are no circle.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::model::clock::Timestamp;
use crate::wire::cookie;

const NAME: &str = "__Host-gateward-bounce";
const MINUTE: u64 = 60;
const ENOUGH: u32 = 3;

/// What comes of one more round.
#[derive(Debug)]
pub enum Bounce {
    /// Send them on, and let the browser remember it.
    Go(Option<HeaderValue>),
    /// They were there twice in this minute: stop, and begin to count anew.
    Circle(Option<HeaderValue>),
}

/// Counts one more time that somebody is sent to `place`.
pub fn count(headers: &HeaderMap, place: &str, now: Timestamp) -> Bounce {
    let tag = tag(place);
    let before = read(headers).filter(|(known, _, since)| *known == tag && now.as_secs() < since + MINUTE);
    let (times, since) = before.map_or((1, now.as_secs()), |(_, times, since)| (times.saturating_add(1), since));
    if times >= ENOUGH {
        return Bounce::Circle(cookie::clear(NAME));
    }
    Bounce::Go(cookie::set(NAME, &format!("{tag}.{times}.{since}"), MINUTE))
}

fn read(headers: &HeaderMap) -> Option<(String, u32, u64)> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let value = lines
        .flat_map(|line| line.split(|&b| b == b';'))
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        .find_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))?;
    let mut parts = value.splitn(3, '.');
    let tag = parts.next()?.to_owned();
    Some((tag, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Enough of a hash to tell places apart without writing them into a cookie.
fn tag(place: &str) -> String {
    let hash = digest(&SHA256, place.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..9).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    /// Sends a browser with its cookie to a place; `None`: it was stopped.
    fn send(headers: &mut HeaderMap, place: &str, now: Timestamp) -> Option<()> {
        let Bounce::Go(Some(cookie)) = count(headers, place, now) else {
            return None;
        };
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        headers.insert(COOKIE, HeaderValue::from_str(&format!("a=b; {pair}")).unwrap());
        Some(())
    }

    #[test]
    fn the_third_round_within_a_minute_is_a_circle() {
        let mut browser = HeaderMap::new();
        assert!(send(&mut browser, "/a", NOW).is_some());
        assert!(send(&mut browser, "/a", NOW.plus(Duration::from_secs(20))).is_some());
        assert!(send(&mut browser, "/a", NOW.plus(Duration::from_secs(40))).is_none());
    }

    #[test]
    fn other_places_and_slow_rounds_are_none() {
        let mut browser = HeaderMap::new();
        for place in ["/a", "/b", "/c", "/d"] {
            assert!(send(&mut browser, place, NOW).is_some());
        }
        for minute in 0..5 {
            assert!(send(&mut browser, "/a", NOW.plus(Duration::from_secs(31 * minute))).is_some());
        }
    }
}
