//! `[tokens]`: lives that must fit into each other.

use std::time::Duration;

use http::Uri;

use crate::config::read::{Reader, Written};
use crate::config::values::{Plain, Positive};
use crate::config::words::TokenClaim;
use crate::config::{Tokens, file};

/// Longer than this, the answer to a stolen token is the answer to a lost one.
const LONGEST_WINDOW: Duration = Duration::from_mins(10);

pub(super) fn tokens(reader: &mut Reader, file: &file::Tokens, public_url: &Uri) -> Tokens {
    spans(reader, file);
    twice(reader, &file.audience.value, |audience| audience.0.clone());
    twice(reader, &file.claims.value, |claim| format!("{claim:?}").to_lowercase());
    if file.audience.given && file.audience.value.is_empty() {
        reader.mistake(
            &file.audience.place,
            "must name at least one audience, like [\"gateward\"]",
        );
    }
    let claims = |wanted| file.claims.value.iter().any(|claim| claim.value == wanted);
    Tokens {
        issuer: issuer(file.issuer.as_ref(), public_url),
        audience: file.audience.value.iter().map(|name| name.value.0.clone()).collect(),
        algorithm: file.algorithm.value,
        access_ttl: file.access_ttl.value.0,
        refresh_idle: file.refresh_idle.value.0,
        refresh_absolute: file.refresh_absolute.value.0,
        reuse_window: file.reuse_window.value.0,
        on_reuse: file.on_reuse.value,
        rotate_every: file.keys.rotate_every.value.0,
        publish_before: file.keys.publish_before.value.0,
        claim_email: claims(TokenClaim::Email),
        claim_roles: claims(TokenClaim::Roles),
    }
}

fn spans(reader: &mut Reader, file: &file::Tokens) {
    shorter(
        reader,
        &file.access_ttl,
        &file.refresh_idle,
        "refresh_idle: a session would end before its token",
    );
    if !file.refresh_idle.broken
        && !file.refresh_absolute.broken
        && file.refresh_idle.value.0 > file.refresh_absolute.value.0
    {
        reader.mistake(
            &file.refresh_idle.place,
            "must not be longer than `refresh_absolute`, a session's longest life",
        );
    }
    shorter(
        reader,
        &file.keys.publish_before,
        &file.keys.rotate_every,
        "rotate_every: a key would have to be published before the one before it signs",
    );
    if file.reuse_window.value.0 > LONGEST_WINDOW {
        reader.mistake(
            &file.reuse_window.place,
            "must not be longer than \"10m\": so long could a stolen refresh token be used unnoticed",
        );
    }
}

fn shorter(reader: &mut Reader, short: &Written<Positive>, long: &Written<Positive>, why: &str) {
    if !short.broken && !long.broken && short.value.0 >= long.value.0 {
        let place = if short.given { &short.place } else { &long.place };
        let name = short.place.key.rsplit('.').next().unwrap_or_default();
        let said = if short.given {
            String::new()
        } else {
            format!("`{name}` ")
        };
        reader.mistake(place, format!("{said}must be shorter than {why}"));
    }
}

/// Notes the elements of a list that were there before.
pub(super) fn twice<T>(reader: &mut Reader, list: &[Written<T>], name: impl Fn(&T) -> String) {
    for (n, element) in list.iter().enumerate() {
        let this = name(&element.value);
        if list.iter().take(n).any(|earlier| name(&earlier.value) == this) {
            reader.mistake(&element.place, format!("`{this}` is there twice"));
        }
    }
}

fn issuer(written: Option<&Written<Plain>>, public_url: &Uri) -> String {
    let url = || public_url.to_string().trim_end_matches('/').to_owned();
    written.map_or_else(url, |issuer| issuer.value.0.clone())
}
