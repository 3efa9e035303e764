//! How long somebody who was let in may stay.
//!
//! A request is judged when it comes. What it opens, an upgraded connection or an answer that goes on for as long as there is news, may outlast the token,
//! the session and the account, and nobody asks again. So it is asked for them: once a second whether the token was revoked, from memory as a request does,
//! and each time that a browser would renew its token, whether the session lives and its holder may still do what the route asks for. What was proved at the
//! door (two factors, a recent sign-in) stays proved, and a token's own end is none: a renewed one cannot be handed in.
//!
//! A store that does not answer ends nobody's connection for `store.max_staleness`, and at once where the route says `revocation = "strict"`.

use std::sync::Arc;
use std::time::Duration;

use super::Found;
use crate::config::RevocationMode;
use crate::model::clock::Timestamp;
use crate::token::verify::Verified;
use crate::token::{Rejected, Tokens};
use crate::wire::Ending;

/// How often somebody who stays is looked at.
const GLANCE: Duration = Duration::from_secs(1);

/// Somebody known who was let in by a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guest<'a> {
    pub(super) tokens: &'a Arc<Tokens>,
    pub(super) who: &'a Arc<Verified>,
    pub(super) found: &'a Arc<Found>,
}

impl Guest<'_> {
    /// Done when the guest must go.
    pub(super) fn ending(self) -> Ending {
        let mut stay = Stay::new(self);
        Box::pin(async move {
            loop {
                tokio::time::sleep(GLANCE).await;
                if let Err(reason) = stay.look().await {
                    let (route, who) = (&stay.found, &stay.who.identity);
                    route.counts.auth_decision("ended", reason);
                    tracing::debug!(route = %route.route.name, user.id = %who.user, session.id = %who.session, reason, "what somebody had open was ended");
                    return;
                }
            }
        })
    }
}

/// A guest's stay, as it was found at the last look.
struct Stay {
    tokens: Arc<Tokens>,
    who: Arc<Verified>,
    found: Arc<Found>,
    /// When the session is to be looked up.
    due: Timestamp,
    /// Since when it cannot be told whether the guest is still welcome.
    unsure_since: Option<Timestamp>,
}

impl Stay {
    fn new(guest: Guest<'_>) -> Self {
        Self {
            due: guest.who.identity.expires_at,
            tokens: Arc::clone(guest.tokens),
            who: Arc::clone(guest.who),
            found: Arc::clone(guest.found),
            unsure_since: None,
        }
    }

    /// Whether the guest may stay until the next look; if not, why, in a word for metrics.
    async fn look(&mut self) -> Result<(), &'static str> {
        match self.judge().await {
            Ok(()) => self.unsure_since = None,
            Err(Rejected::Unavailable(_)) if self.may_wait() => {}
            Err(Rejected::Unavailable(_)) => return Err("store_unavailable"),
            Err(Rejected::Revoked) => return Err("revoked"),
            Err(Rejected::Expired) => return Err("expired"),
            Err(Rejected::Invalid(_)) => return Err("invalid"),
        }
        Ok(())
    }

    async fn judge(&mut self) -> Result<(), Rejected> {
        let route = &self.found.route;
        self.tokens.reverify(&self.who, route.revocation).await?;
        let now = self.tokens.now();
        if now < self.due {
            return Ok(());
        }
        let holder = self.tokens.holder(&self.who).await?;
        if !route.is_for(&holder.roles) {
            return Err(Rejected::Invalid("roles"));
        }
        self.due = now.plus(self.tokens.access_ttl());
        Ok(())
    }

    fn may_wait(&mut self) -> bool {
        let now = self.tokens.now();
        let since = *self.unsure_since.get_or_insert(now);
        self.found.route.revocation != RevocationMode::Strict && now.since(since) < self.tokens.max_staleness()
    }
}

#[cfg(test)]
mod tests;
