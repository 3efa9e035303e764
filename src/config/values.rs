//! Values that are strings in the file and more than strings to us.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, Method};

use super::address::Origin;
use super::read::Text;
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

mod letter;
mod look;
mod path;
mod provider;
mod store;

pub(super) use letter::MailAt;
pub(super) use look::{SiteName, SupportLink};
pub(super) use path::{BasePath, RoutePath};
pub(super) use provider::{Issuer, ProviderId};
pub(super) use store::StoreAt;

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
    Target, "the name of an upstream, or \"builtin:whoami\"", target;
    Filter, "a level like \"info\"", filter;
    LogTarget, "\"off\", \"stdout\" or the path of a file", log_target;
    Color, "a colour like \"#1f5fbf\"", |text| text.parse().map_err(|error| format!("`{}`: {error}", text.escape_debug()));
    SharedWith, "an origin like \"https://app.example.com\", or \"*\"", shared_with;
    HeaderName, "the name of a header", |text| text.parse().map_err(|_| format!("`{}` is not the name of a header", text.escape_debug()));
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

/// Directives for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(pub(super) String);

/// Whose pages may call a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SharedWith {
    /// Anybody's.
    Everybody,
    /// Those of an origin, spelled as browsers spell it in `Origin`.
    Origin(String),
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
