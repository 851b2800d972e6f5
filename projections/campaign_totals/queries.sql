-- A row for each arm of the definition, whether anybody is in it or not. Opens, clicks and visits are those of persons.
-- name: campaign_report
SELECT a.arm, a.name, a.holdout, CASE WHEN a.holdout = 1 THEN NULL WHEN a.template_id = 0 THEN c.template_id ELSE a.template_id END AS template_id,
       CASE WHEN a.holdout = 1 THEN NULL WHEN a.template_id = 0 THEN c.template_version ELSE a.template_version END AS template_version,
       coalesce(t.recipients, 0) AS recipients, coalesce(t.delivered, 0) AS delivered, coalesce(t.bounced, 0) AS bounced,
       coalesce(t.unknown, 0) AS unknown, coalesce(t.expired, 0) AS expired, coalesce(t.skipped, 0) AS skipped, coalesce(s.opens, 0) AS opens,
       coalesce(s.machine_opens, 0) AS machine_opens, coalesce(s.unknown_opens, 0) AS unknown_opens, coalesce(s.opened, 0) AS opened,
       coalesce(s.clicks, 0) AS clicks, coalesce(s.machine_clicks, 0) AS machine_clicks, coalesce(s.unknown_clicks, 0) AS unknown_clicks,
       coalesce(s.clicked, 0) AS clicked, coalesce(t.unsubscribes, 0) AS unsubscribes,
       coalesce(t.visits, 0) + coalesce(s.visits, 0) AS visits, coalesce(t.conversions, 0) AS conversions,
       coalesce(t.revenue_cents, 0) AS revenue_cents, coalesce(t.bounced_later, 0) AS bounced_later, coalesce(t.complaints, 0) AS complaints
FROM campaign_arms a JOIN campaigns c ON c.tenant = a.tenant AND c.campaign_id = a.campaign_id
     LEFT JOIN campaign_totals t ON t.tenant = a.tenant AND t.campaign_id = a.campaign_id AND t.arm = a.arm
     LEFT JOIN campaign_signals s ON s.tenant = a.tenant AND s.campaign_id = a.campaign_id AND s.arm = a.arm
WHERE a.tenant = :tenant AND a.campaign_id = :campaign_id ORDER BY a.arm;

-- Over all arms, and those without one. Opens and clicks are those of persons; machines' and unknown ones stand beside them.
-- name: campaign_sums
SELECT coalesce(sum(t.recipients), 0) AS recipients, coalesce(sum(t.delivered), 0) AS delivered, coalesce(sum(t.bounced), 0) AS bounced,
       coalesce(sum(t.unknown), 0) AS unknown, coalesce(sum(t.expired), 0) AS expired, coalesce(sum(t.skipped), 0) AS skipped,
       coalesce(sum(s.opens), 0) AS opens, coalesce(sum(s.machine_opens), 0) AS machine_opens, coalesce(sum(s.unknown_opens), 0) AS unknown_opens,
       coalesce(sum(s.opened), 0) AS opened, coalesce(sum(s.clicks), 0) AS clicks, coalesce(sum(s.machine_clicks), 0) AS machine_clicks,
       coalesce(sum(s.unknown_clicks), 0) AS unknown_clicks, coalesce(sum(s.clicked), 0) AS clicked,
       coalesce(sum(t.unsubscribes), 0) AS unsubscribes, coalesce(sum(t.visits), 0) + coalesce(sum(s.visits), 0) AS visits,
       coalesce(sum(t.conversions), 0) AS conversions, coalesce(sum(t.revenue_cents), 0) AS revenue_cents,
       coalesce(sum(t.bounced_later), 0) AS bounced_later, coalesce(sum(t.complaints), 0) AS complaints
FROM campaign_totals t LEFT JOIN campaign_signals s ON s.tenant = t.tenant AND s.campaign_id = t.campaign_id AND s.arm = t.arm
WHERE t.tenant = :tenant AND t.campaign_id = :campaign_id;

-- By language: sent are those whose mail was tried to an end. The rows add up to campaign_sums.
-- name: campaign_locales
SELECT locale, sum(delivered + bounced + unknown + expired) AS sent, sum(delivered) AS delivered, sum(bounced) AS bounced, sum(unknown) AS unknown,
       sum(expired) AS expired, sum(opened) AS opened, sum(clicked) AS clicked, sum(unsubscribes) AS unsubscribes,
       sum(bounced_later) AS bounced_later, sum(complaints) AS complaints
FROM campaign_locales WHERE tenant = :tenant AND campaign_id = :campaign_id GROUP BY locale ORDER BY locale;

-- Which version of the rules judged opens and clicks.
-- name: signal_filter
SELECT version FROM signal_filter;

