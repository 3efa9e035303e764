//! `[[routes]]`: each one reachable, each one needed, each one able to do what it says.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::identity;
use super::tokens::twice;
use crate::config::file;
use crate::config::nearest::hint;
use crate::config::read::{Reader, Written};
use crate::config::values::{RoutePath, SharedWith};
use crate::config::words::{CredentialKind, PathException};
use crate::config::{Access, Cors, HostPattern, Route, Target};

const WHOAMI: &str = "builtin:whoami";
const JWKS: &str = "/.well-known/jwks.json";
const CHANGE_PASSWORD: &str = "/.well-known/change-password";

/// What routes are judged against.
#[derive(Debug)]
pub(super) struct Surroundings<'s> {
    pub(super) upstreams: &'s [&'s str],
    pub(super) base_path: &'s str,
    pub(super) claim_email: bool,
    pub(super) claim_roles: bool,
}

pub(super) fn routes(reader: &mut Reader, files: &[file::Route], around: &Surroundings<'_>) -> Vec<Route> {
    names_once(reader, files);
    matches_once(reader, files);
    files.iter().filter_map(|file| route(reader, file, around)).collect()
}

fn names_once(reader: &mut Reader, files: &[file::Route]) {
    let mut seen = BTreeMap::new();
    for name in files.iter().filter_map(|file| file.name.as_ref()) {
        if let Some(line) = seen.insert(name.value.0.as_str(), name.place.line) {
            let message = format!(
                "`{}` is a route already{}; names are used once",
                name.value.0,
                on_line(line)
            );
            reader.mistake(&name.place, message);
        }
    }
}

/// Two routes with the same host, path and methods: the second would never be asked.
fn matches_once(reader: &mut Reader, files: &[file::Route]) {
    let mut seen = BTreeMap::new();
    let whole = files.iter().filter(|file| !file.path.broken && !file.methods.broken);
    for file in whole {
        let host = file.host.as_ref().map_or(&HostPattern::Any, |host| &host.value);
        let methods: BTreeSet<&str> = file.methods.value.iter().map(|method| method.value.as_str()).collect();
        if let Some(line) = seen.insert((host, &file.path.value.0, methods), file.at.line) {
            let message = format!(
                "has host, path and methods of the route{}, and would never be asked",
                on_line(line)
            );
            reader.mistake(&file.at, message);
        }
    }
}

fn on_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(" on line {line}"))
}

/// `None` when a required key is missing, which is noted already.
fn route(reader: &mut Reader, file: &file::Route, around: &Surroundings<'_>) -> Option<Route> {
    shadowed(reader, &file.path, around.base_path, file);
    access(reader, file, around);
    twice(reader, &file.methods.value, ToString::to_string);
    if let Some(target) = &file.upstream {
        known(reader, target, around.upstreams);
    }
    let identity = identity(reader, &file.identity, around);
    let cors = cors(reader, &file.cors);
    let accepts = |kind| file.credentials.value.iter().any(|written| written.value == kind);
    let excepts = |exception| {
        file.path_exceptions
            .value
            .iter()
            .any(|written| written.value == exception)
    };
    Some(Route {
        name: file.name.as_ref()?.value.0.clone(),
        host: file.host.as_ref().map_or(HostPattern::Any, |host| host.value.clone()),
        path: file.path.value.0.clone(),
        methods: file.methods.value.iter().map(|method| method.value.clone()).collect(),
        target: file.upstream.as_ref()?.value.clone(),
        strip_prefix: file.strip_prefix.value,
        access: file.auth.value,
        roles: file.roles.value.iter().map(|role| role.value.clone()).collect(),
        two_factors: file.require.is_some(),
        max_age: file.max_age.as_ref().map(|age| age.value.0),
        kind: file.kind.value,
        accept_cookie: accepts(CredentialKind::Cookie),
        accept_bearer: accepts(CredentialKind::Bearer),
        revocation: file.revocation.value,
        identity,
        forward_token: file.forward_token.value,
        websocket: file.websocket.value,
        csrf: file.csrf.value,
        preserve_host: file.preserve_host.value,
        body_size: file.body_size.as_ref().map(|size| size.value.0),
        cors,
        allow_semicolon: excepts(PathException::Semicolon),
        allow_encoded_slash: excepts(PathException::EncodedSlash),
    })
}

