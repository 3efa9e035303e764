//! What `serve` says on standard output once it listens: where, and how to go on.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use super::rooms::Rooms;
use crate::config::{Settings, Target};
use crate::server::Addresses;

/// Says it. The first account is spoken of until there is one.
pub async fn print(settings: &Settings, addresses: Addresses, admin: Option<SocketAddr>, rooms: &Rooms) {
    let is_new = rooms
        .stores
        .accounts
        .list(None, 1)
        .await
        .is_ok_and(|users| users.is_empty());
    let text = text(settings, addresses, admin, is_new);
    // Nobody may be listening; that is no reason not to serve.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn text(settings: &Settings, addresses: Addresses, admin: Option<SocketAddr>, is_new: bool) -> String {
    let url = settings.server.public_url.to_string();
    let url = url.trim_end_matches('/');
    let mut text = format!("Gateward {} is at {url}\n", env!("CARGO_PKG_VERSION"));
    let http = if addresses.https.is_some() {
        "http (redirects)"
    } else {
        "http"
    };
    for (name, address) in [("https", addresses.https), (http, addresses.http), ("admin", admin)] {
        if let Some(address) = address {
            let _ = writeln!(text, "  {name} on {address}");
        }
    }
    if let Some(route) = settings.routes.iter().find(|route| route.target == Target::Whoami) {
        let _ = writeln!(text, "  {url}{} shows what an upstream is told", route.path);
    }
    if is_new {
        text.push_str(&first_account(settings, url));
    }
    text
}

fn first_account(settings: &Settings, url: &str) -> String {
    let mut text = "There is no account yet. Make the first one:\n  gateward user add you@example.com\n".to_owned();
    if settings.auth.registration {
        let insecure = if settings.tls.self_signed { " -k" } else { "" };
        let endpoint = format!("{url}{}/register", settings.auth.base_path);
        let password = format!("at least {} characters", settings.auth.password.min_length);
        let _ = writeln!(
            text,
            "or\n  curl{insecure} {endpoint} -H 'Content-Type: application/json' \\\n    \
             -d '{{\"email\":\"you@example.com\",\"password\":\"{password}\"}}'",
        );
    }
    text
}
