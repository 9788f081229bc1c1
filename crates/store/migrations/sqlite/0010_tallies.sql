-- What was counted in a recording as it arrived. Those that are there already were not counted: no value is not nought.
ALTER TABLE recording ADD COLUMN tally TEXT;
