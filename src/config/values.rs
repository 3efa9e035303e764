//! Values that are strings in the file and more than strings to us.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method, Uri};

use super::address::Origin;
use super::mail::Sender;
use super::provider::is_on_this_machine;
use super::read::Text;
use super::servers::{self, Postgres, Redis, Smtp};
use super::{Color, LogTarget, Rate, Target, units};
use crate::model::user::Role;

macro_rules! text {
    ($($type:ty, $wanted:literal, $parse:expr;)*) => {$(
        impl Text for $type {
            const WANTED: &'static str = $wanted;

            fn parse(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<Self, String> = $parse;
                parse(text)
            }
        }
    )*};
}

text! {
    Span, "a duration like \"15m\"", |text| units::duration(text).map(Self);
    Positive, "a duration like \"15m\"", positive;
    Size, "a size like \"16MiB\"", |text| units::size(text).map(Self);
    Rate, "a rate like \"20/1m\"", units::rate;
    Plain, "a string", plain;
    FilePath, "the path of a file", file_path;
    Name, "a name", name;
    Role, "a role", |text| text.parse().map_err(|error| format!("`{text}`: {error}"));
    Method, "a method like \"GET\"", method;
    RoutePath, "a path like \"/app\"", route_path;
    BasePath, "a path like \"/auth\"", base_path;
    Target, "the name of an upstream, or \"builtin:whoami\"", target;
    Filter, "a level like \"info\"", filter;
    LogTarget, "\"off\", \"stdout\" or the path of a file", log_target;
    Color, "a colour like \"#1f5fbf\"", |text| text.parse().map_err(|error| format!("`{}`: {error}", text.escape_debug()));
    SiteName, "a name like \"Acme\"", site_name;
    SupportLink, "a link like \"mailto:help@example.com\"", support_link;
    SharedWith, "an origin like \"https://app.example.com\", or \"*\"", shared_with;
    HeaderName, "the name of a header", |text| text.parse().map_err(|_| format!("`{}` is not the name of a header", text.escape_debug()));
    ProviderId, "a short name", provider_id;
    Issuer, "a URL like \"https://accounts.google.com\"", issuer;
    MailAt, "a URL like \"smtps://user@mail.example.com\", \"file:data/outbox\", or \"off\"", mail_at;
    Sender, "an address like \"Acme <no-reply@example.com>\"", sender;
    StoreAt, "a URL like \"sqlite://data/gateward.db\", \"postgres://…\" or \"redis://…\"", store_at;
}

/// A span of time that may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A span of time that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positive(pub(super) Duration);

/// Octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// A string of visible ASCII, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain(pub(super) String);

/// A path, still relative to the configuration file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath(pub(super) PathBuf);

/// The name of a route or an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

/// A route's path prefix, without a slash at the end unless it is `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoutePath(pub(super) String);

/// Where our own endpoints stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BasePath(pub(super) String);

/// Directives for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(pub(super) String);

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreAt {
    /// A SQLite file; its path is still relative to the configuration file's folder.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(Postgres),
    /// Redis in one of its forms.
    Redis(Redis),
}

/// Where letters are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MailAt {
    /// Nowhere.
    Off,
    /// A folder; its path is still relative to the configuration file's folder.
    Folder(PathBuf),
    /// A mail server.
    Smtp(Smtp),
}

/// What people call the site: 1 to 40 characters, none of them a control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SiteName(pub(super) String);

/// Where help is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SupportLink(pub(super) String);

/// What an OpenID provider is called in paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProviderId(pub(super) String);

/// Who an OpenID provider says it is; kept to the letter, since it is compared so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issuer(pub(super) String);

/// Whose pages may call a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SharedWith {
    /// Anybody's.
    Everybody,
    /// Those of an origin, spelled as browsers spell it in `Origin`.
    Origin(String),
}

