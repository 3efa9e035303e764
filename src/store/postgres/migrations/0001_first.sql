-- Everything of a user hangs on the user's id and the one way in by another key is the table of addresses, so both can be spread over machines or
-- partitions by their keys: every unique constraint contains that key, and nothing counts in a sequence. Signing keys are a handful and stay together.
-- Moments are milliseconds since 1970. What is there already is left alone: it may have been made partitioned or distributed beforehand.

CREATE TABLE IF NOT EXISTS users (
    id          uuid   NOT NULL PRIMARY KEY,
    email       text   NOT NULL,
    roles       text[] NOT NULL,
    password    text   NOT NULL,
    created_at  bigint NOT NULL,
    disabled_at bigint,
    epoch       bigint NOT NULL
);

-- No reference to `users`, which may lie elsewhere: the two change together in one transaction.
CREATE TABLE IF NOT EXISTS emails (
    email   text NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL
);

-- `position` orders keys by when they were added: nodes' clocks may differ, the order of writing does not.
CREATE TABLE IF NOT EXISTS signing_keys (
    position    bigint NOT NULL PRIMARY KEY,
    kid         text   NOT NULL UNIQUE,
    algorithm   text   NOT NULL,
    sealed      bytea  NOT NULL,
    created_at  bigint NOT NULL,
    active_from bigint NOT NULL,
    retires_at  bigint,
    revoked_at  bigint
);
