//! The people of a scene: prepared while all is well, so that each can do one thing while a store is down and say afterwards what it cost.

use std::time::{Duration, Instant};

use serde_json::json;

use super::site::Site;
use crate::world::person::{change_password, login, refresh};
use crate::world::{Answer, Client, PASSWORD, PATIENCE, Person};

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
    /// Brings them in.
    pub async fn arrive(site: &Site, name: &str) -> Self {
        let known = arrives(site, name).await;
        for path in ["/things", "/strict"] {
            steady(|| known.get(path)).await.is(200);
        }
        let refresher = again(&known).await;
        let changer = arrives(site, &format!("{name}-changes")).await;
        let mut fresh = FreshTokens(again(&known).await);
        let mut traffic = vec![known.access.clone()];
        for _ in 0..3 {
            let token = fresh.next().await;
            steady(|| known.client.get("/things").bearer(&token).send())
                .await
                .is(200);
            traffic.push(token);
        }
        let mut unseen = Vec::new();
        for _ in 0..3 {
            unseen.push(fresh.next().await);
        }
        let renewing = site.world.browser();
        let cookie = browser(site, &known).await.cookie(REFRESH);
        renewing.set_cookie(REFRESH, &cookie.expect("a refresh cookie"));
        let leaving = browser(site, &known).await;
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
        change_password(&self.changer.client, &self.changer.access, PASSWORD, NEW_PASSWORD).await
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

/// Asks again while a store does not answer: right after an outage, on a busy machine, a connection may take longer to make than it may.
pub async fn steady<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status != 503 || began.elapsed() > PATIENCE {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn arrives(site: &Site, name: &str) -> Person {
    let email = format!("{name}@example.com");
    let client = site.world.client();
    let body = json!({"email": email, "password": PASSWORD});
    let registered = steady(|| client.post("/auth/register").json(&body).send()).await;
    // 409: made at the first time of asking, and that was not told.
    assert!([201, 409].contains(&registered.status), "{}", registered.text());
    let nobody = Person {
        client,
        email,
        id: String::new(),
        access: String::new(),
        refresh: String::new(),
    };
    again(&nobody).await
}

async fn again(person: &Person) -> Person {
    let tokens = steady(|| login(&person.client, &person.email, PASSWORD, true))
        .await
        .is(200);
    Person {
        access: tokens.member("access_token"),
        refresh: tokens.member("refresh_token"),
        ..person.clone()
    }
}

async fn browser(site: &Site, person: &Person) -> Client {
    let browser = site.world.browser();
    steady(|| login(&browser, &person.email, PASSWORD, false)).await.is(200);
    browser
}

/// Access tokens that no gateway was shown yet, from one session.
struct FreshTokens(Person);

impl FreshTokens {
    async fn next(&mut self) -> String {
        let renewed = steady(|| refresh(&self.0.client, &self.0.refresh)).await.is(200);
        self.0.refresh = renewed.member("refresh_token");
        renewed.member("access_token")
    }
}
