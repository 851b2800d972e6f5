-- What a campaign came to, arm by arm.

-- Who was given which arm, holdouts included: what attribution counts by.
CREATE TABLE assignments (
  tenant         BIGINT NOT NULL,
  contact_id     BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  arm            BIGINT NOT NULL,
  assigned_at_us BIGINT NOT NULL,
  opens          BIGINT NOT NULL,
  clicks         BIGINT NOT NULL,
  visited        BIGINT NOT NULL,  -- 1 = its visit is counted
  PRIMARY KEY (tenant, contact_id, campaign_id)
) WITHOUT ROWID;

CREATE TABLE campaign_totals (
  tenant        BIGINT NOT NULL,
  campaign_id   BIGINT NOT NULL,
  arm           BIGINT NOT NULL,  -- -1 = skipped before an arm was chosen
  recipients    BIGINT NOT NULL,  -- assigned to the arm
  delivered     BIGINT NOT NULL,
  bounced       BIGINT NOT NULL,  -- refused by the receiver's server
  unknown       BIGINT NOT NULL,  -- not resolved
  expired       BIGINT NOT NULL,
  skipped       BIGINT NOT NULL,  -- holdout apart
  opens         BIGINT NOT NULL,
  opened        BIGINT NOT NULL,  -- contacts
  clicks        BIGINT NOT NULL,
  clicked       BIGINT NOT NULL,  -- contacts
  unsubscribes  BIGINT NOT NULL,
  visits        BIGINT NOT NULL,  -- contacts
  conversions   BIGINT NOT NULL,
  revenue_cents BIGINT NOT NULL,
  bounced_later BIGINT NOT NULL,  -- notifications after they were handed over; also counted in delivered, or unknown
  complaints    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, arm)
) WITHOUT ROWID;

-- Why there was no mail, holdout included.
CREATE TABLE campaign_skips (
  tenant      BIGINT NOT NULL,
  campaign_id BIGINT NOT NULL,
  arm         BIGINT NOT NULL,  -- -1 = none was chosen
  reason      BIGINT NOT NULL,  -- skip_reasons
  contacts    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, arm, reason)
) WITHOUT ROWID;
