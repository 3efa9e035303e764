//! `[auth.passkeys]`: a name that browsers let us use (WebAuthn §5.1.2, §5.11).

use http::Uri;

use super::tokens::twice;
use crate::config::address::Origin;
use crate::config::file;
use crate::config::passkeys::{Passkeys, origin};
use crate::config::read::{Reader, Written};

/// `None`: there are none here, by wish or because `public_url` has an address in the place of a name, which no passkey can belong to.
pub(super) fn passkeys(reader: &mut Reader, file: &file::Passkeys, public_url: &Uri) -> Option<Passkeys> {
    twice(reader, &file.related_origins.value, |related| origin(&related.0));
    for related in &file.related_origins.value {
        judge(reader, related, public_url);
    }
    let host = public_url.host().unwrap_or_default();
    let rp_id = match &file.rp_id {
        Some(rp_id) => {
            if !is_at_or_above(&rp_id.value.0, host) {
                let words = format!("must be `{host}`, the host of server.public_url, or a domain above it");
                reader.mistake(&rp_id.place, words);
            }
            rp_id.value.0.as_str()
        }
        None => host,
    };
    (file.enabled.value && is_name(host)).then(|| Passkeys {
        rp_id: rp_id.to_owned(),
        origin: origin(public_url),
        related_origins: file
            .related_origins
            .value
            .iter()
            .map(|related| origin(&related.value.0))
            .collect(),
    })
}

fn judge(reader: &mut Reader, related: &Written<Origin>, public_url: &Uri) {
    let url = &related.value.0;
    if origin(url) == origin(public_url) {
        reader.mistake(&related.place, "is server.public_url itself, which need not be listed");
    } else if !url.host().is_some_and(is_name) || url.scheme_str() != Some("https") {
        reader.mistake(&related.place, "must be https and a name: browsers take no other");
    }
}

/// Whether passkeys of `rp_id` can be used on pages of `host`. That a domain is one that anybody may register under, only browsers know.
fn is_at_or_above(rp_id: &str, host: &str) -> bool {
    let below = host.strip_suffix(rp_id).is_some_and(|rest| rest.ends_with('.'));
    is_name(host) && (rp_id == host || (below && rp_id.contains('.')))
}

fn is_name(host: &str) -> bool {
    !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err() && !host.is_empty()
}
