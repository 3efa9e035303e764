-- What users have beside their passwords, what is known about their addresses, letters to them, and values that are good for one use.

-- 0: nobody asked, 1: pending, 2: confirmed.
ALTER TABLE users ADD COLUMN confirmation INTEGER NOT NULL DEFAULT 0;

CREATE TABLE factors (
    user_id    BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    id         BLOB    NOT NULL,
    kind       TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    link       BLOB    UNIQUE,
    counter    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE letters (
    id         BLOB    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX letters_by_due ON letters (due_at);

CREATE TABLE kept (
    name  TEXT    NOT NULL PRIMARY KEY,
    value BLOB    NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX kept_by_end ON kept (until);

PRAGMA user_version = 2;
