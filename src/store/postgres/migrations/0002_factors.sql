-- What users have beside their passwords, what is known about their addresses, and letters to them. Factors lie with their user; the one way to them by
-- another key is the table of links; letters stand alone.

-- 0: nobody asked, 1: pending, 2: confirmed.
ALTER TABLE users ADD COLUMN IF NOT EXISTS confirmation bigint NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS factors (
    user_id    uuid   NOT NULL,
    id         uuid   NOT NULL,
    kind       text   NOT NULL,
    label      text   NOT NULL,
    sealed     bytea  NOT NULL,
    link       bytea,
    counter    bigint NOT NULL,
    created_at bigint NOT NULL,
    used_at    bigint,
    PRIMARY KEY (user_id, id)
);

-- No reference to `factors`, which may lie elsewhere: the two change together in one transaction.
CREATE TABLE IF NOT EXISTS links (
    link    bytea NOT NULL PRIMARY KEY,
    user_id uuid  NOT NULL
);

CREATE TABLE IF NOT EXISTS letters (
    id         uuid   NOT NULL PRIMARY KEY,
    sealed     bytea  NOT NULL,
    created_at bigint NOT NULL,
    due_at     bigint NOT NULL,
    attempts   bigint NOT NULL
);

CREATE INDEX IF NOT EXISTS letters_by_due ON letters (due_at);
