//! Guards that hold for some methods only.
//!
//! A route with `methods` says nothing about others: they go to the next route that fits, as in most proxies. Where that one asks for less, a guard has a
//! gap, which can be meant (`GET` for staff, `POST` for everybody) and is more often forgotten. So `gateward check` says it and accepts the file.

use std::time::Duration;

use http::Method;

use super::{Access, HostPattern, Route};

/// The methods that are asked about: those that a client of today sends.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// One sentence for each route whose other methods go to a route that asks for less.
pub fn gaps(routes: &[Route]) -> Vec<String> {
    let guards = routes.iter().filter(|route| !route.methods.is_empty());
    guards.flat_map(|guard| gaps_of(guard, routes)).collect()
}

fn gaps_of(guard: &Route, routes: &[Route]) -> Vec<String> {
    let mut found: Vec<(&Route, Vec<&str>)> = Vec::new();
    for method in METHODS.iter().filter(|method| !guard.methods.contains(method)) {
        let Some(other) = next_best(guard, method, routes).filter(|other| asks_for_less(other, guard)) else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| known.name == other.name) {
            Some((_, methods)) => methods.push(method.as_str()),
            None => found.push((other, vec![method.as_str()])),
        }
    }
    let sentence = |(other, methods): (&Route, Vec<&str>)| {
        format!(
            "the route `{}` is not for {}: there `{}` goes to the route `{}`, which asks for less",
            guard.name,
            methods.join(", "),
            guard.path,
            other.name
        )
    };
    found.into_iter().map(sentence).collect()
}

/// The route of a request to the guard's own host and path with another method.
fn next_best<'r>(guard: &Route, method: &Method, routes: &'r [Route]) -> Option<&'r Route> {
    let serves = |route: &&Route| route.methods.is_empty() || route.methods.contains(method);
    let fits = |route: &&Route| covers(&route.host, &guard.host) && is_below(&guard.path, &route.path);
    // Of equals the last is kept by `max_by_key`; the first in the file is asked.
    let fitting = routes.iter().rev().filter(|route| serves(route) && fits(route));
    fitting.max_by_key(|route| {
        (
            depth(&route.host),
            route.path.trim_end_matches('/').len(),
            !route.methods.is_empty(),
        )
    })
}

/// Less of who is calling, of their roles, of what they have proved, or of how lately.
fn asks_for_less(other: &Route, guard: &Route) -> bool {
    let rank = |access: Access| match access {
        Access::Public => 0,
        Access::Optional => 1,
        Access::Required => 2,
    };
    let missing = other.roles.is_empty() || other.roles.iter().any(|role| !guard.roles.contains(role));
    let older = |most: Duration| other.max_age.is_none_or(|theirs| theirs > most);
    rank(other.access) < rank(guard.access)
        || (!guard.roles.is_empty() && missing)
        || (guard.two_factors && !other.two_factors)
        || guard.max_age.is_some_and(older)
}

/// Whether every host of `inner` is one of `outer`.
fn covers(outer: &HostPattern, inner: &HostPattern) -> bool {
    match (outer, inner) {
        (HostPattern::Any, _) => true,
        (HostPattern::Wildcard(domain), HostPattern::Exact(name) | HostPattern::Wildcard(name)) => {
            outer == inner
                || name
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        }
        _ => outer == inner,
    }
}

/// Exact before the deepest wildcard before any.
fn depth(host: &HostPattern) -> usize {
    match host {
        HostPattern::Any => 0,
        HostPattern::Wildcard(domain) => domain.len(),
        HostPattern::Exact(_) => usize::MAX,
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.trim_end_matches('/').strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;
    use crate::config::check::check;

    /// What is said of routes, each given by name and further keys.
    fn said(routes: &[(&str, &str)]) -> Vec<String> {
        let mut text = "version = 1\n[upstreams.app]\nservers = [\"http://127.0.0.1:3000\"]\n".to_owned();
        for (name, keys) in routes {
            text.push_str(&format!("[[routes]]\nname = \"{name}\"\nupstream = \"app\"\n{keys}\n"));
        }
        gaps(&check(&text, Path::new("/nowhere"), &HashMap::new()).unwrap().routes)
    }

    const OPEN: (&str, &str) = ("app", "path = \"/\"\nauth = \"public\"");

    #[test]
    fn a_guard_for_some_methods_before_an_open_route_is_said() {
        let said = said(&[OPEN, ("admin", "path = \"/admin\"\nmethods = [\"GET\", \"HEAD\"]")]);
        assert_eq!(
            said,
            [
                "the route `admin` is not for POST, PUT, PATCH, DELETE, OPTIONS: there `/admin` goes to the route `app`, which asks for less"
            ]
        );
    }

    #[test]
    fn a_route_with_fewer_roles_or_another_host_is_one_that_asks_for_less() {
        let staff = "path = \"/admin\"\nmethods = [\"GET\"]\nroles = [\"staff\"]";
        assert_eq!(said(&[("app", "path = \"/\""), ("admin", staff)]).len(), 1);
        let here = format!("{staff}\nhost = \"app.example.com\"");
        let below = "path = \"/\"\nauth = \"public\"\nhost = \"*.example.com\"";
        assert_eq!(said(&[("app", below), ("admin", &here)]).len(), 1);
    }

    #[test]
    fn a_route_that_takes_one_factor_or_an_older_sign_in_asks_for_less() {
        for more in ["require = \"mfa\"", "max_age = \"10m\""] {
            let guard = format!("path = \"/pay\"\nmethods = [\"GET\"]\n{more}");
            let rest = format!("path = \"/pay\"\n{more}");
            assert_eq!(said(&[("app", "path = \"/\""), ("pay", &guard)]).len(), 1, "{more}");
            assert!(said(&[("rest", &rest), ("pay", &guard)]).is_empty(), "{more}");
        }
        let (recent, older) = (
            "path = \"/pay\"\nmethods = [\"GET\"]\nmax_age = \"10m\"",
            "path = \"/pay\"\nmax_age = \"11m\"",
        );
        assert_eq!(said(&[("rest", older), ("pay", recent)]).len(), 1);
    }

    #[test]
    fn a_guard_without_a_gap_is_not_mentioned() {
        for routes in [
            vec![OPEN, ("admin", "path = \"/admin\"")],
            vec![
                OPEN,
                ("admin", "path = \"/admin\"\nmethods = [\"GET\"]"),
                ("rest", "path = \"/admin\"\nroles = [\"staff\"]"),
            ],
            vec![("admin", "path = \"/admin\"\nmethods = [\"GET\"]")],
            vec![
                ("other", "path = \"/\"\nauth = \"public\"\nhost = \"other.example.com\""),
                (
                    "admin",
                    "path = \"/admin\"\nmethods = [\"GET\"]\nhost = \"app.example.com\"",
                ),
            ],
            vec![OPEN, ("open", "path = \"/x\"\nmethods = [\"GET\"]\nauth = \"public\"")],
        ] {
            assert!(said(&routes).is_empty(), "{routes:?}");
        }
    }
}