/// `None` without origins. Anybody together with cookies would open the route to every site a person visits, so that is refused (Fetch §3.2.5).
fn cors(reader: &mut Reader, file: &file::Cors) -> Option<Cors> {
    let any_origin = file
        .origins
        .value
        .iter()
        .any(|origin| origin.value == SharedWith::Everybody);
    let given = file.methods.given || file.headers.given || file.credentials.given || file.max_age.given;
    if file.origins.value.is_empty() {
        if given && !file.origins.broken {
            reader.mistake(
                &file.at,
                "shares the route with nobody; name the `origins` that may call it",
            );
        }
        return None;
    }
    if any_origin && file.credentials.value {
        reader.mistake(
            &file.credentials.place,
            "cannot go together with the origin \"*\"; name the origins that may act for a person",
        );
    }
    let origins = file.origins.value.iter().filter_map(|origin| match &origin.value {
        SharedWith::Everybody => None,
        SharedWith::Origin(origin) => Some(origin.clone()),
    });
    Some(Cors {
        origins: origins.collect(),
        any_origin,
        methods: file.methods.value.iter().map(|method| method.value.clone()).collect(),
        headers: file.headers.value.iter().map(|header| header.value.clone()).collect(),
        credentials: file.credentials.value,
        max_age: file.max_age.value.0,
    })
}

/// Our own endpoints come first on every host.
fn shadowed(reader: &mut Reader, path: &Written<RoutePath>, base: &str, file: &file::Route) {
    let text = &path.value.0;
    let below = text
        .strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let well_known = [JWKS, CHANGE_PASSWORD].into_iter().find(|known| text == known);
    if below || well_known.is_some() {
        let place = if path.given { &path.place } else { &file.at };
        let ours = well_known.unwrap_or(base);
        let message =
            format!("is below `{ours}`, where the gateway's own endpoints answer; the route would never be asked");
        reader.mistake(place, message);
    }
}

fn access(reader: &mut Reader, file: &file::Route, around: &Surroundings<'_>) {
    twice(reader, &file.roles.value, ToString::to_string);
    let access = file.auth.value;
    if file.auth.broken || file.roles.value.is_empty() {
        // Nothing to judge.
    } else if access != Access::Required {
        let message = format!(
            "asks for roles on a route that is {}; write `auth = \"required\"` or take the roles out",
            word(access)
        );
        reader.mistake(&file.roles.place, message);
    } else if !around.claim_roles {
        reader.mistake(
            &file.roles.place,
            "tokens do not say roles; put \"roles\" into `tokens.claims`",
        );
    }
    let strict = [
        file.require.as_ref().map(|written| &written.place),
        file.max_age.as_ref().map(|written| &written.place),
    ];
    for place in strict.into_iter().flatten() {
        if access != Access::Required && !file.auth.broken {
            let message = format!(
                "asks how somebody signed in on a route that is {}; write `auth = \"required\"` or take it out",
                word(access)
            );
            reader.mistake(place, message);
        }
    }
    if file.credentials.value.is_empty() && !file.credentials.broken && access != Access::Public {
        reader.mistake(
            &file.credentials.place,
            "accepts no credential, so nobody could pass; write \"cookie\", \"bearer\" or both",
        );
    }
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Required => "required",
    }
}

fn known(reader: &mut Reader, target: &Written<Target>, upstreams: &[&str]) {
    let Target::Upstream(name) = &target.value else {
        return;
    };
    if !upstreams.contains(&name.as_str()) {
        let names = upstreams.iter().copied().chain([WHOAMI]);
        let message = format!("there is no upstream `{}`{}", name.escape_debug(), hint(name, names));
        reader.mistake(&target.place, message);
    }
}
