//! Facts that pass, in Redis: revocations as keys and as a stream, counters, remembered names, kept values.
//!
//! A follower waits on a connection of its own, in slices, and after each it asks whether the stream is still the one it knows: so a server that lost its
//! data, or hangs, is noticed within a second however long the caller would wait.

use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;
use tokio::time::Instant;
use uuid::Uuid;

use super::link::{Ask, Watcher};
use super::{MARGIN, Redis, millis};
use crate::model::clock::Timestamp;
use crate::model::secret;
use crate::model::session::{SessionId, TokenId};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::ephemeral::{Count, Cursor, EphemeralStore, News, Revocation, Revoked};

/// Every key of revocations carries this hash tag, so that all lie in one slot.
const STREAM: &str = "gw:{r}:stream";
/// The stream's name: random, made with it and lost with it.
pub(super) const STREAM_NAME: &str = "gw:{r}:name";
/// The last entry that was taken off its head.
const TRIMMED: &str = "gw:{r}:trimmed";

/// The longest a follower waits before it looks around.
const SLICE: Duration = Duration::from_millis(500);
/// Entries of the stream fetched at once.
const PAGE: usize = 2000;
/// Entries trimmed at once.
const TRIM: u32 = 500;

#[async_trait]
impl EphemeralStore for Redis {
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        if revocations.is_empty() {
            return Ok(());
        }
        let mut script = self.scripts.revoke.key(STREAM);
        script.key(STREAM_NAME).arg(self.fresh_name()?).arg(millis(MARGIN));
        for revocation in revocations {
            let (kind, subject, moment) = parts(&revocation.what);
            script
                .key(revoked_key(kind, subject))
                .arg(kind)
                .arg(subject.as_bytes().as_slice())
                .arg(revocation.until.as_millis())
                .arg(moment.map_or(0, Timestamp::as_millis));
        }
        self.send(Ask::Script(&script, STREAM), true).await
    }

    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError> {
        let mut keys = cmd("MGET");
        keys.arg(revoked_key("t", token.0))
            .arg(revoked_key("s", session.0))
            .arg(revoked_key("u", user.0));
        let (token, of_session, of_user): (Option<String>, Option<String>, Option<String>) = self.ask(&keys).await?;
        if token.is_some() || of_session.is_some() {
            return Ok(true);
        }
        let Some(of_user) = of_user else { return Ok(false) };
        let reach = of_user.split_once(':').and_then(|(reach, _)| reach.parse::<u64>().ok());
        let reach = reach.ok_or_else(|| self.damaged("a revocation"))?;
        Ok(session.opened_at().as_millis() <= reach)
    }

    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError> {
        let deadline = Instant::now() + wait;
        let mut watcher = None;
        loop {
            let news = self.news(after).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if news.gap || news.cursor != *after || left.is_zero() {
                if let Some(watcher) = watcher {
                    self.link.keep_watcher(watcher);
                }
                return Ok(news);
            }
            let watcher = match &mut watcher {
                Some(watcher) => watcher,
                none => none.insert(self.link.watcher(SLICE).await.map_err(|fault| self.fault(fault))?),
            };
            self.wait(watcher, after, left.min(SLICE)).await?;
        }
    }

    async fn count(&self, key: &str, window: Duration, now: Timestamp) -> Result<Count, StoreError> {
        let key = format!("gw:c:{key}");
        let mut script = self.scripts.count.key(&key);
        script.arg(now.as_millis()).arg(millis(window)).arg(millis(MARGIN));
        let (count, resets_at): (u32, u64) = self.send(Ask::Script(&script, &key), false).await?;
        Ok(Count {
            count,
            resets_at: Timestamp::from_millis(resets_at),
        })
    }

    async fn remember(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        let key = known_key(key);
        let mut script = self.scripts.remember.key(&key);
        script.arg(until.as_millis()).arg(millis(MARGIN));
        self.send(Ask::Script(&script, &key), true).await
    }

    async fn remembers(&self, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        let until = self.remembered_until(key).await?;
        Ok(until.is_some_and(|until| until > now))
    }

    async fn remembered_until(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let until: Option<u64> = self.ask(cmd("GET").arg(known_key(key))).await?;
        Ok(until.map(Timestamp::from_millis))
    }

    async fn keep(&self, key: &str, value: &[u8], until: Timestamp) -> Result<(), StoreError> {
        let kept = [&until.as_millis().to_be_bytes(), value].concat();
        let mut set = cmd("SET");
        set.arg(kept_key(key)).arg(kept);
        set.arg("PXAT").arg(until.plus(MARGIN).as_millis());
        self.ask(&set).await
    }

    async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let kept: Option<Vec<u8>> = self.ask(cmd("GET").arg(kept_key(key))).await?;
        self.unpack(kept, now)
    }

    async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let kept: Option<Vec<u8>> = self.ask_once(cmd("GETDEL").arg(kept_key(key))).await?;
        self.unpack(kept, now)
    }

    /// The stream's head is trimmed; everything else ends by itself.
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut trim = self.scripts.trim.key(STREAM);
        trim.key(TRIMMED).arg(now.as_millis()).arg(TRIM);
        let deadline = Instant::now() + self.link.answer_limit() / 4;
        let mut purged = 0;
        loop {
            let trimmed: u32 = self.send(Ask::Script(&trim, STREAM), true).await?;
            purged += u64::from(trimmed);
            if trimmed < TRIM || Instant::now() >= deadline {
                return Ok(purged);
            }
        }
    }
}

