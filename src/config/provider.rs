//! `[[auth.providers]]`: other people's sign-in, by OpenID Connect.

use std::path::PathBuf;

use http::Uri;

use super::servers::ServerPassword;

/// An OpenID provider that people may sign in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in paths of ours; with it the address that the provider sends people back to is spelled.
    pub id: String,
    /// Its name on buttons.
    pub name: String,
    /// `iss`, to the letter; with the subject it is what an account is known by.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// What proves it; `None`: nothing does, and PKCE stands alone.
    pub client_secret: Option<ServerPassword>,
    /// What is asked for; `openid` is always among it.
    pub scopes: Vec<String>,
    /// Whose verified addresses may come in, lower case; empty: everybody's.
    pub allowed_domains: Vec<String>,
    /// The claim whose words become the roles at each sign-in; `None`: roles are given here.
    pub roles_from: Option<String>,
    /// Whether a person who is not known yet gets an account.
    pub registration: bool,
    /// PEM certificates that vouch for it instead of the system's roots.
    pub ca_file: Option<PathBuf>,
}

impl Provider {
    /// Whether it may be asked in the clear: only on this machine, for a first look and for tests.
    pub fn is_in_the_clear(&self) -> bool {
        self.issuer.starts_with("http://")
    }
}

/// Whether an address leads to this machine, whatever any name server says.
pub fn is_on_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
