//! The document that describes the JSON API, as a program finds it, and as a fuzzer reads it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::world::{PASSWORD, Upstream, World};

/// Longer than any run takes on a busy machine.
const FUZZING: Duration = Duration::from_secs(300);

/// What stands outside the document: TRACE is refused as every request that no server should answer, and the pages answer GET at some of the paths.
const BEYOND: &str = "unsupported_method";

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
        let path = path
            .replace("{id}", "01a20390-3948-7a63-9fff-a1b4a0aef3ae")
            .replace("{provider}", "corp");
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

/// Has schemathesis try every operation with all that fits its description and much that does not, in the same way each time. A 5xx, an answer that is not
/// described, a body that is passed though it does not fit, a guarded operation that answers a stranger: any of these is a failure.
#[track_caller]
fn fuzz(world: &World, configuration: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis");
    let (settings, said) = (
        world.dir().join("schemathesis.toml"),
        world.dir().join("schemathesis.log"),
    );
    fs::write(&settings, configuration).expect("a configuration for it");
    let log = File::create(&said).expect("a log for it");
    let mut child = Command::new(folder.join("bin/schemathesis"))
        .arg("--config-file")
        .arg(&settings)
        .args(["run", &format!("{}/auth/openapi.json", world.origin())])
        .arg("--tls-verify")
        .arg(world.dir().join("data/self-signed.crt"))
        .args(["--generation-deterministic", "--max-examples", "20", "--no-color"])
        .args(["--exclude-checks", BEYOND])
        // A refusal that comes before the body ends its connection, and this client does not try again on another (RFC 9112 §9.3.1).
        .args(["--header", "Connection: close"])
        .env("PYTHONPATH", &folder)
        .env("HOME", world.dir())
        .current_dir(world.dir())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("one log"))
        .stderr(log)
        .spawn()
        .expect("schemathesis is in target/schemathesis; tests/run puts it there");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be asked") {
            break status;
        }
        if began.elapsed() > FUZZING {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = fs::read_to_string(said).unwrap_or_default();
    assert!(status.success(), "schemathesis ended with {status}:\n{said}");
    for entry in world.access_log() {
        assert!(entry["status"].as_u64().is_some_and(|status| status < 500), "{entry}");
    }
}

/// A body that fits its description may still be refused: for a weak password, an address that is none, or a link that was used.
const JUDGED: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "410", "422"]
"#;

/// How often an operation was answered so.
fn seen(world: &World, method: &str, path: &str, status: u64) -> usize {
    let log = world.access_log();
    let such = |entry: &&Value| entry["method"] == method && entry["path"] == path && entry["status"] == status;
    log.iter().filter(such).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_that_reads_the_document_finds_no_fault_as_a_stranger() {
    let world = World::start(&Upstream::friendly());
    fuzz(&world, JUDGED);
    assert!(
        world.access_log().len() > 200,
        "only {} requests",
        world.access_log().len()
    );
    for (method, path, status) in [
        ("POST", "/auth/login", 400),
        ("POST", "/auth/login", 401),
        ("POST", "/auth/login", 415),
        ("POST", "/auth/register", 422),
        ("GET", "/auth/me", 401),
        ("DELETE", "/auth/me", 401),
    ] {
        assert!(
            seen(&world, method, path, status) > 0,
            "{method} {path} was never {status}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_that_reads_the_document_finds_no_fault_signed_in() {
    let world = World::start(&Upstream::friendly());
    let ada = world.person("ada").await;
    let signing_in = format!(
        r#"
        [auth.dynamic.openapi.bearer]
        path = "/auth/login"
        payload = {{ email = "{}", password = "{PASSWORD}" }}
        extract_selector = "/access_token"
        {JUDGED}"#,
        ada.email
    );
    fuzz(&world, &signing_in);
    for (method, path, status) in [
        ("GET", "/auth/me", 200),
        ("GET", "/auth/sessions", 200),
        ("POST", "/auth/logout/all", 204),
        ("POST", "/auth/password", 422),
        ("DELETE", "/auth/me", 400),
        ("DELETE", "/auth/me", 401),
    ] {
        assert!(
            seen(&world, method, path, status) > 0,
            "{method} {path} was never {status}"
        );
    }
}
