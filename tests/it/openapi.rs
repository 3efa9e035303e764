//! The document that describes the JSON API, as a program finds it.

use http::Method;
use serde_json::Value;

use crate::world::{Upstream, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_finds_every_operation_where_the_document_says_it_is() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.base_path", "/sso");
    });
    let client = world.client();
    let answer = client.get("/sso/openapi.json").send().await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("cache-control").starts_with("public, max-age="));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(document["servers"][0]["url"], world.origin());

    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 10, "{paths:?}");
    for (path, item) in paths {
        let path = path.replace("{id}", "01a20390-3948-7a63-9fff-a1b4a0aef3ae");
        let methods = item.as_object().expect("operations").keys();
        for method in methods.filter(|key| *key != "parameters") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let answer = client.call(method.clone(), &path).send().await;
            let found = document_has(item, &method, answer.status);
            assert!(
                found,
                "{method} {path} is answered with {}, which is not described",
                answer.status
            );
            assert!(
                answer.status != 404 && answer.status != 405,
                "{method} {path} is not there"
            );
        }
    }
    let path = "/.well-known/jwks.json";
    assert!(paths.contains_key(path), "the keys are not under base_path");
}

fn document_has(item: &Value, method: &Method, status: u16) -> bool {
    let operation = &item[method.as_str().to_lowercase()];
    operation["responses"].get(status.to_string()).is_some()
}
