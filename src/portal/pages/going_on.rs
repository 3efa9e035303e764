//! Sending a person on, once they are signed in; and noticing when that leads round in circles.

use http::{Response, StatusCode};

use super::view::ErrorPage;
use super::visit::Visit;
use super::{Answer, Pages, reply};
use crate::portal::bounce::{self, Bounce};
use crate::portal::return_to::ReturnTo;
use crate::wire::Body;

impl Pages {
    /// Where a person wants to go on to, if it is a place that they may be sent to.
    pub(super) fn place(&self, visit: &Visit<'_>, text: &str) -> Option<ReturnTo> {
        self.places.parse(text, &visit.origin.authority)
    }

    /// Sends them there, or to their account.
    pub(super) fn go_on(&self, visit: &mut Visit<'_>, place: Option<&ReturnTo>) -> Answer {
        let account = format!("{}/account", self.look.base);
        let Some(place) = place else {
            return reply::see_other(&account);
        };
        match bounce::count(&visit.head.headers, place.as_str(), self.clock.now()) {
            Bounce::Go(cookie) => {
                visit.cookies.extend(cookie);
                reply::see_other(place.as_str())
            }
            Bounce::Circle(cookie) => {
                visit.cookies.extend(cookie);
                self.circle(visit, Some(place.as_str()))
            }
        }
    }

    /// The page that says why signing in may not hold.
    pub(super) fn circle(&self, visit: &Visit<'_>, again: Option<&str>) -> Answer {
        let here = visit.origin.authority.as_str();
        let meant = self.public_url.authority().map_or("", |authority| authority.as_str());
        let mut causes = vec![
            "The browser refuses cookies from this site. Allow them, or leave private mode.".to_owned(),
            "The clock of this device, or of the server, is wrong.".to_owned(),
        ];
        if here != meant {
            causes.insert(
                0,
                format!("You are at {here}, but this site is meant to be opened at {meant}."),
            );
        }
        if !visit.origin.https {
            causes.insert(
                0,
                "The connection is not encrypted, and sign-in cookies need https.".to_owned(),
            );
        }
        self.circle_page(visit, causes, again)
    }

    fn circle_page(
        &self,
        visit: &Visit<'_>,
        causes: Vec<String>,
        again: Option<&str>,
    ) -> Result<Response<Body>, crate::wire::reply::Problem> {
        let page = ErrorPage {
            look: &self.look,
            status: 0,
            heading: "Signing in does not hold",
            happened: "You were sent back to sign in again and again, so we stopped here.",
            advice: "This is what it usually comes from:",
            causes,
            again,
            account: true,
            request_id: &visit.origin.caller.request_id,
        };
        self.policy.page(StatusCode::OK, &page)
    }
}
