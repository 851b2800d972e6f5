-- A row for each arm of the definition, whether anybody is in it or not.
-- name: campaign_report
SELECT a.arm, a.name, a.holdout, coalesce(t.recipients, 0) AS recipients, coalesce(t.delivered, 0) AS delivered, coalesce(t.bounced, 0) AS bounced,
       coalesce(t.unknown, 0) AS unknown, coalesce(t.expired, 0) AS expired, coalesce(t.skipped, 0) AS skipped, coalesce(t.opens, 0) AS opens,
       coalesce(t.opened, 0) AS opened, coalesce(t.clicks, 0) AS clicks, coalesce(t.clicked, 0) AS clicked,
       coalesce(t.unsubscribes, 0) AS unsubscribes, coalesce(t.visits, 0) AS visits, coalesce(t.conversions, 0) AS conversions,
       coalesce(t.revenue_cents, 0) AS revenue_cents, coalesce(t.bounced_later, 0) AS bounced_later, coalesce(t.complaints, 0) AS complaints
FROM campaign_arms a LEFT JOIN campaign_totals t ON t.tenant = a.tenant AND t.campaign_id = a.campaign_id AND t.arm = a.arm
WHERE a.tenant = :tenant AND a.campaign_id = :campaign_id ORDER BY a.arm;

-- Over all arms, and those without one.
-- name: campaign_sums
SELECT coalesce(sum(recipients), 0) AS recipients, coalesce(sum(delivered), 0) AS delivered, coalesce(sum(bounced), 0) AS bounced,
       coalesce(sum(unknown), 0) AS unknown, coalesce(sum(expired), 0) AS expired, coalesce(sum(skipped), 0) AS skipped,
       coalesce(sum(opens), 0) AS opens, coalesce(sum(opened), 0) AS opened, coalesce(sum(clicks), 0) AS clicks,
       coalesce(sum(clicked), 0) AS clicked, coalesce(sum(unsubscribes), 0) AS unsubscribes, coalesce(sum(visits), 0) AS visits,
       coalesce(sum(conversions), 0) AS conversions, coalesce(sum(revenue_cents), 0) AS revenue_cents,
       coalesce(sum(bounced_later), 0) AS bounced_later, coalesce(sum(complaints), 0) AS complaints
FROM campaign_totals WHERE tenant = :tenant AND campaign_id = :campaign_id;

-- How the audience came out. audience = planned + holdout; planned = pending + delivered + skipped + bounced + expired + unknown.
-- name: campaign_counts
SELECT coalesce(sum(t.recipients + CASE WHEN t.arm < 0 THEN t.skipped ELSE 0 END), 0) AS audience,
       coalesce(sum(CASE WHEN t.arm < 0 THEN t.skipped WHEN a.holdout = 1 THEN 0 ELSE t.recipients END), 0) AS planned,
       coalesce(sum(CASE WHEN t.arm < 0 OR a.holdout = 1 THEN 0
                         ELSE t.recipients - t.delivered - t.skipped - t.bounced - t.expired - t.unknown END), 0) AS pending,
       coalesce(sum(t.delivered), 0) AS delivered, coalesce(sum(t.skipped), 0) AS skipped, coalesce(sum(t.bounced), 0) AS bounced,
       coalesce(sum(t.expired), 0) AS expired, coalesce(sum(t.unknown), 0) AS unknown,
       coalesce(sum(CASE WHEN a.holdout = 1 THEN t.recipients ELSE 0 END), 0) AS holdout
FROM campaign_totals t LEFT JOIN campaign_arms a ON a.tenant = t.tenant AND a.campaign_id = t.campaign_id AND a.arm = t.arm
WHERE t.tenant = :tenant AND t.campaign_id = :campaign_id;

-- name: campaign_skips
SELECT r.name AS reason, sum(s.contacts) AS contacts
FROM campaign_skips s JOIN skip_reasons r ON r.reason = s.reason
WHERE s.tenant = :tenant AND s.campaign_id = :campaign_id GROUP BY r.reason, r.name ORDER BY r.reason;

-- fold: assign
INSERT INTO assignments (tenant, contact_id, campaign_id, arm, assigned_at_us, opens, clicks, visited) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0);

-- fold: arm_of
SELECT arm FROM assignments WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3;

-- fold: assignments_of
SELECT campaign_id, arm, assigned_at_us, visited FROM assignments WHERE tenant = ?1 AND contact_id = ?2;

-- fold: open
UPDATE assignments SET opens = opens + 1 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3 RETURNING arm, opens;

-- fold: click
UPDATE assignments SET clicks = clicks + 1 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3
RETURNING campaign_id, arm, assigned_at_us, visited, clicks;

-- fold: visit
UPDATE assignments SET visited = 1 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3;

-- fold: add_totals
INSERT INTO campaign_totals (tenant, campaign_id, arm, recipients, delivered, bounced, unknown, expired, skipped, opens, opened, clicks, clicked,
                             unsubscribes, visits, conversions, revenue_cents, bounced_later, complaints)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
ON CONFLICT (tenant, campaign_id, arm) DO UPDATE SET
  recipients = campaign_totals.recipients + ?4, delivered = campaign_totals.delivered + ?5, bounced = campaign_totals.bounced + ?6,
  unknown = campaign_totals.unknown + ?7, expired = campaign_totals.expired + ?8, skipped = campaign_totals.skipped + ?9,
  opens = campaign_totals.opens + ?10, opened = campaign_totals.opened + ?11, clicks = campaign_totals.clicks + ?12,
  clicked = campaign_totals.clicked + ?13, unsubscribes = campaign_totals.unsubscribes + ?14, visits = campaign_totals.visits + ?15,
  conversions = campaign_totals.conversions + ?16, revenue_cents = campaign_totals.revenue_cents + ?17,
  bounced_later = campaign_totals.bounced_later + ?18, complaints = campaign_totals.complaints + ?19;

-- fold: add_skips
INSERT INTO campaign_skips (tenant, campaign_id, arm, reason, contacts) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, campaign_id, arm, reason) DO UPDATE SET contacts = campaign_skips.contacts + ?5;
