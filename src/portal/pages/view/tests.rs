//! Every page, drawn from made-up values: what it costs, and what it must not hold.

use super::*;
use crate::config;
use crate::wire::Body;

mod factors;

/// The largest is a sign-in page that brings a kept form along.
const BUDGET: usize = 36 * 1000;

fn look() -> Look {
    Look::new(&config::Portal::default(), "/auth")
}

fn complaint() -> Option<Complaint> {
    Some(Complaint {
        title: "Wrong e-mail or password.".to_owned(),
        detail: "Check both and try again.".to_owned(),
        reference: String::new(),
    })
}

fn moment() -> Moment {
    Timestamp::from_secs(1_790_000_000).into()
}

fn account(look: &Look, sessions: usize) -> Account<'_> {
    let line = |number: usize| SessionLine {
        id: format!("01990000-0000-7000-8000-{number:012}"),
        device: ["Firefox on Linux", "Safari on iPhone"][number % 2].to_owned(),
        address: "2001:db8:1234:5678::9abc".to_owned(),
        opened: moment(),
        used: moment(),
        current: number == 0,
    };
    Account {
        look,
        error: None,
        wrong: Wrong::Nothing,
        done: Some("Your password was changed; your other sessions have ended."),
        email: "ada.lovelace@example.com",
        user_id: "01990000-0000-7000-8000-000000000000".to_owned(),
        roles: vec!["staff".to_owned(), "reports:read".to_owned()],
        since: moment(),
        sessions: (0..sessions).map(line).collect(),
        unlisted: 4,
        ties: vec![tie("google", true), tie("corp", false)],
        has_password: true,
        letters: true,
        form_token: "t".repeat(43),
        min_length: 15,
        max_length: 256,
    }
}

fn sign_in(look: &Look) -> SignIn<'_> {
    SignIn {
        look,
        error: None,
        email: "",
        form_token: "t".repeat(43),
        return_to: Some("/reports?week=3"),
        destination: None,
        kept: None,
        registration: true,
        choices: choices(),
        letters: true,
        passkeys: true,
    }
}

fn register(look: &Look) -> Register<'_> {
    Register {
        look,
        error: None,
        wrong_email: false,
        wrong_password: false,
        email: "",
        form_token: "t".repeat(43),
        return_to: None,
        kept: None,
        min_length: 15,
        max_length: 256,
        choices: choices(),
    }
}

fn choices() -> Choices<'static> {
    Choices {
        list: vec![("google", "Google"), ("corp", "Corporation")],
        again: true,
    }
}

