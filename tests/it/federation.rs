//! Signing in with an OpenID provider, over the pages: what holds when everybody keeps to the protocol, and that nobody gets in who does not.

mod attacks;
mod rules;

use std::collections::BTreeMap;

use crate::world::openid::{CLIENT_SECRET, OpenId, fields};
use crate::world::{Answer, Client, Config, Upstream, World};

/// A gateway that asks one provider.
fn world(upstream: &Upstream, provider: &OpenId) -> World {
    world_with(upstream, &[provider.settings("corp", "")], |_| {})
}

/// One that asks these, with changes to its other settings.
fn world_with(upstream: &Upstream, providers: &[String], change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::stopped(upstream, |config| {
        ask(config, providers);
        change(config);
    });
    std::fs::write(world.dir().join("corp.secret"), format!("{CLIENT_SECRET}\n")).expect("a secret can be written");
    world.secret(CLIENT_SECRET);
    world.secret("the-access-token");
    world.up();
    world
}

fn ask(config: &mut Config, providers: &[String]) {
    let providers: Vec<toml::Value> = providers
        .iter()
        .map(|lines| toml::Value::Table(lines.parse().expect("a provider's keys are TOML")))
        .collect();
    config.set("auth.providers", providers);
}

/// A browser on its way to a provider, and what it asks there.
struct Away {
    browser: Client,
    question: BTreeMap<String, String>,
}

/// Presses the provider's button on the sign-in page.
async fn set_out(world: &World, browser: Client, id: &str, return_to: &str) -> Away {
    let page = browser
        .get("/auth/login")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let token = form_token(&page);
    let form = format!("form_token={token}&return_to={return_to}");
    leave(world, browser, id, &form).await
}

/// Sends the form that leads to a provider.
async fn leave(world: &World, browser: Client, id: &str, form: &str) -> Away {
    let onward = submit(&browser, &format!("/auth/providers/{id}"), form)
        .await
        .is(200)
        .text();
    let address = between(&onward, "content=\"0;url=", "\"").replace("&#38;", "&");
    let question = fields(address.split_once('?').expect("a question").1);
    for secret in ["state", "nonce"] {
        world.secret(&question[secret]);
    }
    Away { browser, question }
}

async fn submit(browser: &Client, path: &str, form: &str) -> Answer {
    browser
        .post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body(form.to_owned())
        .send()
        .await
}

impl Away {
    /// Comes back as the provider sends browsers back.
    async fn back(&self, world: &World, code: &str) -> Answer {
        self.back_with(world, &format!("code={code}")).await
    }

    async fn back_with(&self, world: &World, answer: &str) -> Answer {
        let state = &self.question["state"];
        come_back(world, &self.browser, "corp", &format!("{answer}&state={state}")).await
    }
}

async fn come_back(world: &World, browser: &Client, id: &str, query: &str) -> Answer {
    if let Some(code) = fields(query).get("code") {
        world.secret(code);
    }
    browser
        .get(&format!("/auth/providers/{id}/callback?{query}"))
        .header("accept", "text/html")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "navigate")
        .send()
        .await
}

/// Goes there and back, as Ada.
async fn sign_in(world: &World, provider: &OpenId, browser: Client) -> Answer {
    let away = set_out(world, browser, "corp", "/reports").await;
    let code = provider.agrees(&away.question);
    away.back(world, &code).await
}

fn form_token(page: &Answer) -> String {
    between(&page.text(), "name=\"form_token\" value=\"", "\"").to_owned()
}

#[track_caller]
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).expect("an end").0
}

/// The reasons in the audit log for which providers' answers got nobody in.
fn refusals(world: &World) -> Vec<String> {
    let refused = world
        .audit_log()
        .into_iter()
        .filter(|event| event["event"] == "login.refused");
    refused
        .map(|event| event["detail"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// How many accounts there are.
fn accounts(world: &World) -> usize {
    let listed = world.run(&["user", "list", "--json"]).done();
    serde_json::from_str::<serde_json::Value>(&listed.out)
        .expect("JSON")
        .as_array()
        .expect("a list")
        .len()
}
