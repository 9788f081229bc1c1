-- Of which session a recording is the aftermath, if it is one.
ALTER TABLE recording ADD COLUMN aftermath_of TEXT;
CREATE INDEX recording_by_aftermath ON recording (aftermath_of, started, id) WHERE aftermath_of IS NOT NULL;