/// An entry of the stream: its place, and its fields in turn.
type Entry = (String, Vec<Vec<u8>>);

impl Redis {
    /// What the stream holds behind a cursor, as it is now.
    async fn news(&self, after: &Cursor) -> Result<News, StoreError> {
        let mut news = News {
            revocations: Vec::new(),
            cursor: after.clone(),
            gap: false,
        };
        loop {
            let Some((stream, place)) = split(&news.cursor) else {
                return Ok(gap());
            };
            let mut script = self.scripts.follow.key(STREAM);
            script.key(STREAM_NAME).key(TRIMMED);
            script.arg(stream).arg(place).arg(self.fresh_name()?).arg(PAGE);
            let (is_gap, stream, place, entries): (bool, String, String, Vec<Entry>) =
                self.send(Ask::Script(&script, STREAM), true).await?;
            if is_gap {
                return Ok(gap());
            }
            for (_, fields) in &entries {
                let revocation = read(fields).ok_or_else(|| self.damaged("a revocation"))?;
                news.revocations.push(revocation);
            }
            news.cursor = Cursor(format!("{stream}:{place}"));
            if entries.len() < PAGE {
                return Ok(news);
            }
        }
    }

    /// Waits for an entry behind a cursor, up to `slice`. What comes is read by `news`, which knows gaps.
    async fn wait(&self, watcher: &mut Watcher, after: &Cursor, slice: Duration) -> Result<(), StoreError> {
        let place = split(after).map_or("$", |(_, place)| place);
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(millis(slice).max(1));
        read.arg("STREAMS").arg(STREAM).arg(place);
        let waited = self.link.wait(watcher, &read).await;
        waited.map_err(|fault| self.fault(fault))
    }

    /// The value of what was kept, unless its time is over: its first eight octets say.
    fn unpack(&self, kept: Option<Vec<u8>>, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(kept) = kept else { return Ok(None) };
        let (until, value) = kept.split_first_chunk().ok_or_else(|| self.damaged("a kept value"))?;
        let is_over = now >= Timestamp::from_millis(u64::from_be_bytes(*until));
        Ok((!is_over).then(|| value.to_vec()))
    }

    /// A name for a stream, should there be none yet.
    fn fresh_name(&self) -> Result<String, StoreError> {
        let id = secret::random().map_err(|error| StoreError::Unavailable {
            store: self.store,
            source: Some(Box::new(error)),
        })?;
        Ok(Uuid::from_bytes(id).simple().to_string())
    }
}

fn gap() -> News {
    News {
        revocations: Vec::new(),
        cursor: Cursor::default(),
        gap: true,
    }
}

/// A cursor is `STREAM:TIME-NUMBER`; the default one is from the beginning of any.
fn split(cursor: &Cursor) -> Option<(&str, &str)> {
    if *cursor == Cursor::default() {
        return Some(("", ""));
    }
    let (stream, place) = cursor.0.split_once(':')?;
    let (time, number) = place.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let good = !stream.is_empty() && is_number(time) && is_number(number);
    good.then_some((stream, place))
}

fn parts(what: &Revoked) -> (&'static str, Uuid, Option<Timestamp>) {
    match *what {
        Revoked::Token(id) => ("t", id.0, None),
        Revoked::Session(id) => ("s", id.0, None),
        Revoked::User(id, moment) => ("u", id.0, Some(moment)),
    }
}

/// The fields in the order in which the script writes them.
fn read(fields: &[Vec<u8>]) -> Option<Revocation> {
    let [_, kind, _, subject, _, until, _, moment] = fields else {
        return None;
    };
    let subject = Uuid::from_slice(subject).ok()?;
    let what = match kind.as_slice() {
        b"t" => Revoked::Token(TokenId(subject)),
        b"s" => Revoked::Session(SessionId(subject)),
        b"u" => Revoked::User(UserId(subject), number(moment)?),
        _ => return None,
    };
    let until = number(until)?;
    Some(Revocation { what, until })
}

fn number(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().map(Timestamp::from_millis)
}

fn revoked_key(kind: &str, subject: Uuid) -> String {
    format!("gw:{{r}}:{kind}:{}", subject.simple())
}

fn kept_key(key: &str) -> String {
    format!("gw:v:{key}")
}

fn known_key(key: &str) -> String {
    format!("gw:k:{key}")
}
