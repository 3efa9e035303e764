//! The account page: who one is, where one is signed in, and what one can do about it.

use http::StatusCode;

use super::failure::complaint;
use super::sign_in::{carry_over, stale};
use super::sign_out::PURPOSE;
use super::view::{Account, Complaint, SessionLine, Tie, Wrong};
use super::visit::Visit;
use super::{Answer, Pages, device, reply};
use crate::auth::AuthError;
use crate::config::{RevocationMode, RouteKind};
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::model::session::{Session, SessionId};
use crate::model::user::User;
use crate::portal::form::Form;
use crate::portal::{api, refusal};
use crate::wire::navigation;
use crate::wire::reply::{Code, Problem};

/// Lines of the list at most: a page stays small.
const LISTED: usize = 12;

/// What was done, by the word in the query.
const DONE: [(&str, &str); 7] = [
    (
        "password",
        "Your password was changed, and your other sessions have ended.",
    ),
    (
        "move",
        "A link is on its way to the new address. Nothing changes until it is used.",
    ),
    ("moved", "Your account has its new address."),
    ("ended", "That session has ended."),
    ("others", "All your other sessions have ended."),
    ("tied", "Connected: from now on you can sign in with it."),
    (
        "untied",
        "Disconnected: nobody signs in to your account with it any more.",
    ),
];

/// What the page shows of an account.
struct Read<'a> {
    user: User,
    sessions: Vec<Session>,
    has_password: bool,
    ties: Vec<Tie<'a>>,
}

/// What came of an action that was not done.
struct Refused {
    problem: Problem,
    wrong: Wrong,
    /// A proof is missing that a page of ours asks for; `true`: of two factors.
    lacks_two: Option<bool>,
}

impl Pages {
    /// The page; without a session, on to sign in.
    pub(super) async fn show_account(&self, visit: &mut Visit<'_>) -> Answer {
        let Some(who) = self.who(visit, RevocationMode::Cached).await? else {
            return self.ask_to_sign_in(visit);
        };
        let word = visit.query("done");
        let done = DONE.iter().find(|(known, _)| *known == word).map(|(_, words)| *words);
        self.account_page(visit, &who, StatusCode::OK, done, None, Wrong::Nothing)
            .await
    }

    /// Does what a form of the page asks for.
    pub(super) async fn change_account(&self, visit: &mut Visit<'_>, form: &Form) -> Answer {
        let Some(who) = self.who(visit, RevocationMode::Strict).await? else {
            return self.ask_to_sign_in(visit);
        };
        if !visit.known
            || !self
                .form_tokens
                .is_genuine(&visit.browser, PURPOSE, form.get("form_token"))
        {
            let error = Some(stale());
            return self
                .account_page(visit, &who, StatusCode::FORBIDDEN, None, error, Wrong::Nothing)
                .await;
        }
        match self.act_on_account(visit, &who, form).await {
            Ok(answer) => answer,
            Err(Refused {
                lacks_two: Some(two), ..
            }) => self.to_recent(two, "/account"),
            Err(Refused { problem, wrong, .. }) => {
                let error = Some(complaint(&problem, &visit.origin.caller.request_id));
                let status = Self::status_of(&problem);
                let mut response = self.account_page(visit, &who, status, None, error, wrong).await?;
                carry_over(&problem, &mut response);
                Ok(response)
            }
        }
    }

    async fn act_on_account(&self, visit: &mut Visit<'_>, who: &Identity, form: &Form) -> Result<Answer, Refused> {
        let caller = &visit.origin.caller;
        let password = |name: &str| Password::new(form.get(name).to_owned());
        match form.get("action") {
            "password" => {
                let (current, new) = (password("current"), password("new"));
                let changed = self.auth.change_password(caller, who, current, new).await;
                changed.map_err(in_password_form)?;
                Ok(self.done("password"))
            }
            "email" => {
                let asked = self
                    .auth
                    .ask_to_move(caller, who, form.get("email"), password("password"));
                asked.await.map_err(in_address_form)?;
                Ok(self.done("move"))
            }
            "end" => {
                let id = form.get("session").parse().map(SessionId);
                let id = id.map_err(|_| elsewhere(AuthError::NotFound))?;
                self.auth.end_session(caller, who, id).await.map_err(elsewhere)?;
                Ok(self.done("ended"))
            }
            "end_others" => {
                self.end_others(visit, who).await.map_err(elsewhere)?;
                Ok(self.done("others"))
            }
            "sign_out_everywhere" => {
                self.auth.logout_all(caller, who).await.map_err(elsewhere)?;
                visit.cookies = api::cleared();
                Ok(self.forget("everywhere"))
            }
            "untie" => {
                let untied = self.untie(visit, who, form.get("provider")).await;
                untied.map_err(elsewhere)?;
                Ok(self.done("untied"))
            }
            "delete" => {
                let deleted = self.auth.delete_account(caller, who, password("password")).await;
                deleted.map_err(|error| refused(error, Wrong::Deletion))?;
                visit.cookies = api::cleared();
                Ok(self.forget("deleted"))
            }
            _ => Ok(Err(Problem::new(
                Code::BadRequest,
                "The form asks for nothing that is known here.",
            ))),
        }
    }