-- How the audience came out. audience = planned + holdout; planned = pending + delivered + skipped + bounced + expired + unknown.
-- name: campaign_counts
SELECT coalesce(sum(t.recipients + CASE WHEN t.arm < 0 THEN t.skipped ELSE 0 END), 0) AS audience,
       coalesce(sum(CASE WHEN t.arm = -3 THEN t.recipients WHEN t.arm < 0 THEN t.skipped WHEN a.holdout = 1 THEN 0 ELSE t.recipients END), 0) AS planned,
       coalesce(sum(CASE WHEN t.arm = -3 THEN t.recipients WHEN t.arm < 0 OR a.holdout = 1 THEN 0
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

-- What the tenant's holdout and those who were to get the mail did: persons.
-- name: campaign_uplift
SELECT (SELECT coalesce(sum(t.skipped), 0) FROM campaign_totals t
        WHERE t.tenant = :tenant AND t.campaign_id = :campaign_id AND t.arm = -2) AS held_out,
       (SELECT count(*) FROM campaign_converted c WHERE c.tenant = :tenant AND c.campaign_id = :campaign_id AND c.arm = -2) AS held_out_converted,
       (SELECT coalesce(sum(t.recipients), 0) FROM campaign_totals t
        JOIN campaign_arms a ON a.tenant = t.tenant AND a.campaign_id = t.campaign_id AND a.arm = t.arm AND a.holdout = 0
        WHERE t.tenant = :tenant AND t.campaign_id = :campaign_id) AS recipients,
       (SELECT count(*) FROM campaign_converted c
        JOIN campaign_arms a ON a.tenant = c.tenant AND a.campaign_id = c.campaign_id AND a.arm = c.arm AND a.holdout = 0
        WHERE c.tenant = :tenant AND c.campaign_id = :campaign_id) AS recipients_converted;

-- fold: convert
INSERT INTO campaign_converted (tenant, campaign_id, contact_id, arm) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, campaign_id, contact_id) DO NOTHING;

-- fold: assign
INSERT INTO assignments (tenant, contact_id, campaign_id, arm, assigned_at_us, opens, clicks, visited, locale)
VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, '');

-- fold: read_in
UPDATE assignments SET locale = ?4 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3;

-- fold: arm_of
SELECT arm, locale FROM assignments WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3;

-- fold: assignments_of
SELECT campaign_id, arm, assigned_at_us, visited FROM assignments WHERE tenant = ?1 AND contact_id = ?2;

-- fold: hand_over
UPDATE assignments SET handed_over_at_us = ?4 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3 RETURNING arm, locale;

-- What is remembered of a recipient; reader_states are null before the first click or open of a person.
-- fold: recipient
SELECT a.arm, a.assigned_at_us, a.visited, a.opens, a.clicks, a.handed_over_at_us, r.opens AS reader_opens, r.clicks AS reader_clicks,
       r.visited AS reader_visited, r.burst_at_us, r.burst_links, r.burst_sequence, r.burst_clicks, r.burst_unknown, a.locale
FROM assignments a LEFT JOIN reader_states r ON r.tenant = a.tenant AND r.contact_id = a.contact_id AND r.campaign_id = a.campaign_id
WHERE a.tenant = ?1 AND a.contact_id = ?2 AND a.campaign_id = ?3;

-- fold: signalled
UPDATE assignments SET opens = ?4, clicks = ?5 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3;

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

-- fold: add_locales
INSERT INTO campaign_locales (tenant, campaign_id, arm, locale, delivered, bounced, unknown, expired, opened, clicked, unsubscribes, bounced_later,
                              complaints)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
ON CONFLICT (tenant, campaign_id, arm, locale) DO UPDATE SET
  delivered = campaign_locales.delivered + ?5, bounced = campaign_locales.bounced + ?6, unknown = campaign_locales.unknown + ?7,
  expired = campaign_locales.expired + ?8, opened = campaign_locales.opened + ?9, clicked = campaign_locales.clicked + ?10,
  unsubscribes = campaign_locales.unsubscribes + ?11, bounced_later = campaign_locales.bounced_later + ?12,
  complaints = campaign_locales.complaints + ?13;

-- fold: add_skips
INSERT INTO campaign_skips (tenant, campaign_id, arm, reason, contacts) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, campaign_id, arm, reason) DO UPDATE SET contacts = campaign_skips.contacts + ?5;

-- fold: signal
INSERT INTO signals (tenant, contact_id, sequence, campaign_id, kind, read_by, rule) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- The clicks of a burst, from its first one on.
-- fold: rejudge
UPDATE signals SET read_by = ?5, rule = ?6
WHERE tenant = ?1 AND contact_id = ?2 AND sequence >= ?3 AND campaign_id = ?4 AND kind = 2 AND read_by <> ?5;

-- fold: reader
INSERT INTO reader_states (tenant, contact_id, campaign_id, opens, clicks, visited, burst_at_us, burst_links, burst_sequence, burst_clicks, burst_unknown)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (tenant, contact_id, campaign_id) DO UPDATE SET
  opens = ?4, clicks = ?5, visited = ?6, burst_at_us = ?7, burst_links = ?8, burst_sequence = ?9, burst_clicks = ?10, burst_unknown = ?11;

-- A visit by an event takes the place of one by a click.
-- fold: reader_visited
UPDATE reader_states SET visited = 0 WHERE tenant = ?1 AND contact_id = ?2 AND campaign_id = ?3 AND visited > 0 RETURNING contact_id;

-- fold: add_signals
INSERT INTO campaign_signals (tenant, campaign_id, arm, opens, machine_opens, unknown_opens, opened, clicks, machine_clicks, unknown_clicks, clicked,
                              visits)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (tenant, campaign_id, arm) DO UPDATE SET
  opens = campaign_signals.opens + ?4, machine_opens = campaign_signals.machine_opens + ?5, unknown_opens = campaign_signals.unknown_opens + ?6,
  opened = campaign_signals.opened + ?7, clicks = campaign_signals.clicks + ?8, machine_clicks = campaign_signals.machine_clicks + ?9,
  unknown_clicks = campaign_signals.unknown_clicks + ?10, clicked = campaign_signals.clicked + ?11, visits = campaign_signals.visits + ?12;
