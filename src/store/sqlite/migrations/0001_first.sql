-- Everything of a user hangs on the user's id, so that the same shape can be spread over machines by it; the one way in by another key is the table
-- of addresses. Moments are milliseconds since 1970, ids are the 16 bytes of a UUID, lists are JSON arrays.

CREATE TABLE users (
    id          BLOB    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL,
    roles       TEXT    NOT NULL,
    password    TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER,
    epoch       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE emails (
    email   TEXT NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- `position` orders keys by when they were added: nodes' clocks may differ, the order of writing does not.
CREATE TABLE signing_keys (
    position    INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kid         TEXT    NOT NULL UNIQUE,
    algorithm   TEXT    NOT NULL,
    sealed      BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    active_from INTEGER NOT NULL,
    retires_at  INTEGER,
    revoked_at  INTEGER
) STRICT;

-- No reference to `users`: accounts may be kept in another store.
CREATE TABLE sessions (
    id                  BLOB    NOT NULL PRIMARY KEY,
    user_id             BLOB    NOT NULL,
    epoch               INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    last_used_at        INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL,
    idle_expires_at     INTEGER NOT NULL,
    auth_time           INTEGER NOT NULL,
    amr                 TEXT    NOT NULL,
    ip                  TEXT,
    user_agent          TEXT    NOT NULL,
    nonce_hash          BLOB    NOT NULL,
    current_generation  INTEGER NOT NULL,
    previous_generation INTEGER,
    rotated_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (idle_expires_at);

-- `sequence` is never used again (AUTOINCREMENT), so that a follower's place stays meaningful when old rows are gone.
-- `kind` is 1 for a token, 2 for a session, 3 for a user's sessions opened until `opened_until`.
CREATE TABLE revocations (
    sequence     INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind         INTEGER NOT NULL,
    subject      BLOB    NOT NULL,
    opened_until INTEGER,
    until        INTEGER NOT NULL
) STRICT;

CREATE INDEX revocations_of_subject ON revocations (subject, kind);
CREATE INDEX revocations_by_end ON revocations (until);

-- Tells this stream of revocations from that of another file that takes its place.
CREATE TABLE stream (
    id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    name      TEXT    NOT NULL PRIMARY KEY,
    count     INTEGER NOT NULL,
    resets_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX counters_by_end ON counters (resets_at);

CREATE TABLE remembered (
    name  TEXT    NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX remembered_by_end ON remembered (until);

PRAGMA user_version = 1;
