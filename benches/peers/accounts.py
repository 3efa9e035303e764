"""People and revocations by the hundred thousand, written into the embedded store, and sessions opened over HTTP.

A password hash costs 12 ms, so one account is made by the gateway itself and its hash copied: they all share a password.
Only the benchmark's own throw-away database is ever written to.
"""
import json, os, sqlite3, subprocess, time, uuid

import fixtures
from machine import DIR, Unfit
from systems import ask

PASSWORD = "correct horse battery staple"


def database(config):
    return sqlite3.connect(config.removesuffix(".gateward.toml") + "-data/gateward.db")


def email(i):
    return f"user{i}@example.com"


def uuid7(i=0):
    """In the order in which they are made, as the gateway's own."""
    ms = int(time.time() * 1000)
    return uuid.UUID(int=(ms << 80) | (7 << 76) | ((i & 0xFFF) << 64) | (2 << 62) | (uuid.uuid4().int & ((1 << 62) - 1)))


def add(gateward, config, count):
    """So many accounts, all with the one password."""
    cmd = [gateward, "--config", config, "user", "add", email(0), "--password-stdin"]
    subprocess.run(cmd, input=PASSWORD.encode(), check=True, stdout=subprocess.DEVNULL)
    with database(config) as db:
        db.execute("PRAGMA foreign_keys = ON")
        roles, phc, made = db.execute("SELECT roles, password, created_at FROM users").fetchone()
        people = [(uuid7(i).bytes, email(i)) for i in range(1, count)]
        people.sort()
        db.executemany("INSERT INTO users (id, email, roles, password, created_at, epoch) VALUES (?, ?, ?, ?, ?, 0)",
                       ((i, e, roles, phc, made) for i, e in people))
        db.executemany("INSERT INTO emails (email, user_id) VALUES (?, ?)", sorted((e, i) for i, e in people))
    db.close()


def revoke(config, count):
    """So many ended sessions that must be remembered for a day: of nobody whose token is used."""
    until = int((time.time() + 86_400) * 1000)
    with database(config) as db:
        db.executemany("INSERT INTO revocations (kind, subject, until) VALUES (2, ?, ?)",
                       ((uuid7(i).bytes, until) for i in range(count)))
    db.close()


def sign_in(listener, i):
    """A refresh token of a new session."""
    status, body = ask(listener, "POST", "/auth/login", {"Content-Type": "application/json"},
                       json.dumps({"email": email(i), "password": PASSWORD, "transport": "body"}))
    if status != 200:
        raise Unfit(f"sign-in: {status} {body}")
    return json.loads(body)["refresh_token"]


def tokens(count):
    """A file of so many valid tokens, made once."""
    if count == 1:
        return f"{DIR}/token"
    if count <= fixtures.DISTINCT:
        path = f"{DIR}/tokens-{count}"
        with open(f"{DIR}/tokens") as all_of_them, open(path, "w") as f:
            f.writelines(line for _, line in zip(range(count), all_of_them))
        return path
    path = f"{DIR}/tokens-{count}"
    made = os.path.getmtime(f"{DIR}/made")
    if not os.path.exists(path) or os.path.getmtime(path) < made:
        fixtures.more(DIR, path, count)
    return path
