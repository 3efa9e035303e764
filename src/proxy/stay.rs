//! How long somebody who was let in may stay.
//!
//! A request is judged when it comes. What it opens, an upgraded connection or an answer that goes on for as long as there is news, may outlast the token,
//! the session and the account, and nobody asks again. So it is asked for them: when it begins and once a second whether the token was revoked, from memory as
//! a request does, and each time that a browser would renew its token, whether the session lives and its holder may still do what the route asks for. What
//! was proved at the door (two factors, a recent sign-in) stays proved, and a token's own end is none: a renewed one cannot be handed in. The route is the
//! one by which they came in, whatever a reload has made of it.
//!
//! A store that does not answer ends nobody's stay for `store.max_staleness`, and at once where the route says `revocation = "strict"`.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Found;
use crate::config::RevocationMode;
use crate::model::clock::Timestamp;
use crate::token::verify::Verified;
use crate::token::{Rejected, Tokens};
use crate::wire::Permission;

/// How often somebody who stays is looked at.
const GLANCE: Duration = Duration::from_secs(1);
/// How old the last look may be when more is to be handed out. A client that takes nothing for long is not looked at, since nothing is handed out.
const LONGEST: Duration = Duration::from_secs(5);

/// Somebody known who was let in by a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest<'a> {
    pub(super) tokens: &'a Arc<Tokens>,
    pub(super) who: &'a Arc<Verified>,
    pub(super) found: &'a Arc<Found>,
}

impl Guest<'_> {
    /// The guest's stay begins. They may have become unwelcome since they were let in: the upstream may have taken its time.
    pub(super) async fn stay(self) -> Result<Stay, Unwelcome> {
        // The store was asked at the door where it must be; what is news since then, memory has.
        let mode = match self.found.route.revocation {
            RevocationMode::Strict => RevocationMode::Cached,
            mode => mode,
        };
        if let Err(rejected) = self.tokens.reverify(self.who, mode).await {
            let lost = Lost::from(rejected);
            self.found.counts.auth_decision("ended", lost.word());
            return Err(Unwelcome);
        }
        Ok(Stay {
            state: State::resting(Watch::new(self)),
            looked_at: Instant::now(),
        })
    }
}

/// Whoever was let in may not stay.
#[derive(Debug)]
pub(super) struct Unwelcome;

/// A guest's stay, which sees to its own end.
pub(super) struct Stay {
    state: State,
    looked_at: Instant,
}

/// Who was looked at, and what was found.
type Looked = (Box<Watch>, Result<(), Lost>);

enum State {
    Resting(Box<Watch>, Pin<Box<Sleep>>),
    Looking(Pin<Box<dyn Future<Output = Looked> + Send>>),
    Over,
}

impl Stay {
    /// Done when the guest must go.
    pub(super) async fn over(mut self) {
        poll_fn(|cx| match self.poll_more(cx) {
            Poll::Ready(false) => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
    }
}

impl Permission for Stay {
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match &mut self.state {
                State::Resting(_, sleep) => match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Ready(true),
                    Poll::Ready(()) => self.look(),
                },
                State::Looking(look) => match look.as_mut().poll(cx) {
                    Poll::Pending if self.looked_at.elapsed() > LONGEST => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(true),
                    Poll::Ready((watch, Ok(()))) => {
                        self.looked_at = Instant::now();
                        self.state = State::resting(watch);
                    }
                    Poll::Ready((watch, Err(lost))) => {
                        watch.note(&lost);
                        self.state = State::Over;
                    }
                },
                State::Over => return Poll::Ready(false),
            }
        }
    }
}

impl Stay {
    fn look(&mut self) {
        if let State::Resting(mut watch, _) = mem::replace(&mut self.state, State::Over) {
            self.state = State::Looking(Box::pin(async move {
                let found = watch.look().await;
                (watch, found)
            }));
        }
    }
}

impl State {
    fn resting(watch: Box<Watch>) -> Self {
        Self::Resting(watch, Box::pin(tokio::time::sleep(GLANCE)))
    }
}

/// Why a guest must go.
#[derive(Debug)]
enum Lost {
    Rejected(Rejected),
    /// The account has none of the roles that the route asks for.
    Forbidden,
}

impl Lost {
    /// In a word, for metrics.
    const fn word(&self) -> &'static str {
        match self {
            Self::Rejected(Rejected::Revoked) => "revoked",
            Self::Rejected(Rejected::Expired) => "expired",
            Self::Rejected(Rejected::Invalid(_)) => "invalid",
            Self::Rejected(Rejected::Unavailable(_)) => "store_unavailable",
            Self::Forbidden => "forbidden",
        }
    }
}

impl From<Rejected> for Lost {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// What is looked at.
struct Watch {
    tokens: Arc<Tokens>,
    who: Arc<Verified>,
    found: Arc<Found>,
    /// When the session is to be looked up.
    due: Timestamp,
    /// When it was last certain that the guest was welcome.
    sure_at: Timestamp,
}

impl Watch {
    fn new(guest: Guest<'_>) -> Box<Self> {
        Box::new(Self {
            due: guest.who.identity.expires_at,
            sure_at: guest.tokens.now(),
            tokens: Arc::clone(guest.tokens),
            who: Arc::clone(guest.who),
            found: Arc::clone(guest.found),
        })
    }

    /// Whether the guest may stay until the next look.
    async fn look(&mut self) -> Result<(), Lost> {
        match self.judge().await {
            Ok(()) => self.sure_at = self.tokens.now(),
            Err(Lost::Rejected(Rejected::Unavailable(_))) if self.may_wait() => {}
            Err(lost) => return Err(lost),
        }
        Ok(())
    }

    async fn judge(&mut self) -> Result<(), Lost> {
        let route = &self.found.route;
        self.tokens.reverify(&self.who, route.revocation).await?;
        let now = self.tokens.now();
        if now < self.due {
            return Ok(());
        }
        let holder = self.tokens.holder(&self.who).await?;
        if !route.is_for(&holder.roles) {
            return Err(Lost::Forbidden);
        }
        self.due = now.plus(self.tokens.access_ttl());
        Ok(())
    }

    fn may_wait(&self) -> bool {
        let unsure = self.tokens.now().since(self.sure_at);
        self.found.route.revocation != RevocationMode::Strict && unsure < self.tokens.max_staleness()
    }

    fn note(&self, lost: &Lost) {
        let (route, who, reason) = (&self.found, &self.who.identity, lost.word());
        route.counts.auth_decision("ended", reason);
        tracing::debug!(
            route = %route.route.name, user.id = %who.user, session.id = %who.session, reason,
            "what somebody had open was ended"
        );
    }
}

#[cfg(test)]
mod tests;
