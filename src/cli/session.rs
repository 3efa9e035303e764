//! `session …`: sign-ins. What ends here is refused by running gateways at once.

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::listing::{self, Format, Row};
use super::{CliError, Desk};
use crate::model::session::{Session, SessionId};
use crate::token::REVOCATION_SPREAD;

/// What can be done to sessions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a user's sessions, newest first
    List {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
    /// End one session
    End {
        /// The session's id
        id: Uuid,
    },
    /// End every session of a user
    EndAll {
        /// E-mail address or id
        user: String,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    id: String,
    created_at: String,
    last_used_at: String,
    expires_at: String,
    ip: Option<String>,
    user_agent: String,
}

impl From<Session> for Line {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            expires_at: session.expires_at.to_string(),
            ip: session.ip.map(|ip| ip.to_string()),
            user_agent: session.user_agent,
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["ID", "CREATED", "LAST USED", "EXPIRES", "IP", "USER AGENT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.created_at.clone(),
            self.last_used_at.clone(),
            self.expires_at.clone(),
            listing::optional(self.ip.as_ref()),
            self.user_agent.clone(),
        ]
    }
}

/// Does it.
pub fn run(command: Command, desk: &Desk) -> Result<(), CliError> {
    match command {
        Command::List { user, format } => {
            let sessions = desk.runtime.block_on(desk.auth.sessions_of(&user))?;
            let lines: Vec<Line> = sessions.into_iter().map(Line::from).collect();
            listing::print(&lines, format);
        }
        Command::End { id } => {
            desk.runtime.block_on(desk.auth.end_session_by_id(SessionId(id)))?;
            desk.until_noticed(REVOCATION_SPREAD);
            println!("ended");
        }
        Command::EndAll { user } => {
            let ended = desk.runtime.block_on(desk.auth.end_all_sessions(&user))?;
            desk.until_noticed(REVOCATION_SPREAD);
            println!("{ended} ended");
        }
    }
    Ok(())
}
