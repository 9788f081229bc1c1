-- Times are milliseconds since 1970 UTC; ids are hexadecimal digits without dashes; secrets stand here as BLAKE3 only.

CREATE TABLE cluster (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counter (name, value) VALUES ('certificate', 0), ('roles', 0);

CREATE TABLE account (
    user_name TEXT PRIMARY KEY,
    roles TEXT NOT NULL,
    logins TEXT NOT NULL,
    password_hash TEXT,
    created INTEGER NOT NULL,
    last_sign_in INTEGER
) STRICT;

CREATE TABLE invitation (
    hash BLOB PRIMARY KEY,
    user_name TEXT NOT NULL REFERENCES account (user_name) ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    used INTEGER
) STRICT;
CREATE INDEX invitation_by_user ON invitation (user_name);

-- No reference to account: names that do not exist are tried too.
CREATE TABLE sign_in_failure (
    user_name TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_failure_by_user ON sign_in_failure (user_name, time);
CREATE INDEX sign_in_failure_by_time ON sign_in_failure (time);

CREATE TABLE role (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL
) STRICT;

CREATE TABLE join_token (
    hash BLOB PRIMARY KEY,
    part TEXT NOT NULL,
    expires INTEGER NOT NULL,
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0)
) STRICT;

CREATE TABLE part (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    version TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    joined INTEGER NOT NULL,
    last_seen INTEGER,
    serial INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

CREATE TABLE recording (
    id TEXT PRIMARY KEY,
    user_name TEXT NOT NULL,
    login TEXT NOT NULL,
    node TEXT NOT NULL,
    connection TEXT NOT NULL,
    kind TEXT NOT NULL,
    client TEXT NOT NULL,
    labels TEXT NOT NULL,
    started INTEGER NOT NULL,
    received INTEGER NOT NULL,
    length_ms INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0,
    gaps INTEGER NOT NULL DEFAULT 0,
    phase TEXT NOT NULL CHECK (phase IN ('live', 'interrupted', 'stored')),
    ending TEXT,
    verification TEXT,
    head_hash BLOB,
    receipt TEXT,
    object_key TEXT,
    file_hash BLOB,
    removed INTEGER
) STRICT;
CREATE INDEX recording_by_start ON recording (started, id);
CREATE INDEX recording_by_user ON recording (user_name, started, id);
CREATE INDEX recording_by_node ON recording (node, started, id);
CREATE INDEX recording_by_phase ON recording (phase, received);

-- No references: a ticket lives for minutes.
CREATE TABLE ticket (
    hash BLOB PRIMARY KEY,
    user_name TEXT NOT NULL,
    recording TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE report (
    node TEXT NOT NULL,
    run TEXT NOT NULL,
    batch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (node, run, batch)
) STRICT;
CREATE INDEX report_by_time ON report (time);

CREATE TABLE ledger (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    event TEXT NOT NULL,
    code TEXT NOT NULL,
    word TEXT NOT NULL,
    user_name TEXT,
    node TEXT,
    session TEXT,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_by_time ON ledger (time, number);
CREATE INDEX ledger_by_user ON ledger (user_name, number);
CREATE INDEX ledger_by_session ON ledger (session, number);

CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_is_not_shortened BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- Also stops INSERT OR REPLACE, which passes the delete trigger by.
CREATE TRIGGER ledger_has_no_holes BEFORE INSERT ON ledger
WHEN NEW.number IS NOT (SELECT COALESCE(MAX(number), 0) + 1 FROM ledger)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;
