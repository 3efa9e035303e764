//! Which settings a running gateway cannot take over.

use super::Settings;

/// The keys that differ and need a restart; everything else takes effect with a reload.
///
/// Sockets, threads and files that are opened once stay as they were opened. What is named here keeps its old value until the restart.
pub fn keys_needing_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (server, was) = (&new.server, &old.server);
    let (password, had) = (&new.auth.password, &old.auth.password);
    let differs = [
        ("server.https", server.https != was.https),
        ("server.http", server.http != was.http),
        ("server.admin", server.admin != was.admin),
        ("server.workers", server.workers != was.workers),
        (
            "server.limits.connections",
            server.limits.connections != was.limits.connections,
        ),
        ("store", new.store != old.store),
        ("auth.password.threads", password.threads != had.threads),
        ("auth.password.queue", password.queue != had.queue),
        ("log.level", new.log.level != old.log.level),
        ("log.access", new.log.access != old.log.access),
        ("log.audit", new.log.audit != old.log.audit),
    ];
    let named = differs.into_iter().filter(|(_, differs)| *differs);
    named.map(|(key, _)| key).collect()
}
