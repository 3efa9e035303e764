//! `user …`: accounts.

use std::io::{self, BufRead};

use clap::Subcommand;
use serde::Serialize;

use super::listing::{self, Format, Row};
use super::{CliError, Desk};
use crate::model::clock::Timestamp;
use crate::model::credential::Password;
use crate::model::factor::{Factor, FactorKind};
use crate::model::user::{Role, User};
use crate::token::REVOCATION_SPREAD;

/// What can be done to accounts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account; the password is asked for twice
    Add {
        /// The address that signs in
        email: String,
        /// What the account may do; give it again for more
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Take over the accounts of another system, with the hashes of their passwords
    ///
    /// A line for each account: `email` and `password_hash`, and if there are such, `roles`, `created_at`, `disabled` and `id` (a UUID). An address that has
    /// an account keeps it, so it may be run again. A hash of argon2, bcrypt, scrypt or PBKDF2 becomes one of ours when its owner signs in.
    Import(super::import::What),
    /// Make an account for somebody who chooses the password themselves, by a link that is good for 7 days
    ///
    /// The link goes out by mail, or is printed where no mail is configured. Invite somebody who has not come once more, and the former link is over.
    Invite {
        /// The address that signs in
        email: String,
        /// What the account may do; give it again for more
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        format: Format,
    },
    /// List all accounts, oldest first
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Show one account
    Show {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
    /// Replace an account's roles; none takes them all away
    SetRoles {
        /// E-mail address or id
        user: String,
        /// The roles
        roles: Vec<Role>,
        #[command(flatten)]
        format: Format,
    },
    /// Keep an account from signing in and end its sessions
    Disable {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
    /// Let an account sign in again
    Enable {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
    /// Take an account's second factors away, for a person who has lost them
    ResetMfa {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
    /// Take an account away, and its sessions
    Delete {
        /// E-mail address or id
        user: String,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    id: String,
    email: String,
    roles: Vec<Role>,
    created_at: String,
    disabled_at: Option<String>,
}

impl From<User> for Line {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.to_string(),
            roles: user.roles,
            created_at: user.created_at.to_string(),
            disabled_at: user.disabled_at.as_ref().map(Timestamp::to_string),
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["ID", "EMAIL", "ROLES", "CREATED", "DISABLED"];

    fn cells(&self) -> Vec<String> {
        let roles: Vec<&str> = self.roles.iter().map(Role::as_str).collect();
        vec![
            self.id.clone(),
            self.email.clone(),
            roles.join(","),
            self.created_at.clone(),
            listing::optional(self.disabled_at.as_ref()),
        ]
    }
}

/// One account, with what it has beside its password.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    factors: Vec<String>,
}

impl Shown {
    fn of(user: User, factors: &[Factor]) -> Self {
        let of_kind = |kind: FactorKind| {
            let kept = factors.iter().filter(|factor| factor.kind == kind);
            let count = kept
                .filter(|factor| kind != FactorKind::Recovery || factor.counter == 0)
                .count();
            match (count, kind) {
                (0, _) => None,
                (1, FactorKind::Totp) => Some(kind.name().to_owned()),
                _ => Some(format!("{} x{count}", kind.name())),
            }
        };
        Self {
            line: Line::from(user),
            factors: FactorKind::ALL.into_iter().filter_map(of_kind).collect(),
        }
    }
}

impl Row for Shown {
    const TITLES: &'static [&'static str] = &["ID", "EMAIL", "ROLES", "CREATED", "DISABLED", "FACTORS"];

    fn cells(&self) -> Vec<String> {
        let mut cells = self.line.cells();
        cells.push(self.factors.join(", "));
        cells
    }
}

/// Does it.
pub fn run(command: Command, desk: &Desk) -> Result<(), CliError> {
    let auth = &desk.auth;
    let (user, format) = match command {
        Command::Import(what) => return super::import::run(&what, desk),
        Command::List { format } => {
            let users = desk.runtime.block_on(auth.users())?;
            let lines: Vec<Line> = users.into_iter().map(Line::from).collect();
            listing::print(&lines, format);
            return Ok(());
        }
        Command::Add {
            email,
            roles,
            password_stdin,
            format,
        } => {
            let password = if password_stdin {
                read_password()?
            } else {
                ask_password()?
            };
            (desk.runtime.block_on(auth.add_user(&email, password, roles))?, format)
        }
        Command::Invite { email, roles, format } => {
            let invited = desk.runtime.block_on(auth.invite(&email, roles))?;
            match invited.path {
                Some(path) => eprintln!("send this link, which is good for 7 days and once: {}{path}", desk.site),
                None => eprintln!("a letter with a link, which is good for 7 days and once, is on its way"),
            }
            (invited.user, format)
        }
        Command::Show { user, format } => {
            let (user, factors) = desk.runtime.block_on(auth.user_with_factors(&user))?;
            listing::print_one(&Shown::of(user, &factors), format);
            return Ok(());
        }
        Command::ResetMfa { user, format } => (desk.runtime.block_on(auth.reset_factors(&user))?, format),
        Command::SetRoles { user, roles, format } => (desk.runtime.block_on(auth.set_roles(&user, &roles))?, format),
        Command::Disable { user, format } => {
            let user = desk.runtime.block_on(auth.disable(&user))?;
            desk.until_noticed(REVOCATION_SPREAD);
            (user, format)
        }
        Command::Enable { user, format } => (desk.runtime.block_on(auth.enable(&user))?, format),
        Command::Delete { user, format } => {
            let user = desk.runtime.block_on(auth.remove_user(&user))?;
            desk.until_noticed(REVOCATION_SPREAD);
            (user, format)
        }
    };
    listing::print_one(&Line::from(user), format);
    Ok(())
}

fn ask_password() -> Result<Password, CliError> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt).map_err(CliError::io(
            "no terminal to ask for the password on; use --password-stdin",
        ))
    };
    let first = ask("Password: ")?;
    let second = ask("Once more: ")?;
    if first != second {
        return Err(CliError::Refused(
            "the two passwords differ; nothing was changed".to_owned(),
        ));
    }
    Ok(Password::new(first))
}

fn read_password() -> Result<Password, CliError> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(CliError::io("cannot read the password from standard input"))?;
    let password = line
        .strip_suffix('\n')
        .map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Password::new(password.to_owned()))
}
