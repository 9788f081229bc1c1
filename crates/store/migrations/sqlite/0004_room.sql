-- Holds a row only while room is made in the database's own files.
CREATE TABLE room (zeros BLOB NOT NULL);
