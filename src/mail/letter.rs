//! What letters say: a few plain sentences and at most one link, as text and as HTML.
//!
//! Nothing in them was typed by whoever caused them: an address is a checked `Email`, a link is ours, and a browser's words for itself are left out, since
//! a stranger could write there whatever the owner of the address should read. Subjects are fixed. So no header can be forged and no message smuggled in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use super::template::{Form, Values, escape};
use crate::config::mail::SUBJECT;
use crate::model::clock::Timestamp;
use crate::model::user::Email;

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// You registered: confirm that this address is yours.
    Confirm,
    /// Somebody tried to register your address, which has an account.
    Attempt,
    /// Set a new password.
    Reset,
    /// An account was made for you: set its password.
    Invite,
    /// You want to be reached here from now on: confirm that this address is yours.
    Move,
    /// Your password was changed.
    PasswordChanged,
    /// Your account has another address now.
    EmailChanged,
    /// What you sign in with beside your password was changed.
    FactorChanged,
    /// Somebody signed in from a device that has not been seen.
    NewDevice,
    /// A session was ended because its token was used twice.
    SessionsEnded,
    /// Nothing, to nobody: written so that an answer takes the same work, never sent.
    Nothing,
}

/// One letter, open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// To whom.
    pub to: Email,
    /// About what.
    pub says: Says,
    /// What people call the site.
    pub site: String,
    /// Where to go on.
    pub link: String,
    /// When it was written, which is when that happened that it tells of.
    pub written_at: Timestamp,
    /// Until when the link is of use; a letter whose link is of none is not sent.
    pub good_until: Option<Timestamp>,
    /// From where that was done, or asked for.
    pub origin: Option<IpAddr>,
}

/// A letter in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worded {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Says {
    /// The name of its templates.
    const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Attempt => "attempt",
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::Move => "move",
            Self::PasswordChanged => "password-changed",
            Self::EmailChanged => "email-changed",
            Self::FactorChanged => "factor-changed",
            Self::NewDevice => "new-device",
            Self::SessionsEnded => "sessions-ended",
            Self::Nothing => "",
        }
    }

    const fn words(self) -> Words {
        match self {
            Self::Confirm => Words {
                subject: "Confirm your address for {{site}}",
                before: "Somebody, most likely you, registered {{email}} at {{site}}. To finish, open this page and give the password that was chosen:",
                button: "Confirm my address",
                after: "The link is good for {{span}}, once. If it was not you, do nothing: without the password nobody can finish, and no account is made.",
            },
            Self::Attempt => Words {
                subject: "You have an account at {{site}} already",
                before: "Somebody tried to register {{email}} at {{site}}{{where}}. You have an account there, and nothing was changed. If it was you and you no longer know your password, you can set a new one:",
                button: "Set a new password",
                after: "If it was not you, there is nothing to do.",
            },
            Self::Reset => Words {
                subject: "Set a new password for {{site}}",
                before: "Somebody, most likely you, asked for a new password for {{email}} at {{site}}{{where}}. To set one, open this page:",
                button: "Set a new password",
                after: "The link is good for {{span}}, once. All sessions end with it. If it was not you, do nothing: your password stays as it is.",
            },
            Self::Invite => Words {
                subject: "Your account at {{site}}",
                before: "An account was made for {{email}} at {{site}}. To choose its password, open this page:",
                button: "Choose a password",
                after: "The link is good for {{span}}, once.",
            },
            Self::Move => Words {
                subject: "Confirm your new address for {{site}}",
                before: "Somebody, most likely you, wants to use {{email}} for their account at {{site}}. To confirm it, open this page and give the account's password:",
                button: "Confirm my new address",
                after: "The link is good for {{span}}, once. If it was not you, do nothing.",
            },
            Self::PasswordChanged => Words {
                subject: "Your password at {{site}} was changed",
                before: "The password of {{email}} at {{site}} was changed on {{when}}{{where}}.",
                button: "Set a new password",
                after: "If it was you, there is nothing to do. If it was not, set a new password at once.",
            },
            Self::EmailChanged => Words {
                subject: "Your address at {{site}} is being changed",
                before: "Another address was asked for, or confirmed, for the account of {{email}} at {{site}} on {{when}}{{where}}.",
                button: "Your account",
                after: "If it was you, there is nothing to do. If it was not, change your password at once, or ask whoever runs the site.",
            },
            Self::FactorChanged => Words {
                subject: "How you sign in at {{site}} was changed",
                before: "A second factor, a passkey or a provider of {{email}} at {{site}} was added or taken away on {{when}}{{where}}.",
                button: "Your account",
                after: "If it was you, there is nothing to do. If it was not, change your password at once.",
            },
            Self::NewDevice => Words {
                subject: "A new sign-in at {{site}}",
                before: "Somebody signed in to the account of {{email}} at {{site}} from a device that was not known before, on {{when}}{{where}}.",
                button: "See where you are signed in",
                after: "If it was you, there is nothing to do. If it was not, end that session and change your password at once.",
            },
            Self::SessionsEnded => Words {
                subject: "You were signed out at {{site}}",
                before: "A session of {{email}} at {{site}} was ended on {{when}}, because something that only your browser should hold was used a second time{{where}}. It may have been stolen.",
                button: "See where you are signed in",
                after: "Sign in again, look at your sessions, and change your password if you see one that is not yours.",
            },
            Self::Nothing => Words {
                subject: "",
                before: "",
                button: "",
                after: "",
            },
        }
    }
}

