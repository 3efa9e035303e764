//! The configuration: every mistake at once, a reload nobody notices, a bad file that changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::world::{Upstream, World, until};

/// The number of the line on which a text begins.
#[track_caller]
fn line_of(text: &str, what: &str) -> usize {
    text.lines()
        .position(|line| line.contains(what))
        .unwrap_or_else(|| panic!("no {what} in\n{text}"))
        + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_five_mistakes_with_their_lines() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |_| {});
    let text = r#"version = 1
[server]
https = "127.0.0.1:8443"
admin = "127.0.0.1:9901"
public_url = "https://localhost:8443"
shutdown_gracee = "20s"
limits = { header_timeout = "soon" }
[auth]
registration = "ajar"
[upstreams.app]
servers = ["http://127.0.0.1:3000"]
[[routes]]
name = "a"
path = "/a"
upstream = "ap"
[[routes]]
name = "b"
path = "/b"
upstream = "app"
auth = "public"
roles = ["staff"]
"#;
    world.overwrite_config(text);
    let outcome = world.run(&["check"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    let said = format!("{}{}", outcome.out, outcome.err);
    for (mistake, word) in [
        ("shutdown_gracee", "shutdown_grace"),
        ("header_timeout", "soon"),
        ("registration", "open"),
        ("upstream = \"ap\"", "app"),
        ("roles", "public"),
    ] {
        let line = line_of(text, mistake);
        // Somewhere on or beside the mistake's own line.
        let told = said
            .lines()
            .filter(|told| told.contains(&format!("{line}")))
            .any(|told| told.contains(word));
        assert!(told, "line {line} ({mistake}) is not told with {word:?}:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_guard_that_holds_for_some_methods_only_and_accepts_it() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |config| {
        config.route("guard", "path = \"/public/guard\"\nmethods = [\"GET\"]");
    });
    let outcome = world.run(&["check"]).done();
    assert_eq!(outcome.out, "ok\n");
    assert!(
        outcome
            .err
            .starts_with("warning: the route `guard` is not for HEAD, POST"),
        "{outcome:?}"
    );
    assert!(
        outcome.err.contains("goes to the route `public`") && outcome.err.lines().count() == 1,
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_starts_nothing_and_writes_nothing() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |_| {});
    let outcome = world.run(&["check"]).done();
    assert!(outcome.out.trim().ends_with("ok"), "{outcome:?}");
    let files: Vec<_> = std::fs::read_dir(world.dir())
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(files, ["gateway.toml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_file_is_without_mistakes() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml");
    let outcome = crate::world::process::run(&file, &["check"], "");
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_refuses_a_bad_file_and_says_why() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |config| {
        config.set("server.admin", "0.0.0.0:9901");
    });
    for command in ["check", "serve"] {
        let outcome = world.run(&[command]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(
            format!("{}{}", outcome.out, outcome.err).contains("admin_public"),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_routes_without_a_restart() {
    let upstream = Upstream::friendly();
    let other = Upstream::friendly();
    let mut world = World::start(&upstream);
    let ada = world.person("ada").await;
    ada.get("/public").await.is(200);
    world.reconfigure(|config| {
        config.upstream("other", &[other.url()]);
        config.route("public", "auth = \"required\"\nupstream = \"other\"");
    });
    world.signal("HUP");
    until("the route is protected", || {
        let answer = world
            .tls()
            .ask(&format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority()));
        (answer.status == 401).then_some(())
    });
    ada.get("/public").await.is(200);
    assert_eq!(other.count(), 1);
    assert_eq!(world.metric("gateward_config_last_reload_success", &[]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_up_without_a_signal() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    world.client().get("/public").send().await.is(200);
    world.reconfigure(|config| {
        config.route("public", "auth = \"required\"");
    });
    until("the route is protected", || {
        let answer = world
            .tls()
            .ask(&format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority()));
        (answer.status == 401).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_under_load_loses_no_request() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    let ada = world.person("ada").await;
    let over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));

    let fresh: Vec<_> = (0..4)
        .map(|number| {
            let (ada, over, done) = (ada.clone(), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                let client = if number % 2 == 0 {
                    ada.client.clone()
                } else {
                    ada.client.clone().h2()
                };
                while !over.load(Ordering::SeqCst) {
                    client.get("/things").bearer(&ada.access).send().await.is(200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let kept: Vec<_> = (0..4)
        .map(|_| {
            let mut wire = world.tls();
            let request = format!(
                "POST /things HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: 5\r\n\r\nhello",
                world.authority(),
                ada.access
            );
            let (over, done) = (Arc::clone(&over), Arc::clone(&done));
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(wire.ask(&request).status, 200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    for round in 0..15 {
        let before = done.load(Ordering::SeqCst);
        world.reconfigure(|config| {
            config.route(
                &format!("extra-{round}"),
                &format!("path = \"/extra/{round}\"\nauth = \"public\""),
            );
        });
        world.signal("HUP");
        until("the new route is served", || {
            let path = format!("/extra/{round}");
            let answer = world
                .tls()
                .ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority()));
            (answer.status == 200).then_some(())
        });
        until("load goes on", || (done.load(Ordering::SeqCst) > before).then_some(()));
    }
    over.store(true, Ordering::SeqCst);
    for client in fresh {
        client.await.expect("no request was lost");
    }
    for client in kept {
        client.join().expect("no request was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_of_a_bad_file_changes_nothing_and_names_the_mistakes() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    let ada = world.person("ada").await;
    let good = world.config_text();
    let bad = good.replacen("auth = \"public\"", "auth = \"publik\"", 1) + "\n[nonsense]\n";
    assert_ne!(bad, good);
    world.overwrite_config(&bad);
    world.signal("HUP");
    until("the failure is counted", || {
        (world.metric("gateward_config_last_reload_success", &[]) == 0.0).then_some(())
    });
    until("the mistakes are told", || {
        let said = world.output();
        (said.contains("publik") && said.contains("nonsense")).then_some(())
    });
    world.client().get("/public").send().await.is(200);
    ada.get("/things").await.is(200);
    ada.again().await;

    world.reconfigure(|config| {
        config.route("public", "auth = \"required\"");
    });
    world.signal("HUP");
    until("a good file is taken up again", || {
        (world.metric("gateward_config_last_reload_success", &[]) == 1.0).then_some(())
    });
    world.client().get("/public").send().await.is(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_names_the_keys_that_need_a_restart() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    world.reconfigure(|config| {
        config
            .set("server.workers", 1)
            .set("store.accounts", "sqlite://data/other.db");
    });
    world.signal("HUP");
    until("the keys are named", || {
        let said = world.output();
        (said.contains("server.workers") && said.contains("store.accounts")).then_some(())
    });
    world.client().get("/public").send().await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_overrides_a_scalar() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |_| {});
    let mut command = crate::world::process::command(&world.config_file(), &["check"]);
    let output = command
        .env("GATEWARD__AUTH__REGISTRATION", "ajar")
        .output()
        .expect("the command ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ajar") || said.contains("registration"), "{said}");
}
