-- name: campaign_test
SELECT sample_percent, metric, wait_minutes, enough, seed, decides_at_us, closed_at_us, closed_why, decided_at_us, winner, winner_name, reason,
       by_hand, decided_by, evidence
FROM campaign_tests WHERE tenant = :tenant AND campaign_id = :campaign_id;

-- name: campaign_test_arms
SELECT arm, name, delivered, did, rate_ppm, low_ppm, high_ppm, best_ppm, sample_propensity_ppm, rest_propensity_ppm
FROM campaign_test_arms WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY arm;

-- fold: insert_test
INSERT INTO campaign_tests (tenant, campaign_id, sample_percent, metric, wait_minutes, enough, seed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- fold: delete_test
DELETE FROM campaign_tests WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: wait_for_test
UPDATE campaign_tests SET decides_at_us = ?3 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: close_test
UPDATE campaign_tests SET closed_at_us = ?3, closed_why = ?4 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: decide_test
UPDATE campaign_tests SET decided_at_us = ?3, winner = ?4, winner_name = ?5, reason = ?6, by_hand = ?7, decided_by = ?8, evidence = ?9
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: insert_test_arm
INSERT INTO campaign_test_arms (tenant, campaign_id, arm, name, delivered, did, rate_ppm, low_ppm, high_ppm, best_ppm, sample_propensity_ppm,
                                rest_propensity_ppm)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);
