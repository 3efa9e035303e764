//! An authenticator app, and the two steps of a sign-in that leans on it.

use gateward::model::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use totp_rs::Totp;

use super::person::login;
use super::{Answer, Client, PASSWORD, Person, World};

/// Holds a secret and shows its codes.
pub struct App(Totp);

impl App {
    /// One that reads a QR code.
    #[track_caller]
    pub fn reading(uri: &str) -> Self {
        Self(Totp::from_url(uri).expect("an otpauth address"))
    }

    /// The code of a time step, so many after the present one.
    pub fn code(&self, ahead: u64) -> String {
        self.0.generate(SystemClock.now().as_secs() + 30 * ahead).to_string()
    }

    /// Adds an app to somebody's account; with the recovery codes. The present time step is spent by it.
    pub async fn added_to(world: &World, person: &Person) -> (Self, Vec<String>) {
        let begun = person
            .client
            .post("/auth/mfa/totp")
            .bearer(&person.access)
            .send()
            .await
            .is(200);
        world.secret(&begun.member("secret"));
        let app = Self::reading(&begun.member("uri"));
        let confirmed = person.client.post("/auth/mfa/totp/confirm").bearer(&person.access);
        let confirmed = confirmed
            .json(&json!({"code": app.code(0)}))
            .send()
            .await
            .is(200)
            .json();
        let codes: Vec<String> = serde_json::from_value(confirmed["recovery_codes"].clone()).expect("recovery codes");
        codes.iter().for_each(|code| world.secret(code));
        (app, codes)
    }
}

/// The password, which is not enough: what stands for it.
pub async fn begin(client: &Client, email: &str) -> String {
    let answer = login(client, email, PASSWORD, true).await.is(200);
    assert!(answer.cookies().is_empty());
    answer.member("mfa_token")
}

/// The second step, with the refresh token in the body.
pub async fn verify(client: &Client, token: &str, method: &str, code: &str) -> Answer {
    let body: Value = json!({"mfa_token": token, "method": method, "code": code, "transport": "body"});
    client.post("/auth/mfa/verify").json(&body).send().await
}
