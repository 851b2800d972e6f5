-- What every version of a projection group holds besides its read models.

-- Where the rows stand: one row a partition, moved in the transaction of the rows themselves.
CREATE TABLE positions (
  partition BIGINT NOT NULL PRIMARY KEY,
  seq       BIGINT NOT NULL,  -- of the last frame folded, in its epoch
  chain     BIGINT NOT NULL,  -- hash chain up to it, as a signed number
  lsn       BIGINT NOT NULL,  -- of the last decision folded
  time_us   BIGINT NOT NULL,  -- of the last frame folded
  position  BLOB   NOT NULL   -- the whole position (streams/journal/position.h)
);

-- Which read models, in which form, these rows were folded by.
CREATE TABLE read_models (
  name        TEXT   NOT NULL PRIMARY KEY,
  fingerprint BIGINT NOT NULL
);