/// A letter in our own words.
struct Words {
    subject: &'static str,
    before: &'static str,
    button: &'static str,
    after: &'static str,
}

impl Letter {
    /// In words: the operator's, where `templates` has them.
    pub(super) fn worded(&self, templates: &BTreeMap<String, String>) -> Worded {
        let words = self.says.words();
        let own = |kind: &str| templates.get(&format!("{}.{kind}", self.says.name()));
        let plain = own("txt").cloned().unwrap_or_else(|| words.plain());
        let html = own("html").cloned().unwrap_or_else(|| words.html());
        let (subject, text) = plain.split_once('\n').unwrap_or((&plain, ""));
        let subject = subject.strip_prefix(SUBJECT).unwrap_or(subject).trim();

        let (when, span) = (day_and_time(self.written_at), span(self.good_for()));
        let origin = self.origin.map_or_else(String::new, |ip| format!(" (from {ip})"));
        let values = Values(&[
            ("site", &self.site),
            ("email", self.to.as_str()),
            ("link", &self.link),
            ("when", &when),
            ("where", &origin),
            ("span", &span),
        ]);
        Worded {
            subject: values.fill(subject, Form::Plain),
            text: values.fill(text.trim_start_matches(['\r', '\n']), Form::Plain),
            html: values.fill(&html, Form::Html),
        }
    }

    fn good_for(&self) -> Duration {
        self.good_until.map_or(Duration::ZERO, |end| end.since(self.written_at))
    }
}

impl Words {
    fn plain(&self) -> String {
        let Self {
            subject,
            before,
            button,
            after,
        } = self;
        format!("{SUBJECT}{subject}\n\n{before}\n\n{button}:\n{{{{link}}}}\n\n{after}\n\n-- \n{{{{site}}}}\n")
    }

    /// Mail programs understand little style, and that only where it is used.
    fn html(&self) -> String {
        let [subject, before, button, after] = [self.subject, self.before, self.button, self.after].map(escape);
        format!(
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{subject}</title></head>
<body style="margin:0;padding:24px;font:16px/1.5 system-ui,sans-serif;color:#1b1f24;background:#ffffff">
<p>{before}</p>
<p><a href="{{{{link}}}}" style="display:inline-block;padding:10px 18px;border-radius:6px;background:#1f5fbf;color:#ffffff;text-decoration:none">{button}</a></p>
<p>{after}</p>
<p style="color:#57606a">{{{{site}}}}<br><span style="font-size:13px">{{{{link}}}}</span></p>
</body></html>
"#
        )
    }
}

