-- What contacts did. Addresses, user agents and properties stay sealed in the journal.
CREATE TABLE engagements (
  tenant         BIGINT NOT NULL,
  contact_id     BIGINT NOT NULL,
  sequence       BIGINT NOT NULL,  -- lsn * 256 + place in the decision
  kind           BIGINT NOT NULL,  -- engagement_kinds
  campaign_id    BIGINT,           -- null = of no campaign in particular
  link           BIGINT,           -- of a click
  name           TEXT,             -- of a contact event; the method of an unsubscribe
  event_id       TEXT,             -- the producer's
  revenue_cents  BIGINT,
  currency       TEXT,
  agent          BIGINT,           -- engagement_agents; of an open or click
  occurred_at_us BIGINT NOT NULL,  -- as the producer says; else when it was recorded
  recorded_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

CREATE TABLE engagement_kinds (kind BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO engagement_kinds (kind, name) VALUES (1, 'open'), (2, 'click'), (3, 'unsubscribe'), (4, 'event');

-- What kind of program it was, by what it says of itself (AgentClass).
CREATE TABLE engagement_agents (agent BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO engagement_agents (agent, name)
VALUES (0, 'unknown'), (1, 'desktop'), (2, 'mobile'), (3, 'mail'), (4, 'image_proxy'), (5, 'machine'), (6, 'scanner');

CREATE TABLE engagement_totals (
  tenant      BIGINT NOT NULL,
  kind        BIGINT NOT NULL,
  name        TEXT   NOT NULL,  -- of a contact event; else empty
  engagements BIGINT NOT NULL,
  PRIMARY KEY (tenant, kind, name)
) WITHOUT ROWID;
