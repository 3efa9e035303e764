//! What an OpenID provider says of a person, once its word was proved.

use super::clock::Timestamp;
use super::session::Amr;
use super::user::{Email, Role};

/// A person as somebody else knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// What the provider is called here.
    pub provider: String,
    /// Who says it, and
    pub issuer: String,
    /// of whom, for ever: the two by which an account is found. An address never is, since it can pass to somebody else.
    pub subject: String,
    /// Their address, if the provider has seen to it that it is theirs.
    pub email: Option<Email>,
    /// What they may do, where the provider is asked for it.
    pub roles: Option<Vec<Role>>,
    /// When they last proved themselves there.
    pub auth_time: Timestamp,
    /// How.
    pub amr: Vec<Amr>,
}