fn day_and_time(moment: Timestamp) -> String {
    let seconds = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let form = format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    date.format(form).unwrap_or_default()
}

/// Whole days, hours or minutes: those of our links are.
fn span(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    match minutes {
        0 => String::new(),
        minutes if minutes % (24 * 60) == 0 && minutes > 24 * 60 => format!("{} days", minutes / (24 * 60)),
        minutes if minutes % 60 == 0 && minutes > 60 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mail::{LETTERS, PLACES};

    const ALL: [Says; 10] = [
        Says::Confirm,
        Says::Attempt,
        Says::Reset,
        Says::Invite,
        Says::Move,
        Says::PasswordChanged,
        Says::EmailChanged,
        Says::FactorChanged,
        Says::NewDevice,
        Says::SessionsEnded,
    ];

    fn letter(says: Says) -> Letter {
        let written_at = Timestamp::from_secs(1_750_000_000);
        Letter {
            to: "ada@example.com".parse().unwrap(),
            says,
            site: "Acme & <Söhne>".to_owned(),
            link: "https://gate.example/auth/reset?token=abc".to_owned(),
            written_at,
            good_until: Some(written_at.plus(Duration::from_secs(30 * 60))),
            origin: Some("192.0.2.7".parse().unwrap()),
        }
    }

    #[test]
    fn every_letter_says_what_it_is_about_and_where_to_go_on() {
        for says in ALL {
            let worded = letter(says).worded(&BTreeMap::new());
            assert!(worded.subject.contains("Acme & <Söhne>"), "{worded:?}");
            for body in [&worded.text, &worded.html] {
                assert!(body.contains("https://gate.example/auth/reset?token=abc"), "{body}");
                assert!(body.contains("ada@example.com") && !body.contains("{{"), "{body}");
            }
            assert!(!worded.html.contains("<Söhne>"), "what is filled in is escaped");
        }
        let reset = letter(Says::Reset).worded(&BTreeMap::new());
        assert!(
            reset.text.contains("(from 192.0.2.7)") && reset.text.contains("30 minutes"),
            "{}",
            reset.text
        );
    }

    #[test]
    fn the_operators_words_take_the_place_of_ours() {
        let own = [
            (
                "reset.txt",
                "Subject: Neues Kennwort bei {{site}}\r\n\r\n{{ link }} {{when}}",
            ),
            ("reset.html", "<p>{{site}}</p>"),
        ];
        let own = own.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let worded = letter(Says::Reset).worded(&own);
        assert_eq!(worded.subject, "Neues Kennwort bei Acme & <Söhne>");
        assert_eq!(
            worded.text,
            "https://gate.example/auth/reset?token=abc 15 June 2025, 15:06 UTC"
        );
        assert_eq!(worded.html, "<p>Acme &amp; &lt;Söhne&gt;</p>");
        assert_ne!(letter(Says::Move).worded(&own).subject, worded.subject);
    }

    #[test]
    fn every_letter_can_be_worded_anew_and_with_every_place() {
        assert_eq!(ALL.map(Says::name), LETTERS);
        let all: String = PLACES.map(|place| format!("[{{{{{place}}}}}]")).concat();
        let own = [("reset.html".to_owned(), all)].into();
        let worded = letter(Says::Reset).worded(&own);
        assert!(!worded.html.contains("[]"), "{}", worded.html);
    }

    #[test]
    fn a_span_is_told_in_words() {
        let told = [30, 60, 24 * 60, 7 * 24 * 60].map(|minutes| span(Duration::from_secs(minutes * 60)));
        assert_eq!(told, ["30 minutes", "60 minutes", "24 hours", "7 days"]);
    }
}
