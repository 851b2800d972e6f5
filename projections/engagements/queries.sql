-- The latest first; the next page begins before the sequence of the last row.
-- name: engagements_of_contact
SELECT e.sequence, k.name AS kind, e.campaign_id, e.link, a.name AS agent, r.name AS read_by, s.rule, e.name, e.event_id, e.revenue_cents, e.currency, e.occurred_at_us,
       e.recorded_at_us
FROM engagements e JOIN engagement_kinds k ON k.kind = e.kind LEFT JOIN engagement_agents a ON a.agent = e.agent
     LEFT JOIN signals s ON s.tenant = e.tenant AND s.contact_id = e.contact_id AND s.sequence = e.sequence
     LEFT JOIN signal_readers r ON r.read_by = s.read_by
WHERE e.tenant = :tenant AND e.contact_id = :contact_id AND e.sequence < :before ORDER BY e.sequence DESC LIMIT :limit;

-- :type: open, click, unsubscribe, or the name of a contact event; '' = all.
-- name: engagement_count
SELECT coalesce(sum(t.engagements), 0) AS count
FROM engagement_totals t JOIN engagement_kinds k ON k.kind = t.kind
WHERE t.tenant = :tenant AND (:type = '' OR CASE WHEN t.kind = 4 THEN t.name ELSE k.name END = :type);

-- What a person did since then, in order: machines, and pictures that a proxy fetched at a click, do not count.
-- name: happened_to_contact
SELECT k.name AS kind, e.campaign_id, e.name, e.event_id, e.recorded_at_us
FROM engagements e JOIN engagement_kinds k ON k.kind = e.kind
WHERE e.tenant = :tenant AND e.contact_id = :contact_id AND e.recorded_at_us >= :since_us AND e.kind IN (1, 2, 4)
  AND (e.agent IS NULL OR e.agent NOT IN (5, 6)) AND NOT (e.kind = 2 AND coalesce(e.agent, 0) = 4)
ORDER BY e.sequence LIMIT 2000;

-- fold: add_engagements
INSERT INTO engagement_totals (tenant, kind, name, engagements) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, kind, name) DO UPDATE SET engagements = engagement_totals.engagements + ?4;

-- fold: record
INSERT INTO engagements (tenant, contact_id, sequence, kind, campaign_id, link, name, event_id, revenue_cents, currency, agent, occurred_at_us,
                         recorded_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13);