fn site_name(text: &str) -> Result<SiteName, String> {
    let length = text.chars().count();
    if text.trim() != text || !(1..=40).contains(&length) || text.chars().any(char::is_control) {
        return Err("must be 1 to 40 characters, without controls and without spaces around them".to_owned());
    }
    Ok(SiteName(text.to_owned()))
}

/// The link stands on a page where people type passwords, so it can be nothing that runs there.
fn support_link(text: &str) -> Result<SupportLink, String> {
    let leads_out = ["https://", "http://", "mailto:"].iter().any(|scheme| {
        let rest = text.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    if leads_out && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(SupportLink(text.to_owned()));
    }
    Err(format!(
        "`{}` is not a link for people; write \"https://…\" or \"mailto:…\"",
        text.escape_debug()
    ))
}

fn provider_id(text: &str) -> Result<ProviderId, String> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(letter) {
        return Ok(ProviderId(text.to_owned()));
    }
    Err(format!(
        "`{}` is no name for a path; use 1 to 32 lower-case letters, digits or '-'",
        text.escape_debug()
    ))
}

/// OpenID Connect Discovery §3: https, and nothing behind the path. In the clear it would be anybody's word who can listen on the way.
fn issuer(text: &str) -> Result<Issuer, String> {
    let wrong = |why: &str| {
        Err(format!(
            "`{}` {why}; write the provider's `issuer`, like \"https://accounts.google.com\"",
            text.escape_debug()
        ))
    };
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("is not a URL");
    };
    let named = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    if named.is_none() || text.contains(['?', '#']) {
        return wrong("is more or less than scheme, host and path");
    }
    match uri.scheme_str() {
        Some("https") => Ok(Issuer(text.to_owned())),
        Some("http") if is_on_this_machine(&uri) => Ok(Issuer(text.to_owned())),
        _ => wrong("is not https"),
    }
}

/// Browsers leave out the port that is a scheme's own (RFC 6454 §6.2).
fn shared_with(text: &str) -> Result<SharedWith, String> {
    if text == "*" {
        return Ok(SharedWith::Everybody);
    }
    let Origin(uri) = Origin::parse(text)?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(own_port).unwrap_or(authority);
    Ok(SharedWith::Origin(format!("{scheme}://{authority}")))
}

fn positive(text: &str) -> Result<Positive, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(Positive(span)),
    }
}

fn plain(text: &str) -> Result<Plain, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "`{}` must be visible ASCII without spaces, and not empty",
            text.escape_debug()
        ));
    }
    Ok(Plain(text.to_owned()))
}

fn file_path(text: &str) -> Result<FilePath, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("must be the path of a file".to_owned());
    }
    Ok(FilePath(PathBuf::from(text)))
}

/// A name is a label in metrics and an audience in assertions.
pub(super) fn name(text: &str) -> Result<Name, String> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(letter) {
        return Ok(Name(text.to_owned()));
    }
    Err(format!(
        "`{}` is not a name; use 1 to 64 letters, digits, '.', '_' or '-'",
        text.escape_debug()
    ))
}

/// CONNECT asks for a tunnel and TRACE echoes credentials (RFC 9110 §9.3.6, §9.3.8): neither is ever proxied.
fn method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    let method =
        Method::from_bytes(text.as_bytes()).map_err(|_| format!("`{}` is not a method", text.escape_debug()))?;
    match upper.as_str() {
        "CONNECT" | "TRACE" => Err(format!("{upper} is never passed on; take it out")),
        _ if upper != text => Err(format!(
            "`{text}` is not a method; methods are written in capitals: `{upper}`"
        )),
        _ => Ok(method),
    }
}

