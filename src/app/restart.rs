//! Which changes of a configuration wait for the next start, because what they govern was built once: sockets, stores, threads, open logs.

use crate::config::Settings;

/// The keys that differ and cannot be changed at run time.
pub fn needed(started: &Settings, now: &Settings) -> Vec<&'static str> {
    let (old, new) = (&started.server, &now.server);
    let limits = (&started.server.limits, &now.server.limits);
    [
        ("server.https", old.https != new.https),
        ("server.http", old.http != new.http),
        ("server.admin", old.admin != new.admin),
        ("server.workers", old.workers != new.workers),
        (
            "server.limits.connections",
            limits.0.connections != limits.1.connections,
        ),
        ("store", started.store != now.store),
        ("auth.password", costs(started) != costs(now)),
        ("log", started.log != now.log),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

/// What the hashing threads were made with; the rules of length are read anew.
fn costs(settings: &Settings) -> (u32, u32, u32, usize, usize) {
    let rules = &settings.auth.password;
    (
        rules.memory_kib,
        rules.iterations,
        rules.lanes,
        rules.threads,
        rules.queue,
    )
}
