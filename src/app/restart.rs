//! Which changes of a configuration wait for the next start, because what they govern was built once: sockets, stores, threads, open logs.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::config::{LogTarget, Mail, Settings, StoreUrl};

/// The keys that differ and cannot be changed at run time.
pub fn needed(started: &Settings, now: &Settings) -> Vec<&'static str> {
    let (old, new) = (facts(started), facts(now));
    let differing = old.into_iter().zip(new).filter(|(old, new)| old.1 != new.1);
    differing.map(|((key, _), _)| key).collect()
}

/// What each of them says.
fn facts(settings: &Settings) -> [(&'static str, Fact<'_>); 17] {
    let Settings {
        server,
        store,
        auth,
        mail,
        log,
        ..
    } = settings;
    let password = &auth.password;
    let argon2 = [password.memory_kib, password.iterations, password.lanes];
    [
        ("server.https", Fact::Address(server.https)),
        ("server.http", Fact::Address(server.http)),
        ("server.admin", Fact::Address(server.admin)),
        ("server.workers", Fact::Count(server.workers)),
        ("server.limits.connections", Fact::Count(server.limits.connections)),
        ("store.accounts", Fact::Store(&store.accounts)),
        ("store.sessions", Fact::Store(&store.sessions)),
        ("store.secret_file", Fact::File(&store.secret_file)),
        ("store.connect_timeout", Fact::Span(store.connect_timeout)),
        ("store.timeout", Fact::Span(store.timeout)),
        ("auth.password.argon2", Fact::Costs(argon2)),
        ("auth.password.threads", Fact::Count(password.threads)),
        ("auth.password.queue", Fact::Count(password.queue)),
        ("mail", Fact::Mail(mail.as_ref())),
        ("log.level", Fact::Text(&log.level)),
        ("log.access", Fact::Log(&log.access)),
        ("log.audit", Fact::Log(&log.audit)),
    ]
}

/// A key's value, to be compared.
#[derive(PartialEq)]
enum Fact<'a> {
    Address(Option<SocketAddr>),
    Count(usize),
    Store(&'a StoreUrl),
    File(&'a Path),
    Span(Duration),
    Costs([u32; 3]),
    Text(&'a str),
    Mail(Option<&'a Mail>),
    Log(&'a LogTarget),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config;

    /// The keys that the reference marks with "restart", by themselves or with their table; a table that is one fact counts as one.
    fn marked<'a>(reference: &'a str, facts: &BTreeSet<&'a str>) -> BTreeSet<String> {
        let (mut table, mut mark) = ("", None);
        let mut marked = BTreeSet::new();
        for line in reference.lines() {
            if let Some((name, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
                (table, mark) = (name, rest.split_once("# restart").map(|(_, mark)| mark));
            } else if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                let key = line.split(' ').next().unwrap();
                let with_table = mark.is_some_and(|mark| !mark.ends_with(&format!("but {key}")));
                if facts.contains(table) && with_table {
                    marked.insert(table.to_owned());
                } else if with_table || line.contains("# restart") {
                    marked.insert(format!("{table}.{key}"));
                }
            }
        }
        marked
    }

    #[test]
    fn the_reference_marks_what_waits_for_a_restart_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, "").unwrap();
        let settings = config::load(&file).unwrap();
        let facts: BTreeSet<&str> = facts(&settings).into_iter().map(|(key, _)| key).collect();
        let marked = marked(include_str!("../../gateway.toml"), &facts);
        assert_eq!(marked, facts.into_iter().map(str::to_owned).collect());
    }

    #[test]
    fn what_a_reload_cannot_change_is_named_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |text: &str| {
            let file = folder.path().join("gateway.toml");
            std::fs::write(&file, text).unwrap();
            config::load(&file).unwrap()
        };
        let old = settings("");
        let new = settings(
            "[server]\nworkers = 99\nhttps = \"127.0.0.1:1\"\n[store]\nmax_staleness = \"1s\"\n\
             [tokens]\naccess_ttl = \"1m\"\n[auth.password.argon2]\niterations = 3\n[log]\naudit = \"off\"",
        );
        assert_eq!(needed(&old, &old), [] as [&str; 0]);
        let expected = [
            "server.https",
            "server.http",
            "server.workers",
            "auth.password.argon2",
            "log.audit",
        ];
        assert_eq!(needed(&old, &new), expected);
    }
}
