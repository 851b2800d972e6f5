-- A/B tests of campaigns: how they were set up, how far they are, and what they came to.
-- For a report by numbers of today join campaign_totals and campaign_signals by arm; what stands here is as it was at the decision.
CREATE TABLE campaign_tests (
  tenant         BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  sample_percent BIGINT NOT NULL,  -- of the audience, that gets the arms by their weights; the rest gets the winner
  metric         TEXT   NOT NULL,  -- what decides: clicks, opens, conversions; of persons, each counted once
  wait_minutes   BIGINT NOT NULL,  -- from when everybody in the sample was tried once
  enough         BIGINT NOT NULL,  -- decided before that once so many did it; 0 = never
  seed           BIGINT NOT NULL,  -- contacts are given arms by contact and seed alone
  decides_at_us  BIGINT,           -- when the wait is over; null = the sample is not complete
  closed_at_us   BIGINT,           -- what is done later does not count
  closed_why     TEXT,             -- wait, enough; null = it is open, or was decided by hand
  decided_at_us  BIGINT,           -- null = not decided
  winner         BIGINT,           -- the arm
  winner_name    TEXT,
  reason         TEXT,             -- highest_rate, tie (the first of those that tie), no_data (the first arm), by_hand
  by_hand        BIGINT,           -- 1 = somebody has chosen
  decided_by     TEXT,             -- who, if by hand
  evidence       BIGINT,           -- 1 = the winner's rate is above each other one, and the 95 % interval of each difference says so
  PRIMARY KEY (tenant, campaign_id)
) WITHOUT ROWID;

-- The decision, arm by arm. *_ppm are millionths.
CREATE TABLE campaign_test_arms (
  tenant                BIGINT NOT NULL,
  campaign_id           BIGINT NOT NULL,
  arm                   BIGINT NOT NULL,
  name                  TEXT   NOT NULL,
  delivered             BIGINT NOT NULL,  -- mails of the sample
  did                   BIGINT NOT NULL,  -- persons of them who did what decides
  rate_ppm              BIGINT NOT NULL,
  low_ppm               BIGINT NOT NULL,  -- the true rate is between low and high in 95 of 100 cases (Wilson)
  high_ppm              BIGINT NOT NULL,
  best_ppm              BIGINT NOT NULL,  -- probability that this arm has the highest true rate (uniform priors)
  sample_propensity_ppm BIGINT NOT NULL,  -- probability with which a contact of the sample was given this arm
  rest_propensity_ppm   BIGINT NOT NULL,  -- and one of the rest: 1,000,000 of the winner, 0 of the others
  PRIMARY KEY (tenant, campaign_id, arm)
) WITHOUT ROWID;
