-- Locks, and what became of accounts while certificates of theirs may be in use. Both travel with the roles, whose counter counts their changes.
INSERT INTO counter (name, value) VALUES ('lock', 0);

CREATE TABLE lock (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'login', 'node', 'role', 'session')),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    creator TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
) STRICT;

-- `account` is NULL of one that was removed; `void` is the last serial number whose certificates are another account's.
CREATE TABLE correction (
    user_name TEXT PRIMARY KEY,
    account TEXT,
    void INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

-- Whoever may administer users may give themselves every right; so they get the new one.
UPDATE role SET spec = json_insert(spec, '$.allow.admin[#]', 'locks')
WHERE EXISTS (SELECT 1 FROM json_each(role.spec, '$.allow.admin') WHERE value = 'users')
    AND NOT EXISTS (SELECT 1 FROM json_each(role.spec, '$.allow.admin') WHERE value = 'locks');
UPDATE counter SET value = value + 1 WHERE name = 'roles' AND EXISTS (SELECT 1 FROM role);
