-- What people remark on moments of recordings, `at` in milliseconds since the recording began.
INSERT INTO counter (name, value) VALUES ('comment', 0);

-- No reference to the author: what somebody said stays when they are gone.
CREATE TABLE comment (
    number INTEGER PRIMARY KEY,
    recording TEXT NOT NULL,
    at INTEGER NOT NULL CHECK (at >= 0),
    author TEXT NOT NULL,
    made INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX comment_by_recording ON comment (recording, at);
