//! The people of a scene: prepared while all is well, so that each can do one thing while a store is down and say afterwards what it cost.

use serde_json::json;

use super::site::Site;
use crate::world::person::{login, refresh};
use crate::world::{Answer, Client, PASSWORD, Person};

const REFRESH: &str = "__Host-gateward-refresh";
const NEW_PASSWORD: &str = "another battery staple horse";

/// Everybody.
pub struct Actors {
    name: String,
    /// Whose access token the gateway has seen.
    pub known: Person,
    /// Access tokens that it has not seen yet.
    unseen: Vec<String>,
    /// Access tokens of the background traffic, all seen.
    pub traffic: Vec<String>,
    refresher: Person,
    changer: Person,
    renewing: Client,
    leaving: Client,
}

impl Actors {
    /// Brings them in. A busy machine may lose a call to its limit: such a scene is set again, with other people.
    pub async fn arrive(site: &Site, name: &str) -> Self {
        let known = site.world.person(name).await;
        known.get("/things").await.is(200);
        known.get("/strict").await.is(200);
        let refresher = known.again().await;
        let changer = site.world.person(&format!("{name}-changes")).await;
        let mut fresh = FreshTokens(known.again().await);
        let mut traffic = vec![known.access.clone()];
        for _ in 0..3 {
            let token = fresh.next().await;
            known.client.get("/things").bearer(&token).send().await.is(200);
            traffic.push(token);
        }
        let mut unseen = Vec::new();
        for _ in 0..6 {
            unseen.push(fresh.next().await);
        }
        let renewing = site.world.browser();
        let cookie = known
            .in_browser(&site.world)
            .await
            .cookie(REFRESH)
            .expect("a refresh cookie");
        renewing.set_cookie(REFRESH, &cookie);
        let leaving = known.in_browser(&site.world).await;
        Self {
            name: name.to_owned(),
            known,
            unseen,
            traffic,
            refresher,
            changer,
            renewing,
            leaving,
        }
    }

    pub fn unseen(&mut self) -> String {
        self.unseen.pop().expect("enough tokens")
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.known.client.get(path).bearer(token).send().await
    }

    pub async fn public(&self) -> Answer {
        self.known.client.get("/public").send().await
    }

    pub async fn signs_in(&self) -> Answer {
        login(&self.known.client, &self.known.email, PASSWORD, true).await
    }

    pub async fn registers(&self) -> Answer {
        let email = format!("{}-registers@example.com", self.name);
        let body = json!({"email": email, "password": PASSWORD});
        self.known.client.post("/auth/register").json(&body).send().await
    }

    pub async fn refreshes(&self) -> Answer {
        refresh(&self.known.client, &self.refresher.refresh).await
    }

    pub async fn changes_password(&self) -> Answer {
        let body = json!({"current": PASSWORD, "new": NEW_PASSWORD});
        let call = self.changer.client.post("/auth/password");
        call.bearer(&self.changer.access).json(&body).send().await
    }

    /// By a browser whose access cookie is gone.
    pub async fn is_renewed(&self) -> Answer {
        self.renewing.get("/things").send().await
    }

    /// By a browser that keeps what it is told to keep.
    pub async fn signs_out(&self) -> Answer {
        self.leaving.post("/auth/logout").send().await
    }

    /// Guesses at an account, one after the other; tells how many were let through before the limit said no, of at most `most`.
    pub async fn guesses(&self, most: usize) -> usize {
        let email = format!("{}-guessed@example.com", self.name);
        for guessed in 0..most {
            let answer = login(&self.known.client, &email, "not the password of anybody", true).await;
            if answer.status == 429 {
                return guessed;
            }
        }
        most
    }
}

/// Access tokens that no gateway was shown yet, from one session.
struct FreshTokens(Person);

impl FreshTokens {
    async fn next(&mut self) -> String {
        let renewed = refresh(&self.0.client, &self.0.refresh).await.is(200);
        self.0.refresh = renewed.member("refresh_token");
        renewed.member("access_token")
    }
}
