//! What the pages about second factors show.

use askama::Template;

use super::passkeys::PasskeyLine;
use super::{Complaint, Moment};
use crate::portal::pages::look::Look;

/// The second step of a sign-in.
#[derive(Template)]
#[template(path = "second_step.html", config = "src/portal/askama.toml")]
pub struct SecondStep<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// Proof that the form is ours.
    pub form_token: String,
    /// What was proved so far, sealed for this browser.
    pub step: String,
    /// The address that was typed, should it all begin anew.
    pub email: &'a str,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// A form sealed until the person is signed in again.
    pub kept: Option<&'a str>,
    /// What a passkey is asked, for the browser, where one is a way to go on.
    pub asked: Option<String>,
    /// What is asked for.
    pub way: Way,
    /// What else could be.
    pub others: Vec<Way>,
}

/// A second factor that is typed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A code of an authenticator app.
    Totp,
    /// A recovery code.
    Recovery,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Totp, Self::Recovery];

    /// Its name in forms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Recovery => "recovery",
        }
    }

    /// The way of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    fn is_recovery(self) -> bool {
        self == Self::Recovery
    }
}

/// The password once more.
#[derive(Template)]
#[template(path = "prove_again.html", config = "src/portal/askama.toml")]
pub struct ProveAgain<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// Proof that the form is ours.
    pub form_token: String,
    /// Who is signed in.
    pub email: &'a str,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// A form sealed until then.
    pub kept: Option<&'a str>,
}

/// How one signs in.
#[derive(Template)]
#[template(path = "security.html", config = "src/portal/askama.toml")]
pub struct Security<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// What was done just now.
    pub done: Option<&'a str>,
    /// Whether a page that the person asked for needs a second step, which they do not have.
    pub needed: bool,
    /// Since when there is an authenticator app.
    pub app: Option<Moment>,
    /// When it was used last.
    pub app_used: Option<Moment>,
    /// How many recovery codes are unused.
    pub codes_left: usize,
    /// Their passkeys, where there are any to be had.
    pub passkeys: Option<Vec<PasskeyLine>>,
    /// Proof that the forms are ours.
    pub form_token: String,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// Nothing; the forms share their hidden fields with others.
    pub kept: Option<&'a str>,
}

impl Security<'_> {
    fn has_passkeys(&self) -> bool {
        self.passkeys.as_ref().is_some_and(|passkeys| !passkeys.is_empty())
    }
}

/// An authenticator app about to be added.
#[derive(Template)]
#[template(path = "totp_setup.html", config = "src/portal/askama.toml")]
pub struct TotpSetup<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// What went wrong the last time.
    pub error: Option<Complaint>,
    /// Proof that the form is ours.
    pub form_token: String,
    /// Where to go on to.
    pub return_to: Option<&'a str>,
    /// Nothing; see `Security`.
    pub kept: Option<&'a str>,
    /// The secret as a QR code, in SVG of our own making.
    pub qr: String,
    /// The secret as text.
    pub secret: String,
}

/// New recovery codes, shown this once.
#[derive(Template)]
#[template(path = "recovery_codes.html", config = "src/portal/askama.toml")]
pub struct RecoveryCodes<'a> {
    /// The frame around it.
    pub look: &'a Look,
    /// The codes.
    pub codes: &'a [String],
    /// Whether a second step has just been added.
    pub added: bool,
    /// Where to go on to.
    pub next: Option<&'a str>,
}
