-- Links into running sessions. Of the code only its hash stands here; `recipient` is NULL where whoever has an account may use it.
INSERT INTO counter (name, value) VALUES ('link', 0);

-- No references: a link lives for hours, and says in the ledger who it was after its people are gone.
CREATE TABLE link (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    node TEXT NOT NULL,
    session TEXT NOT NULL,
    owner TEXT NOT NULL,
    seat TEXT NOT NULL CHECK (seat IN ('observer', 'peer', 'moderator')),
    creator TEXT NOT NULL,
    recipient TEXT,
    once INTEGER NOT NULL CHECK (once IN (0, 1)),
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
    revoked INTEGER
) STRICT;
CREATE INDEX link_by_owner ON link (owner, number);
CREATE INDEX link_by_expiry ON link (expires);