fn tie(id: &'static str, tied: bool) -> Tie<'static> {
    Tie {
        id,
        name: id,
        tied,
        label: "ada.lovelace@example.com".to_owned(),
    }
}

fn pages(look: &Look) -> Vec<(&'static str, String)> {
    let wrong = SignIn {
        error: complaint(),
        email: "ada@example.com",
        kept: Some("sealed"),
        ..sign_in(look)
    };
    // As large as a kept form gets once it is sealed and written in base64.
    let kept_form = "k".repeat(5_600);
    let (sign_in_kept, register_kept) = (
        SignIn {
            kept: Some(&kept_form),
            ..sign_in(look)
        },
        Register {
            kept: Some(&kept_form),
            ..register(look)
        },
    );
    let signed_out = SignedOut {
        look,
        heading: "You are signed out",
        detail: "Nothing of yours is kept in this browser.",
        form_token: None,
    };
    let error = ErrorPage {
        look,
        status: 502,
        heading: "The site behind this address does not answer",
        happened: "We could reach you, but not the application you asked for.",
        advice: "It is often back in a minute: try again.",
        causes: vec![],
        again: Some("/reports"),
        account: true,
        request_id: "01990000-0000-7000-8000-000000000000",
    };
    let onward = Onward {
        look,
        heading: "One moment",
        detail: "On to Google, where you say who you are.".to_owned(),
        name: "Google",
        address: "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&scope=openid",
    };
    let field = |name: &str, value: &str| KeptField {
        name: name.to_owned(),
        value: value.to_owned(),
        shown: value.to_owned(),
    };
    let kept = KeptForm {
        look,
        target: "/orders/new",
        instead: "/orders/new",
        fields: vec![field("title", "Forty-two chairs"), field("note", "for the <hall>")],
    };
    let (form_token, token) = ("t".repeat(43), "l".repeat(43));
    let forgot = Forgot {
        look,
        error: complaint(),
        email: "ada@example.com",
        form_token: form_token.clone(),
    };
    let reset = Reset {
        look,
        error: complaint(),
        token: &token,
        form_token: form_token.clone(),
        min_length: 15,
        max_length: 256,
    };
    let confirm = Confirm {
        look,
        error: complaint(),
        token: &token,
        form_token: form_token.clone(),
    };
    let waiting = Waiting {
        look,
        error: None,
        done: Some("A letter with a link is on its way to your address. Open it to finish."),
        email: "",
        form_token,
    };
    let message = Message {
        look,
        heading: "Your password is set",
        detail: "All sessions of your account have ended. Sign in with the new password.",
        button: "Sign in",
        way_on: "/auth/login".to_owned(),
    };
    let complained = Account {
        error: complaint(),
        wrong: Wrong::Deletion,
        done: None,
        ..account(look, 1)
    };
    let all = [
        ("sign_in", sign_in(look).render()),
        ("sign_in_wrong", wrong.render()),
        ("sign_in_kept", sign_in_kept.render()),
        ("register", register(look).render()),
        ("register_kept", register_kept.render()),
        ("account", account(look, 3).render()),
        ("account_wrong", complained.render()),
        ("account_many", account(look, 12).render()),
        ("signed_out", signed_out.render()),
        ("onward", onward.render()),
        ("error", error.render()),
        ("kept_form", kept.render()),
        ("forgot", forgot.render()),
        ("reset", reset.render()),
        ("confirm", confirm.render()),
        ("waiting", waiting.render()),
        ("message", message.render()),
    ];
    let all = all.into_iter().chain(factors::pages(look));
    all.map(|(name, html)| (name, html.unwrap())).collect()
}

#[test]
fn no_page_costs_more_than_thirty_six_kilobytes_and_three_requests() {
    let look = look();
    let files = [look.asset(&look.style).unwrap(), look.asset(&look.script).unwrap()];
    let files: usize = files
        .iter()
        .map(|file| {
            http_body::Body::size_hint(file.body())
                .exact()
                .and_then(|size| usize::try_from(size).ok())
                .unwrap()
        })
        .sum();
    for (name, html) in pages(&look) {
        assert!(html.len() + files <= BUDGET, "{name}: {} + {files}", html.len());
        let asked_for = html.matches("src=\"/").count() + html.matches("rel=\"stylesheet\"").count();
        assert_eq!(asked_for, 2, "{name}");
    }
}

#[test]
fn no_page_needs_an_exception_from_the_content_security_policy() {
    for (name, html) in pages(&look()) {
        for inline in ["style=", "<style", "onclick", "javascript:", "<script>"] {
            assert!(!html.contains(inline), "{name} has {inline}");
        }
    }
}

#[test]
fn what_people_type_is_escaped() {
    let look = look();
    let page = SignIn {
        email: "\"><script>alert(1)</script>",
        ..sign_in(&look)
    }
    .render()
    .unwrap();
    assert!(!page.contains("<script>alert"));
}

/// For looking at: `GATEWARD_PAGES=folder` writes every page there.
#[test]
fn pages_can_be_looked_at() {
    let Some(folder) = std::env::var_os("GATEWARD_PAGES").map(std::path::PathBuf::from) else {
        return;
    };
    let look = look();
    for (name, html) in pages(&look) {
        let html = html
            .replace(&look.style, "style.css")
            .replace(&look.script, "script.js");
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
    let Body::Full(style) = look.asset(&look.style).unwrap().into_body() else {
        panic!()
    };
    std::fs::write(folder.join("style.css"), style).unwrap();
    std::fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/portal/assets/script.js"),
        folder.join("script.js"),
    )
    .unwrap();
}
