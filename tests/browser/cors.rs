//! Pages of other origins and a route with `cors`: what the browser lets them send, and what they get to read.

use serde_json::{Value, json};

use crate::driver::Browser;
use crate::site::{account, html, sign_in, upstream};
use crate::world::{Upstream, World};

const ADA: &str = "ada@example.com";

/// A site of three hosts behind one gateway: `api.shop.test`, where people sign in; `front.shop.test`, whose pages may call it; `other.shop.test`, whose pages may
/// not, though its cookies are of the same site.
struct Shop {
    world: World,
    upstream: Upstream,
}

impl Shop {
    fn open() -> Self {
        let upstream = upstream();
        let mut world = World::stopped(&upstream, |_| {});
        let front = format!("https://front.shop.test:{}", world.https_port());
        let public_url = format!("https://api.shop.test:{}", world.https_port());
        let may = format!(
            "cors = {{ origins = [\"{front}\"], methods = [\"GET\", \"PUT\"], headers = [\"content-type\"], credentials = true }}"
        );
        world.reconfigure(|config| {
            config.set("server.public_url", public_url);
            config.route("app", "identity = { user = \"email\" }");
            config.route(
                "api",
                &format!("path = \"/api\"\nidentity = {{ user = \"email\" }}\n{may}"),
            );
            config.route("staff", &format!("path = \"/staff\"\nroles = [\"staff\"]\n{may}"));
            config.route(
                "anybody",
                "path = \"/anybody\"\ncors = { origins = [\"*\"], headers = [\"authorization\"] }",
            );
            for host in ["front", "other"] {
                config.route(
                    host,
                    &format!("host = \"{host}.shop.test\"\npath = \"/\"\nauth = \"public\""),
                );
            }
        });
        world.up();
        account(&world, ADA);
        Self { world, upstream }
    }

    fn at(&self, host: &str, path: &str) -> String {
        format!("https://{host}.shop.test:{}{path}", self.world.https_port())
    }

    /// A browser in which Ada is signed in at `api.shop.test`.
    fn browser(&self) -> Browser {
        let browser = Browser::start();
        browser.open(&self.at("api", "/"));
        sign_in(&browser, ADA);
        assert!(browser.text().contains("Private page of ada"), "{}", browser.text());
        browser
    }

    /// The methods and targets that reached the upstream under a prefix.
    fn arrived(&self, prefix: &str) -> Vec<String> {
        let lines = self
            .upstream
            .requests()
            .into_iter()
            .filter(|request| request.target().starts_with(prefix));
        lines
            .map(|request| request.line().trim_end_matches(" HTTP/1.1").to_owned())
            .collect()
    }
}

/// What a script of the present page reads of an answer; `failed` where the browser gives it nothing.
#[track_caller]
fn reads(browser: &Browser, url: &str, options: &Value) -> Value {
    browser.run(&format!(
        "return fetch({}, {options}).then(\
           async answer => ({{ status: answer.status, text: await answer.text(), challenge: answer.headers.get('www-authenticate') }}),\
           () => 'failed')",
        json!(url)
    ))
}

#[track_caller]
fn is_problem(read: &Value, status: u16, code: &str) {
    let problem: Value = serde_json::from_str(read["text"].as_str().expect("an answer that can be read")).unwrap();
    assert_eq!(
        (&read["status"], &problem["code"]),
        (&json!(status), &json!(code)),
        "{read}"
    );
}

#[test]
fn a_listed_origin_calls_by_cookie_and_reads_answers_and_refusals() {
    let shop = Shop::open();
    let browser = shop.browser();
    browser.open(&shop.at("front", "/"));
    let orders = shop.at("api", "/api/orders");
    let read = reads(&browser, &orders, &json!({"credentials": "include"}));
    assert_eq!(read["status"], 200);
    assert!(read["text"].as_str().unwrap().contains("Private page of ada"), "{read}");

    let put = json!({"credentials": "include", "method": "PUT", "headers": {"content-type": "application/json"}, "body": "{}"});
    assert_eq!(reads(&browser, &orders, &put)["status"], 200);
    // The question whether it may was answered by the gateway.
    assert_eq!(shop.arrived("/api"), ["GET /api/orders", "PUT /api/orders"]);

    let read = reads(&browser, &orders, &json!({"credentials": "omit"}));
    is_problem(&read, 401, "no_token");
    assert_eq!(read["challenge"], "Bearer realm=\"gateward\"");
    let read = reads(&browser, &shop.at("api", "/staff"), &json!({"credentials": "include"}));
    is_problem(&read, 403, "forbidden");
}

#[test]
fn what_a_route_does_not_list_is_not_sent() {
    let shop = Shop::open();
    let browser = shop.browser();
    browser.open(&shop.at("front", "/"));
    let orders = shop.at("api", "/api/orders");
    for more in [json!({"method": "DELETE"}), json!({"headers": {"x-anything": "1"}})] {
        let mut options = json!({"credentials": "include"});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        assert_eq!(reads(&browser, &orders, &options), "failed", "{options}");
    }
    // A route without `cors` answers, and the page reads nothing of it.
    assert_eq!(reads(&browser, &shop.at("api", "/next"), &json!({})), "failed");
    assert_eq!(shop.arrived("/api"), Vec::<String>::new());
}

#[test]
fn an_origin_that_is_not_listed_reads_nothing_and_changes_nothing() {
    let shop = Shop::open();
    let browser = shop.browser();
    let orders = shop.at("api", "/api/orders");
    let stranger = Upstream::answering(|_| html("<h1>a stranger's page</h1>"));
    for page in [shop.at("other", "/"), stranger.url().replace("127.0.0.1", "evil.test")] {
        browser.open(&page);
        for credentials in ["include", "omit"] {
            let mut options = json!({"credentials": credentials});
            assert_eq!(reads(&browser, &orders, &options), "failed", "{page}: {options}");
            // One that the browser asks for leave first, and one that it sends at once.
            options["method"] = json!("PUT");
            assert_eq!(reads(&browser, &orders, &options), "failed", "{page}: {options}");
            options["method"] = json!("POST");
            options["body"] = json!("a=1");
            assert_eq!(reads(&browser, &orders, &options), "failed", "{page}: {options}");
        }
    }
    // Reading by cookie from the same site is no more than a link does; nothing else arrives.
    assert_eq!(shop.arrived("/api"), ["GET /api/orders"]);
}

#[test]
fn anybodys_page_calls_an_open_route_by_bearer_and_never_by_cookie() {
    let shop = Shop::open();
    let browser = shop.browser();
    let client = shop.world.client();
    let login = json!({"email": ADA, "password": crate::world::PASSWORD, "transport": "body"});
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tokens = runtime.block_on(client.post("/auth/login").json(&login).send()).is(200);
    let bearer = |token: &str| json!({"headers": {"authorization": format!("Bearer {token}")}});

    let page = Upstream::answering(|_| html("<h1>anybody's page</h1>"));
    browser.open(&page.url().replace("127.0.0.1", "partner.test"));
    let anybody = shop.at("api", "/anybody");
    assert_eq!(
        reads(&browser, &anybody, &bearer(&tokens.member("access_token")))["status"],
        200
    );
    is_problem(&reads(&browser, &anybody, &bearer("no.to.ken")), 401, "invalid_token");
    is_problem(&reads(&browser, &anybody, &json!({})), 401, "no_token");
    assert_eq!(reads(&browser, &anybody, &json!({"credentials": "include"})), "failed");
    assert_eq!(shop.arrived("/anybody"), ["GET /anybody"]);
}