    async fn end_others(&self, visit: &Visit<'_>, who: &Identity) -> Result<(), AuthError> {
        for session in self.auth.sessions(who).await? {
            if session.id == who.session {
                continue;
            }
            match self.auth.end_session(&visit.origin.caller, who, session.id).await {
                // It ended by itself in between.
                Ok(()) | Err(AuthError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) async fn account_page(
        &self,
        visit: &mut Visit<'_>,
        who: &Identity,
        status: StatusCode,
        done: Option<&str>,
        error: Option<Complaint>,
        wrong: Wrong,
    ) -> Answer {
        let Read {
            user,
            sessions,
            has_password,
            ties,
        } = match self.read_account(who).await {
            Ok(read) => read,
            Err(AuthError::SessionOver { .. }) => {
                visit.cookies = api::cleared();
                return self.ask_to_sign_in(visit);
            }
            Err(error) => return Err(refusal::problem(error)),
        };
        visit.name_browser();
        let page = Account {
            look: &self.look,
            error,
            wrong,
            done,
            email: user.email.as_str(),
            user_id: user.id.to_string(),
            roles: user.roles.iter().map(ToString::to_string).collect(),
            since: user.created_at.into(),
            unlisted: sessions.len().saturating_sub(LISTED),
            letters: self.auth.writes_letters(),
            sessions: lines(sessions, who.session),
            ties,
            has_password,
            form_token: self.form_tokens.token(&visit.browser, PURPOSE),
            min_length: self.password_length.0,
            max_length: self.password_length.1,
        };
        self.policy.page(status, &page)
    }

    async fn read_account(&self, who: &Identity) -> Result<Read<'_>, AuthError> {
        Ok(Read {
            user: self.auth.me(who).await?.0,
            sessions: self.auth.sessions(who).await?,
            has_password: self.auth.has_password(who).await?,
            ties: self.ties_of(who).await?,
        })
    }

    pub(super) fn done(&self, word: &str) -> Answer {
        reply::see_other(&format!("{}/account?done={word}", self.look.base))
    }

    pub(super) fn ask_to_sign_in(&self, visit: &Visit<'_>) -> Answer {
        if !navigation::is_persons(&visit.head.method, &visit.head.headers, RouteKind::Auto) {
            return Err(Problem::new(Code::NoToken, "Sign in first."));
        }
        let account = format!("{}/account", self.look.base);
        reply::see_other(&self.sign_in_path(Some(&account)))
    }
}

/// The present session first, then the newest.
fn lines(mut sessions: Vec<Session>, current: SessionId) -> Vec<SessionLine> {
    sessions.sort_by_key(|session| session.id != current);
    let line = |session: Session| SessionLine {
        id: session.id.to_string(),
        device: device::name(&session.user_agent),
        address: session.ip.map_or_else(String::new, |ip| ip.to_string()),
        opened: session.created_at.into(),
        used: session.last_used_at.into(),
        current: session.id == current,
    };
    sessions.into_iter().take(LISTED).map(line).collect()
}

fn in_password_form(error: AuthError) -> Refused {
    let wrong = match error {
        AuthError::InvalidCredentials => Wrong::Current,
        AuthError::WeakPassword(_) => Wrong::New,
        _ => Wrong::Nothing,
    };
    refused(error, wrong)
}

fn in_address_form(error: AuthError) -> Refused {
    let wrong = match error {
        AuthError::InvalidCredentials | AuthError::InvalidEmail => Wrong::Address,
        _ => Wrong::Nothing,
    };
    refused(error, wrong)
}

fn elsewhere(error: AuthError) -> Refused {
    refused(error, Wrong::Nothing)
}

fn refused(error: AuthError, wrong: Wrong) -> Refused {
    let lacks_two = match error {
        AuthError::NotRecent { needs_two } => Some(needs_two),
        _ => None,
    };
    Refused {
        problem: refusal::problem(error),
        wrong,
        lacks_two,
    }
}
