//! Where a store is. No mistake repeats a text that may hold a password.

use std::path::PathBuf;

use crate::config::nearest;
use crate::config::read::Text;
use crate::config::servers::{self, Postgres, Redis};

text! {
    StoreAt, "a URL like \"sqlite://data/gateward.db\", \"postgres://…\" or \"redis://…\"", store_at;
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum StoreAt {
    /// A SQLite file; its path is still relative to the configuration file's folder.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(Postgres),
    /// Redis in one of its forms.
    Redis(Redis),
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
            nearest::hint(scheme, STORES)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stores_password_is_not_repeated() {
        let refused = store_at("postgre://gateward:s3cret@db/x").unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
        let refused = store_at("gateward:s3cret@db/x").unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}