/// The same spellings that are refused in a request are refused here, or the route could never match.
fn route_path(text: &str) -> Result<RoutePath, String> {
    let wrong = |why: &str| {
        Err(format!(
            "`{}` {why}; write a plain prefix like \"/app\"",
            text.escape_debug()
        ))
    };
    if !text.starts_with('/') {
        return wrong("does not begin with `/`");
    }
    if text.contains("//") {
        return wrong("contains `//`");
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return wrong("contains a dot segment");
    }
    let forbidden = |b: u8| !b.is_ascii_graphic() || b"%;\\?#\"<>^`{|}*".contains(&b);
    if let Some(b) = text.bytes().find(|b| forbidden(*b)) {
        return wrong(&format!("contains `{}`", char::from(b).escape_debug()));
    }
    let trimmed = text.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(text);
    Ok(RoutePath(trimmed.to_owned()))
}

fn base_path(text: &str) -> Result<BasePath, String> {
    let segment = |segment: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !segment.is_empty() && segment.bytes().all(letter) && !matches!(segment, "." | "..")
    };
    let good = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
    if !good {
        return Err(format!(
            "`{}` is not a path for our endpoints; write it like \"/auth\": a slash in front, none at the end, letters, digits, '-', '.', '_', '~'",
            text.escape_debug()
        ));
    }
    Ok(BasePath(text.to_owned()))
}

fn target(text: &str) -> Result<Target, String> {
    match text.strip_prefix("builtin:") {
        Some("whoami") => Ok(Target::Whoami),
        Some(_) => Err(format!(
            "`{}` is not built in; there is only `builtin:whoami`",
            text.escape_debug()
        )),
        None => Ok(Target::Upstream(text.to_owned())),
    }
}

/// `info`, or directives such as `info,gateward::proxy=debug`. A bare word that is no level would silently be taken for a module's name.
fn filter(text: &str) -> Result<Filter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',') {
        let (module, level) = directive
            .split_once('=')
            .map_or((None, directive), |(module, level)| (Some(module), level));
        let known = LEVELS.contains(&level);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_:".contains(&b);
        let module_is_good = module.is_none_or(|module| !module.is_empty() && module.bytes().all(plain));
        if !known || !module_is_good {
            let hint = super::nearest::hint(level, LEVELS);
            return Err(format!("`{}` is not a level{hint}", directive.escape_debug()));
        }
    }
    Ok(Filter(text.to_owned()))
}

fn log_target(text: &str) -> Result<LogTarget, String> {
    match text {
        "off" => Ok(LogTarget::Off),
        "stdout" => Ok(LogTarget::Stdout),
        "on" | "none" | "true" | "false" | "stderr" | "-" => Err(format!(
            "`{text}` is not a place for lines; write \"off\", \"stdout\" or the path of a file"
        )),
        _ => file_path(text).map(|path| LogTarget::File(path.0)),
    }
}

const STORES: [&str; 8] = [
    "sqlite",
    "postgres",
    "redis",
    "rediss",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

fn store_at(text: &str) -> Result<StoreAt, String> {
    let example = "write it like \"sqlite://data/gateward.db\"";
    let Some((scheme, rest)) = text.split_once("://") else {
        // The text is not repeated: a password may stand in it.
        return Err(format!("is not a store's URL; {example}"));
    };
    match scheme {
        "sqlite" if rest.is_empty() || rest.contains(['?', '#', '\0']) || rest.ends_with('/') => {
            Err(format!("`{}` names no file; {example}", text.escape_debug()))
        }
        "sqlite" => Ok(StoreAt::File(PathBuf::from(rest))),
        "postgres" | "postgresql" => servers::postgres(rest).map(StoreAt::Postgres),
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster" => {
            servers::redis(scheme, rest).map(StoreAt::Redis)
        }
        // The rest is not repeated: it may hold a password.
        _ => Err(format!(
            "stores of kind `{}` are not supported{}; {example}",
            scheme.escape_debug(),
            super::nearest::hint(scheme, STORES)
        )),
    }
}

