//! Problems in words for people: above a form, or as a page of their own.

use http::{Response, StatusCode};

use super::Pages;
use super::view::{Complaint, ErrorPage};
use crate::wire::Body;
use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};

/// What happened and what to do about it.
struct Words {
    heading: &'static str,
    happened: String,
    advice: String,
    /// Whether doing the same again may help.
    again: bool,
    /// Whether the account page may help.
    account: bool,
}

impl Pages {
    /// Puts an error page in the place of a problem document of ours; any other answer stays as it is. `path`: what was asked for, where asking again harms nobody.
    pub(in crate::portal) fn dress(
        &self,
        mut response: Response<Body>,
        origin: &Origin,
        path: Option<&str>,
    ) -> Response<Body> {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else {
            return response;
        };
        let words = words(&problem);
        let place = path.and_then(|path| self.places.parse(path, &origin.authority));
        let page = ErrorPage {
            look: &self.look,
            status: response.status().as_u16(),
            heading: words.heading,
            happened: &words.happened,
            advice: &words.advice,
            causes: Vec::new(),
            again: place.as_ref().filter(|_| words.again).map(|place| place.as_str()),
            account: words.account,
            request_id: &origin.caller.request_id,
        };
        self.policy.replace(&mut response, &page);
        response
    }
}

/// A problem above the form that met it.
pub(super) fn complaint(problem: &Problem, request_id: &str) -> Complaint {
    let status = problem.code.status();
    let title = match problem.code {
        Code::InvalidCredentials => "Wrong e-mail or password.".to_owned(),
        code => format!("{}.", code.title()),
    };
    let detail = match problem.code {
        Code::InvalidCredentials => "Check both and try again.".to_owned(),
        Code::RateLimited => format!("Wait {}, then try again.", wait(problem)),
        _ => problem.detail.clone(),
    };
    let reference = if status.is_server_error() { request_id } else { "" };
    Complaint {
        title,
        detail,
        reference: reference.to_owned(),
    }
}

fn words(problem: &Problem) -> Words {
    let (heading, happened, advice) = match problem.code {
        Code::Forbidden => (
            "You may not open this page",
            "You are signed in, but your account lacks the permission that this page needs.".to_owned(),
            "Ask whoever runs this site for access, or sign in with another account.".to_owned(),
        ),
        Code::CrossSite => (
            "This came from another site",
            "Another site sent this request in your name. To protect you, nothing was done.".to_owned(),
            "If it was you, open the page here and do it again.".to_owned(),
        ),
        Code::NotFound => (
            "There is nothing at this address",
            "The address may be mistyped, or the page has moved.".to_owned(),
            "Check the address, or go back to where you came from.".to_owned(),
        ),
        Code::RateLimited => (
            "Too many attempts",
            "To protect accounts, we pause after many attempts in a short time.".to_owned(),
            format!("Wait {}, then try again.", wait(problem)),
        ),
        Code::BadGateway => (
            "The site does not answer",
            "We are here, but the application behind this address could not be reached, or answered in a way that makes no sense.".to_owned(),
            "It is often back within a minute.".to_owned(),
        ),
        Code::Overloaded | Code::StoreUnavailable => (
            "We are busy for a moment",
            "Your request could not be handled just now. You have not been signed out.".to_owned(),
            format!("Try again in {}.", wait(problem)),
        ),
        Code::GatewayTimeout => (
            "The site takes too long",
            "The application behind this address did not answer in time.".to_owned(),
            "Try again in a minute. If you were sending something, look first whether it has arrived.".to_owned(),
        ),
        Code::NoToken | Code::InvalidToken => (
            "Your session has ended",
            "What you were sending has not arrived.".to_owned(),
            "Sign in, go back, and send it again.".to_owned(),
        ),
        code => (
            code.title(),
            problem.detail.clone(),
            "Go back and try again.".to_owned(),
        ),
    };
    let status = problem.code.status();
    Words {
        heading,
        happened: if problem.detail.is_empty() {
            happened
        } else {
            specific(problem).unwrap_or(happened)
        },
        advice,
        again: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        account: matches!(problem.code, Code::Forbidden | Code::NoToken | Code::InvalidToken),
    }
}

/// Where the problem's own words say more than ours.
fn specific(problem: &Problem) -> Option<String> {
    let ours = matches!(problem.code, Code::RegistrationClosed | Code::StoreUnavailable);
    ours.then(|| problem.detail.clone())
}

fn wait(problem: &Problem) -> String {
    match problem.retry_after {
        None | Some(0..=1) => "a moment".to_owned(),
        Some(seconds @ 2..=90) => format!("{seconds} seconds"),
        Some(seconds) => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_words() {
        let told = |seconds| wait(&Problem::new(Code::RateLimited, "").retry_after(seconds));
        assert_eq!(told(1), "a moment");
        assert_eq!(told(30), "30 seconds");
        assert_eq!(told(91), "2 minutes");
        assert_eq!(told(300), "5 minutes");
    }

    #[test]
    fn only_failures_of_ours_carry_a_reference() {
        assert_eq!(
            complaint(&Problem::new(Code::InvalidCredentials, ""), "id").reference,
            ""
        );
        assert_eq!(
            complaint(&Problem::new(Code::StoreUnavailable, ""), "id").reference,
            "id"
        );
    }
}
