-- What a campaign came to, arm by arm.

-- Who was given which arm, holdouts included: what attribution counts by.
CREATE TABLE assignments (
  tenant         BIGINT NOT NULL,
  contact_id     BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  arm            BIGINT NOT NULL,
  assigned_at_us BIGINT NOT NULL,
  opens          BIGINT NOT NULL,  -- machines' too
  clicks         BIGINT NOT NULL,  -- machines' too
  visited        BIGINT NOT NULL,  -- 1 = its visit by an event is counted
  handed_over_at_us BIGINT,        -- when the receiver took the mail, or may have
  locale         TEXT   NOT NULL,  -- as in sends; '' also before the mail was tried
  PRIMARY KEY (tenant, contact_id, campaign_id)
) WITHOUT ROWID;

CREATE TABLE campaign_totals (
  tenant        BIGINT NOT NULL,
  campaign_id   BIGINT NOT NULL,
  arm           BIGINT NOT NULL,  -- -1 = skipped before an arm was chosen, -2 = in the tenant's holdout, -3 = waits for the winner of a test
  recipients    BIGINT NOT NULL,  -- assigned to the arm
  delivered     BIGINT NOT NULL,
  bounced       BIGINT NOT NULL,  -- refused by the receiver's server
  unknown       BIGINT NOT NULL,  -- not resolved
  expired       BIGINT NOT NULL,
  skipped       BIGINT NOT NULL,  -- holdout apart
  opens         BIGINT NOT NULL,  -- whoever opened: campaign_signals has persons and machines apart
  opened        BIGINT NOT NULL,  -- contacts, likewise
  clicks        BIGINT NOT NULL,  -- whoever clicked: campaign_signals has persons and machines apart
  clicked       BIGINT NOT NULL,  -- contacts, likewise
  unsubscribes  BIGINT NOT NULL,
  visits        BIGINT NOT NULL,  -- contacts, by events; those by clicks stand in campaign_signals
  conversions   BIGINT NOT NULL,
  revenue_cents BIGINT NOT NULL,
  bounced_later BIGINT NOT NULL,  -- notifications after they were handed over; also counted in delivered, or unknown
  complaints    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, arm)
) WITHOUT ROWID;

-- The same by the language of the variant that the mail was made of, for each arm. Sums over languages are those of campaign_totals, and
-- of campaign_signals where opens and clicks are meant.
CREATE TABLE campaign_locales (
  tenant        BIGINT NOT NULL,
  campaign_id   BIGINT NOT NULL,
  arm           BIGINT NOT NULL,  -- as in campaign_totals
  locale        TEXT   NOT NULL,  -- BCP 47; '' = the template says none, or the mail was not tried
  delivered     BIGINT NOT NULL,
  bounced       BIGINT NOT NULL,
  unknown       BIGINT NOT NULL,
  expired       BIGINT NOT NULL,
  opened        BIGINT NOT NULL,  -- contacts with an open by a person
  clicked       BIGINT NOT NULL,  -- contacts with a click by a person
  unsubscribes  BIGINT NOT NULL,
  bounced_later BIGINT NOT NULL,
  complaints    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, arm, locale)
) WITHOUT ROWID;

-- Why there was no mail, holdout included.
CREATE TABLE campaign_skips (
  tenant      BIGINT NOT NULL,
  campaign_id BIGINT NOT NULL,
  arm         BIGINT NOT NULL,  -- -1 = none was chosen, -2 = in the tenant's holdout
  reason      BIGINT NOT NULL,  -- skip_reasons
  contacts    BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, arm, reason)
) WITHOUT ROWID;

-- Whoever did what a conversion is, once, by the arm of the assignment.
CREATE TABLE campaign_converted (
  tenant      BIGINT NOT NULL,
  campaign_id BIGINT NOT NULL,
  contact_id  BIGINT NOT NULL,
  arm         BIGINT NOT NULL,  -- -2 = in the tenant's holdout
  PRIMARY KEY (tenant, campaign_id, contact_id)
) WITHOUT ROWID;

-- Opens and clicks by who is behind them, as the rules of signal_filter judge it.
CREATE TABLE campaign_signals (
  tenant         BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  arm            BIGINT NOT NULL,  -- -1 = of contacts without an arm
  opens          BIGINT NOT NULL,  -- by persons
  machine_opens  BIGINT NOT NULL,
  unknown_opens  BIGINT NOT NULL,  -- nobody can say, as of pictures that a mail provider fetches
  opened         BIGINT NOT NULL,  -- contacts with an open by a person
  clicks         BIGINT NOT NULL,  -- by persons
  machine_clicks BIGINT NOT NULL,
  unknown_clicks BIGINT NOT NULL,
  clicked        BIGINT NOT NULL,  -- contacts with a click by a person
  visits         BIGINT NOT NULL,  -- contacts with such a click and no visit by an event
  PRIMARY KEY (tenant, campaign_id, arm)
) WITHOUT ROWID;

-- Each open and click, and what it is taken for.
CREATE TABLE signals (
  tenant      BIGINT NOT NULL,
  contact_id  BIGINT NOT NULL,
  sequence    BIGINT NOT NULL,  -- as in engagements
  campaign_id BIGINT NOT NULL,
  kind        BIGINT NOT NULL,  -- engagement_kinds: 1 open, 2 click
  read_by     BIGINT NOT NULL,  -- signal_readers
  rule        TEXT   NOT NULL,  -- that says so: "browser", "bot", "at_once", "burst", "no_hand_over", "class", …
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

-- What is remembered of a contact's signals of a campaign, to judge the next one.
CREATE TABLE reader_states (
  tenant         BIGINT NOT NULL,
  contact_id     BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  opens          BIGINT NOT NULL,  -- by a person
  clicks         BIGINT NOT NULL,  -- by a person
  visited        BIGINT NOT NULL,  -- 1 = its visit by a click is counted; 2 = by one of the burst
  burst_at_us    BIGINT NOT NULL,  -- when the latest burst of clicks began
  burst_links    BIGINT NOT NULL,  -- a bit a link: index mod 64
  burst_sequence BIGINT NOT NULL,  -- of its first click
  burst_clicks   BIGINT NOT NULL,  -- of the burst, counted as a person's
  burst_unknown  BIGINT NOT NULL,  -- of the burst, counted as nobody can say whose
  PRIMARY KEY (tenant, contact_id, campaign_id)
) WITHOUT ROWID;

CREATE TABLE signal_readers (read_by BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO signal_readers (read_by, name) VALUES (1, 'human'), (2, 'machine'), (3, 'unknown');

-- The version of the rules that judged all signals here (signal_rules.h).
CREATE TABLE signal_filter (version BIGINT NOT NULL PRIMARY KEY);
INSERT INTO signal_filter (version) VALUES (3);