fn mail_at(text: &str) -> Result<MailAt, String> {
    if text == "off" {
        return Ok(MailAt::Off);
    }
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return file_path(path).map(|path| MailAt::Folder(path.0));
    }
    match text.split_once("://") {
        Some((scheme @ ("smtp" | "smtps"), rest)) => servers::smtp(scheme, rest).map(MailAt::Smtp),
        // The text is not repeated: a password may stand in it.
        _ => Err(
            "is no way for letters; write it like \"smtps://user@mail.example.com\" or \"file:data/outbox\"".to_owned(),
        ),
    }
}

/// A name is shown to people by their mail programs, so it can be nothing that reads like another header or address.
fn sender(text: &str) -> Result<Sender, String> {
    let wrong = || {
        let text = text.escape_debug();
        format!("`{text}` is not an address; write it like \"no-reply@example.com\" or \"Acme <no-reply@example.com>\"")
    };
    let (name, address) = match text.trim().strip_suffix('>').and_then(|rest| rest.split_once('<')) {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    if name.chars().count() > 64 || name.chars().any(|c| c.is_control() || "<>@\"\\".contains(c)) {
        return Err(wrong());
    }
    Ok(Sender {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        address: address.parse().map_err(|_| wrong())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routes_path_is_clean_or_refused() {
        for (text, kept) in [
            ("/", "/"),
            ("/app", "/app"),
            ("/app/", "/app"),
            ("/a-b/c.d/~e", "/a-b/c.d/~e"),
        ] {
            assert_eq!(route_path(text), Ok(RoutePath(kept.to_owned())));
        }
        for text in [
            "", "app", "/a//b", "//", "/a/../b", "/.", "/a%2fb", "/a;b", "/a\\b", "/a b", "/é", "/a?b", "/a#b", "/a\0",
        ] {
            assert!(route_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_endpoints_cannot_take_the_whole_site() {
        assert_eq!(base_path("/auth"), Ok(BasePath("/auth".to_owned())));
        for text in ["", "/", "auth", "/auth/", "/a//b", "/../a", "/a%20"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_provider_is_asked_in_the_clear_on_this_machine_only() {
        for text in [
            "https://accounts.google.com",
            "https://id.example.com/realms/one/",
            "http://localhost:3000",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            assert_eq!(issuer(text), Ok(Issuer(text.to_owned())));
        }
        for text in [
            "",
            "accounts.google.com",
            "http://id.example.com",
            "ftp://localhost",
            "https://",
            "https://u@id.example.com",
            "https://id.example.com/?x",
            "https://id.example.com/#x",
        ] {
            assert!(issuer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_that_must_not_be_proxied_cannot_be_routed() {
        assert_eq!(method("PURGE").unwrap().as_str(), "PURGE");
        for text in ["CONNECT", "TRACE", "trace", "get", "", "G T"] {
            assert!(method(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        assert!(filter("info,gateward::proxy=debug,hyper=off").is_ok());
        for text in ["", "inof", "gateward", "info,", "a=b", "=info", "info, debug"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        let read = sender("Acme & Söhne <No-Reply@Example.com>").unwrap();
        assert_eq!(read.to_string(), "Acme & Söhne <no-reply@example.com>");
        assert_eq!(sender("a@example.com").unwrap().name, None);
        for text in [
            "",
            "Acme",
            "A\r\nBcc: x@y.z <a@example.com>",
            "a@b.c <a@example.com>",
            "<a@example.com",
            "<>",
        ] {
            assert!(sender(text).is_err(), "{text}");
        }
    }

    #[test]
    fn letters_go_to_a_mail_server_or_into_a_folder() {
        assert_eq!(mail_at("file:data/outbox"), Ok(MailAt::Folder("data/outbox".into())));
        assert!(matches!(mail_at("smtps://u@mail.example.com"), Ok(MailAt::Smtp(_))));
        for text in ["file:", "mail.example.com", "http://u:s3cret@a", "smtp:u:s3cret@a"] {
            assert!(!mail_at(text).unwrap_err().contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_stores_password_is_not_repeated() {
        let refused = store_at("postgre://gateward:s3cret@db/x").unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
        let refused = store_at("gateward:s3cret@db/x").unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}
