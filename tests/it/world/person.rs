//! Somebody with an account, signed in.

use serde_json::json;

use super::client::Client;
use super::{Answer, PASSWORD, World};

/// A person who holds tokens in hand, as a program would.
#[derive(Clone)]
pub struct Person {
    /// Speaks for them; has no cookies.
    pub client: Client,
    /// The account's address.
    pub email: String,
    /// The account's id.
    pub id: String,
    /// The access token of the sign-in.
    pub access: String,
    /// The refresh token of the sign-in.
    pub refresh: String,
}

impl Person {
    /// Registers and signs in.
    pub async fn arrive(world: &World, name: &str) -> Self {
        let client = world.client();
        let email = format!("{name}@example.com");
        let registered = client
            .post("/auth/register")
            .json(&json!({"email": email, "password": PASSWORD}))
            .send()
            .await;
        let id = registered.is(201).json()["user"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let tokens = login(&client, &email, PASSWORD, true).await.is(200);
        Self {
            access: tokens.member("access_token"),
            refresh: tokens.member("refresh_token"),
            client,
            email,
            id,
        }
    }

    /// Signs in once more, as another device would.
    pub async fn again(&self) -> Self {
        let tokens = login(&self.client, &self.email, PASSWORD, true).await.is(200);
        Self {
            access: tokens.member("access_token"),
            refresh: tokens.member("refresh_token"),
            ..self.clone()
        }
    }

    /// Signs in as a browser does: both cookies are in its jar afterwards.
    pub async fn in_browser(&self, world: &World) -> Client {
        let browser = world.browser();
        login(&browser, &self.email, PASSWORD, false).await.is(200);
        browser
    }

    /// Calls a path with the access token.
    pub async fn get(&self, path: &str) -> Answer {
        self.client.get(path).bearer(&self.access).send().await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &str) -> Answer {
        refresh(&self.client, token).await
    }
}

/// Asks to sign in.
pub async fn login(client: &Client, email: &str, password: &str, in_body: bool) -> Answer {
    let mut body = json!({"email": email, "password": password});
    if in_body {
        body["transport"] = json!("body");
    }
    client.post("/auth/login").json(&body).send().await
}

/// Exchanges a refresh token that was given in a body.
pub async fn refresh(client: &Client, token: &str) -> Answer {
    client
        .post("/auth/refresh")
        .json(&json!({"refresh_token": token}))
        .send()
        .await
}

/// Asks for another password, with an access token.
pub async fn change_password(client: &Client, access: &str, current: &str, new: &str) -> Answer {
    client
        .post("/auth/password")
        .bearer(access)
        .json(&json!({"current": current, "new": new}))
        .send()
        .await
}
