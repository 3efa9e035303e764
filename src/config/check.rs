//! The file becomes `Settings`, or the list of everything that is wrong with it.
//!
//! Reading notes what is wrong with single values and puts defaults in their place, so what values mean together is judged in the same run. A value
//! that is already known to be wrong is not judged again.

mod certificates;
mod identity;
mod listeners;
mod mail;
mod passkeys;
mod passwords;
mod portal;
mod providers;
mod routes;
mod secrets;
mod stores;
mod tokens;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::file::File;
use super::nearest::nearest;
use super::place::{Lines, Place, join};
use super::read::{Holds, Key, Reader, Table, Version};
use super::section::section;
use super::values::FilePath;
use super::{Log, LogTarget, Settings, file};

/// One thing that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, counted from 1; `None` for a mistake outside of it (an environment variable, a missing file).
    pub line: Option<usize>,
    /// The key with its path (`server.limits.header_size`), or the variable; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Every mistake of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    /// The file that was read.
    pub file: String,
    /// In the order of the file.
    pub list: Vec<Mistake>,
}

/// One line for each mistake, in the form that editors jump to: `gateway.toml:12: server.htps: unknown key; …`.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            match mistake.line {
                Some(line) => write!(f, "{}:{line}: ", self.file)?,
                None => write!(f, "{}: ", self.file)?,
            }
            if !mistake.key.is_empty() {
                write!(f, "{}: ", mistake.key)?;
            }
            f.write_str(&mistake.message)?;
        }
        Ok(())
    }
}

/// Reads `path` with the overrides in `environment` and checks the whole.
///
/// # Errors
/// Every mistake at once, in the order of the file.
pub fn load(path: &Path, environment: &HashMap<String, String>) -> Result<Settings, Mistakes> {
    let outcome = match std::fs::read(path) {
        Ok(bytes) => text(bytes).and_then(|text| check(&text, folder(path), environment)),
        Err(error) => Err(vec![unreadable(&error)]),
    };
    outcome.map_err(|list| Mistakes {
        file: path.display().to_string(),
        list,
    })
}

/// Checks the text of a file that stands in `folder`.
pub(super) fn check(
    text: &str,
    folder: &Path,
    environment: &HashMap<String, String>,
) -> Result<Settings, Vec<Mistake>> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(File::KEYS, Lines::of(text), overrides(environment));
    for error in syntax {
        let message = error.message().replace('\n', " ");
        let message = message.trim_end_matches(", expected nothing");
        reader.syntax(error.span().map(|span| span.start), format!("not TOML: {message}"));
    }
    let root = Place {
        line: None,
        key: String::new(),
    };
    let settings = section::<File>(&mut reader, Some(document.get_ref()), root)
        .and_then(|file| settings(&mut reader, &file, &Folder(folder)));
    let (mut mistakes, unused) = reader.finish();
    keep_syntax(&mut mistakes);
    mistakes.extend(unused.values().map(|(variable, _)| unknown_variable(variable)));
    mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
    settings.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

/// A line that is not TOML is a mistake as such; what could be guessed of its values is not judged.
fn keep_syntax(mistakes: &mut Vec<Mistake>) {
    let broken: BTreeSet<usize> = mistakes
        .iter()
        .filter(|m| m.key.is_empty())
        .filter_map(|m| m.line)
        .collect();
    mistakes.retain(|mistake| mistake.key.is_empty() || mistake.line.is_none_or(|line| !broken.contains(&line)));
}

fn settings(reader: &mut Reader, file: &File, folder: &Folder<'_>) -> Option<Settings> {
    let Version::One = file.version.value;
    let server = listeners::server(reader, &file.server);
    let store = stores::store(reader, &file.store, folder);
    let tls = certificates::tls(reader, &file.tls, &server, &store, folder);
    let tokens = tokens::tokens(reader, &file.tokens, &server.public_url);
    let auth = passwords::auth(reader, &file.auth, &server.public_url, folder);
    let upstreams = upstreams::upstreams(reader, &file.upstreams, folder);
    let names: Vec<&str> = file.upstreams.0.iter().map(|(name, _)| name.as_str()).collect();
    let surroundings = routes::Surroundings {
        upstreams: &names,
        base_path: &auth.base_path,
        claim_email: tokens.claim_email,
        claim_roles: tokens.claim_roles,
    };
    let routes = routes::routes(reader, &file.routes, &surroundings);
    Some(Settings {
        server,
        tls,
        store,
        tokens,
        auth,
        portal: portal::portal(reader, &file.portal, folder),
        mail: mail::mail(reader, &file.mail, folder),
        log: log(&file.log, folder),
        upstreams,
        routes,
    })
}

fn log(file: &file::Log, folder: &Folder<'_>) -> Log {
    let target = |target: &LogTarget| match target {
        LogTarget::File(path) => LogTarget::File(folder.join(path)),
        other => other.clone(),
    };
    Log {
        level: file.level.value.0.clone(),
        access: target(&file.access.value),
        audit: target(&file.audit.value),
    }
}

/// The configuration file's folder, which relative paths are relative to.
#[derive(Clone, Copy, Debug)]
struct Folder<'p>(&'p Path);

impl Folder<'_> {
    fn join(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }

    fn file(&self, path: &FilePath) -> PathBuf {
        self.join(&path.0)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

fn text(bytes: Vec<u8>) -> Result<String, Vec<Mistake>> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let ends = good.unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        vec![Mistake {
            line: Some(ends + 1),
            key: String::new(),
            message: "not UTF-8 text; save the file as UTF-8".to_owned(),
        }]
    })
}

fn unreadable(error: &io::Error) -> Mistake {
    let message = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; write one, after the pattern of the gateway.toml that comes with Gateward, or name another with --config or GATEWARD_CONFIG".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Mistake {
        line: None,
        key: String::new(),
        message,
    }
}

const PREFIX: &str = "GATEWARD__";

/// `GATEWARD__SERVER__HTTPS` overrides `server.https`.
fn overrides(environment: &HashMap<String, String>) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    for (variable, value) in environment {
        if let Some(rest) = variable.strip_prefix(PREFIX) {
            let path = rest
                .split("__")
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
                .join(".");
            found.insert(path, (variable.clone(), value.clone()));
        }
    }
    found
}

/// A mistyped override would otherwise be one that silently does nothing.
fn unknown_variable(variable: &str) -> Mistake {
    let mut known = Vec::new();
    variables(File::KEYS, "", &mut known);
    let near = nearest(variable, known.iter().map(String::as_str));
    let hint = near.map_or_else(
        || "; it is GATEWARD__, then section and key of a single value, joined by `__`".to_owned(),
        |near| format!("; did you mean `{near}`?"),
    );
    Mistake {
        line: None,
        key: variable.to_owned(),
        message: format!("overrides no key{hint}"),
    }
}

/// The variables that override a key of these tables.
fn variables(keys: &'static [Key], path: &str, found: &mut Vec<String>) {
    for key in keys {
        let path = join(path, key.name);
        match key.holds {
            Holds::Value => found.push(format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))),
            Holds::Table(inner) => variables(inner, &path, found),
            Holds::Tables(_) | Holds::Map => {}
        }
    }
}
