-- Web sessions: who is signed in with a browser. Of the cookie's secret only its hash stands here; `factors` are those that were shown.
INSERT INTO counter (name, value) VALUES ('web_session', 0), ('factor', 0);

CREATE TABLE web_session (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    user_name TEXT NOT NULL REFERENCES account (user_name) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    factors TEXT NOT NULL
) STRICT;
CREATE INDEX web_session_by_user ON web_session (user_name, seen);
CREATE INDEX web_session_by_expiry ON web_session (expires);

-- Second factors. `spec` is the secret of an app, or a passkey's public half; `step` the last time step whose code was taken.
CREATE TABLE factor (
    number INTEGER PRIMARY KEY,
    user_name TEXT NOT NULL REFERENCES account (user_name) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    credential BLOB UNIQUE,
    created INTEGER NOT NULL,
    used INTEGER,
    step INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX factor_by_user ON factor (user_name, number);

CREATE TABLE recovery (
    user_name TEXT NOT NULL REFERENCES account (user_name) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    used INTEGER,
    PRIMARY KEY (user_name, hash)
) STRICT;

-- What has begun and waits for its second half. No reference: a sign-in with a passkey does not know yet whose it is.
CREATE TABLE begun (
    hash BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    user_name TEXT,
    spec TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX begun_by_expiry ON begun (expires);
CREATE INDEX begun_by_user ON begun (user_name);
