-- Journeys: their versions, who is in them and where, what happened to everybody in them, and sums.
CREATE TABLE journeys (
  tenant         BIGINT NOT NULL,
  journey_id     BIGINT NOT NULL,
  name           TEXT   NOT NULL,
  version        BIGINT NOT NULL,  -- the newest: who enters is in it
  json           TEXT   NOT NULL,  -- its definition
  paused         BIGINT NOT NULL,  -- 1 = it is
  created_at_us  BIGINT NOT NULL,
  defined_at_us  BIGINT NOT NULL,  -- this version
  archived_at_us BIGINT,           -- null = it is in use
  PRIMARY KEY (tenant, journey_id)
) WITHOUT ROWID;

CREATE TABLE journey_versions (
  tenant        BIGINT NOT NULL,
  journey_id    BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  json          TEXT   NOT NULL,
  defined_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, journey_id, version)
) WITHOUT ROWID;

-- A contact in a journey, once for each key of a journey that is keyed: how it stands.
CREATE TABLE journey_instances (
  tenant        BIGINT NOT NULL,
  contact_id    BIGINT NOT NULL,
  journey_id    BIGINT NOT NULL,
  instance_key  BLOB   NOT NULL,  -- empty: the journey is not keyed
  version       BIGINT NOT NULL,
  step          TEXT   NOT NULL,  -- where it is; of one that is over, where it was
  status        TEXT   NOT NULL,  -- ready, waiting, held, over
  why           TEXT   NOT NULL,  -- it is as it is
  entered_at_us BIGINT NOT NULL,
  entered_why   TEXT   NOT NULL,
  event_id      TEXT   NOT NULL,  -- of the event that it entered by
  since_us      BIGINT NOT NULL,
  due_at_us     BIGINT,           -- null = nothing is waited for
  zone          TEXT   NOT NULL,  -- of a wait by local time: whose clock it is, IANA; else empty
  zone_missing  BIGINT NOT NULL,  -- 1 = that is the tenant's: the contact has none, or one that nobody knows
  PRIMARY KEY (tenant, contact_id, journey_id, instance_key)
) WITHOUT ROWID;

CREATE INDEX journey_people ON journey_instances (tenant, journey_id, contact_id, instance_key) WHERE status <> 'over';

-- Everything that happened to everybody, in order.
CREATE TABLE journey_moves (
  tenant       BIGINT NOT NULL,
  contact_id   BIGINT NOT NULL,
  sequence     BIGINT NOT NULL,
  place        BIGINT NOT NULL,   -- in one event
  journey_id   BIGINT NOT NULL,
  instance_key BLOB   NOT NULL,
  version      BIGINT NOT NULL,
  at_us        BIGINT NOT NULL,
  kind         TEXT   NOT NULL,   -- entered, passed, sent, updated, skipped, waits, deferred, held, released, remapped, left
  step         TEXT   NOT NULL,   -- that was done, or where it was
  next_step    TEXT   NOT NULL,
  why          TEXT   NOT NULL,
  due_at_us    BIGINT,
  message_id   TEXT,
  event_id     TEXT   NOT NULL,
  zone         TEXT   NOT NULL,   -- of a wait by local time
  zone_missing BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_id, sequence, place)
) WITHOUT ROWID;

-- Sums of a step, over all versions; of all partitions together. step '' = the end.
CREATE TABLE journey_steps (
  tenant     BIGINT NOT NULL,
  journey_id BIGINT NOT NULL,
  step       TEXT   NOT NULL,
  entered    BIGINT NOT NULL,     -- how often somebody came to it
  here       BIGINT NOT NULL,     -- are at it now
  sent       BIGINT NOT NULL,
  skipped    BIGINT NOT NULL,
  updated    BIGINT NOT NULL,     -- contacts that it changed
  deferred   BIGINT NOT NULL,     -- sends that quiet hours put off
  without_zone BIGINT NOT NULL,   -- waits by a contact's own clock that went by the tenant's
  PRIMARY KEY (tenant, journey_id, step)
) WITHOUT ROWID;

CREATE TABLE journey_ends (
  tenant     BIGINT NOT NULL,
  journey_id BIGINT NOT NULL,
  step       TEXT   NOT NULL,     -- at which; '' = behind the last one
  reason     TEXT   NOT NULL,
  instances  BIGINT NOT NULL,
  PRIMARY KEY (tenant, journey_id, step, reason)
) WITHOUT ROWID;
