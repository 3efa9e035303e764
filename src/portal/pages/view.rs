//! What each page shows: plain values in, HTML out. No page decides anything here.

use askama::Template;
use time::OffsetDateTime;
use time::macros::format_description;

use super::look::Look;
use crate::model::clock::Timestamp;

/// What went wrong, above a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// In a few words.
    pub title: String,
    /// What to do.
    pub detail: String,
    /// The request id, where it helps whoever looks into it; else empty.
    pub reference: String,
}

/// The sign-in page.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/portal/askama.toml")]
pub struct SignIn<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// The address typed before.
    pub email: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// The same in words, where it is another host.
    pub destination: Option<&'a str>,
    /// A form sealed until the person is signed in again.
    pub kept: Option<&'a str>,
    /// Whether strangers may register.
    pub registration: bool,
}

/// The registration page.
#[derive(Template)]
#[template(path = "register.html", config = "src/portal/askama.toml")]
pub struct Register<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// Whether it was the address.
    pub wrong_email: bool,
    /// Whether it was the password.
    pub wrong_password: bool,
    /// The address typed before.
    pub email: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// A form to be sent afterwards, sealed.
    pub kept: Option<&'a str>,
    /// Characters of a password at least.
    pub min_length: usize,
    /// Characters of a password at most.
    pub max_length: usize,
}

/// The account page.
#[derive(Template)]
#[template(path = "account.html", config = "src/portal/askama.toml")]
pub struct Account<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// Which form it went wrong in.
    pub wrong: Wrong,
    /// What was done just now.
    pub done: Option<&'a str>,
    /// The person's address.
    pub email: &'a str,
    /// Their id.
    pub user_id: String,
    /// What they may do.
    pub roles: Vec<String>,
    /// When the account was made.
    pub since: Moment,
    /// Newest first.
    pub sessions: Vec<SessionLine>,
    /// How many more there are.
    pub unlisted: usize,
    /// Proof that the forms are ours.
    pub form_token: String,
    /// Characters of a password at least.
    pub min_length: usize,
    /// Characters of a password at most.
    pub max_length: usize,
}

/// A field of the account page that something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// None.
    Nothing,
    /// The password that is to be changed.
    Current,
    /// The one in its place.
    New,
    /// The one that confirms a deletion.
    Deletion,
}

impl Wrong {
    fn current(self) -> bool {
        self == Self::Current
    }

    fn new_password(self) -> bool {
        self == Self::New
    }

    fn deletion(self) -> bool {
        self == Self::Deletion
    }
}

/// One session in the list.
#[derive(Clone, Debug)]
pub struct SessionLine {
    /// Its id.
    pub id: String,
    /// The browser in words.
    pub device: String,
    /// The address it was opened from.
    pub address: String,
    /// When.
    pub opened: Moment,
    /// When it was last used.
    pub used: Moment,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A moment for people and for scripts.
#[derive(Clone, Debug)]
pub struct Moment {
    /// RFC 3339.
    pub machine: String,
    /// Day and time of day in UTC.
    pub person: String,
    /// The day alone.
    pub day: String,
}

impl From<Timestamp> for Moment {
    fn from(moment: Timestamp) -> Self {
        let seconds = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
        let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let day = date.format(format_description!("[day padding:none] [month repr:long] [year]"));
        let hour = date.format(format_description!("[hour]:[minute]"));
        let day = day.unwrap_or_default();
        Self {
            machine: moment.to_string(),
            person: format!("{day}, {} UTC", hour.unwrap_or_default()),
            day,
        }
    }
}

/// What is shown after signing out; or the question, for somebody who is signed in.
#[derive(Template)]
#[template(path = "signed_out.html", config = "src/portal/askama.toml")]
pub struct SignedOut<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What happened.
    pub heading: &'a str,
    /// What that means.
    pub detail: &'a str,
    /// Proof that the form is ours; `None`: there is nobody to sign out.
    pub form_token: Option<String>,
}

/// An error page.
#[derive(Template)]
#[template(path = "error.html", config = "src/portal/askama.toml")]
pub struct ErrorPage<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// The status code.
    pub status: u16,
    /// What it is, in a few words.
    pub heading: &'a str,
    /// What happened.
    pub happened: &'a str,
    /// What to do.
    pub advice: &'a str,
    /// What may be behind it.
    pub causes: Vec<String>,
    /// Where trying again leads.
    pub again: Option<&'a str>,
    /// Whether a look at the account may help.
    pub account: bool,
    /// The request's id.
    pub request_id: &'a str,
}

/// A kept form, shown before it is sent.
#[derive(Template)]
#[template(path = "kept_form.html", config = "src/portal/askama.toml")]
pub struct KeptForm<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// Where it goes.
    pub target: &'a str,
    /// Where to go on to without sending it.
    pub instead: &'a str,
    /// What it says.
    pub fields: Vec<KeptField>,
}

/// One field of a kept form.
#[derive(Clone, Debug)]
pub struct KeptField {
    /// Its name.
    pub name: String,
    /// Its value as it will be sent.
    pub value: String,
    /// Its value as it may be shown.
    pub shown: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const BUDGET: usize = 30 * 1000;

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
            ("account_many", account(look, 20).render()),
            ("signed_out", signed_out.render()),
            ("error", error.render()),
            ("kept_form", kept.render()),
        ];
        all.into_iter().map(|(name, html)| (name, html.unwrap())).collect()
    }

    #[test]
    fn no_page_costs_more_than_thirty_kilobytes_and_three_requests() {
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

    use crate::wire::Body;
}
