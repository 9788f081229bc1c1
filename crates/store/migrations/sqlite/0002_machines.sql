-- An invitation of a machine may be for one name, gives labels, and counts once; `used_by` lets the one that used it ask again.
ALTER TABLE join_token ADD COLUMN name TEXT;
ALTER TABLE join_token ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE join_token ADD COLUMN used_by TEXT;

-- `granted` are labels that the admin gave; `tls_key` is the pin of the one key that speaks for the part.
ALTER TABLE part ADD COLUMN granted TEXT NOT NULL DEFAULT '{}';
ALTER TABLE part ADD COLUMN tls_key TEXT;
