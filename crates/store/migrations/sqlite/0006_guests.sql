-- Whether a link lets in people who have no account, too.
ALTER TABLE link ADD COLUMN guests INTEGER NOT NULL DEFAULT 0 CHECK (guests IN (0, 1));
