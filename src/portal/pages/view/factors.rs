//! What the pages about second factors show.

use askama::Template;

use super::Complaint;
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
