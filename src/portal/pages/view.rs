//! What each page shows: plain values in, HTML out. No page decides anything here.

pub mod factors;
pub mod passkeys;

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
    /// Other people's sign-in.
    pub choices: Choices<'a>,
    /// Whether a forgotten password can be helped by a letter.
    pub letters: bool,
    /// Whether passkeys sign in.
    pub passkeys: bool,
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
    /// Other people's sign-in.
    pub choices: Choices<'a>,
}

/// Whose sign-in counts here as well.
#[derive(Clone, Debug, Default)]
pub struct Choices<'a> {
    /// Id and name of each provider.
    pub list: Vec<(&'a str, &'a str)>,
    /// Whether the person is to prove themselves anew there.
    pub again: bool,
}

/// A provider, and whether the account is connected to it.
#[derive(Clone, Debug)]
pub struct Tie<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether it is.
    pub tied: bool,
    /// As whom the provider knows the person; may be empty.
    pub label: String,
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
    /// The providers, connected or not.
    pub ties: Vec<Tie<'a>>,
    /// Whether there is a password to be changed.
    pub has_password: bool,
    /// Whether another address can be confirmed by a letter.
    pub letters: bool,
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
    /// Another address, or the password that confirms it.
    Address,
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

    fn address(self) -> bool {
        self == Self::Address
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

/// The page on the way to somebody else's.
#[derive(Template)]
#[template(path = "onward.html", config = "src/portal/askama.toml")]
pub struct Onward<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// Where one is.
    pub heading: &'a str,
    /// What comes next.
    pub detail: String,
    /// Whose page comes next.
    pub name: &'a str,
    /// Its address.
    pub address: &'a str,
}

/// Where one asks for a new password.
#[derive(Template)]
#[template(path = "forgot.html", config = "src/portal/askama.toml")]
pub struct Forgot<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// The address typed before.
    pub email: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
}

/// Where one sets it.
#[derive(Template)]
#[template(path = "reset.html", config = "src/portal/askama.toml")]
pub struct Reset<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// What the link brought.
    pub token: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
    /// Characters of a password at least.
    pub min_length: usize,
    /// Characters of a password at most.
    pub max_length: usize,
}

/// Where one confirms an address.
#[derive(Template)]
#[template(path = "confirm.html", config = "src/portal/askama.toml")]
pub struct Confirm<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// What the link brought.
    pub token: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
}

/// Where one waits for the letter that confirms it.
#[derive(Template)]
#[template(path = "waiting.html", config = "src/portal/askama.toml")]
pub struct Waiting<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// What was done just now.
    pub done: Option<&'a str>,
    /// The address typed before.
    pub email: &'a str,
    /// Proof that the form is ours.
    pub form_token: String,
}

/// A page that says one thing, and where to go on.
#[derive(Template)]
#[template(path = "message.html", config = "src/portal/askama.toml")]
pub struct Message<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What happened.
    pub heading: &'a str,
    /// What that means.
    pub detail: &'a str,
    /// Where to go on, in words.
    pub button: &'a str,
    /// Where to go on.
    pub way_on: String,
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
mod tests;
