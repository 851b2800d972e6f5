-- name: domains
SELECT name, return_path, added_at_us, checked_at_us, passed FROM domains
WHERE tenant = :tenant AND name > :after ORDER BY name LIMIT :limit;

-- name: domain
SELECT name, return_path, generation, added_at_us, checked_at_us, passed FROM domains WHERE tenant = :tenant AND name = :name;

-- name: domain_keys
SELECT selector, algorithm, dns_value, active_from_us, active_to_us FROM domain_keys
WHERE tenant = :tenant AND name = :name ORDER BY selector;

-- name: domain_check_lines
SELECT rule, ok, found, fix FROM domain_check_lines WHERE tenant = :tenant AND name = :name ORDER BY place;

-- fold: insert_domain
INSERT INTO domains (tenant, name, return_path, generation, added_at_us, passed) VALUES (?1, ?2, ?3, 1, ?4, 0);

-- fold: set_generation
UPDATE domains SET generation = ?3 WHERE tenant = ?1 AND name = ?2;

-- fold: set_checked
UPDATE domains SET checked_at_us = ?3, passed = ?4 WHERE tenant = ?1 AND name = ?2;

-- fold: delete_domain
DELETE FROM domains WHERE tenant = ?1 AND name = ?2;

-- fold: insert_key
INSERT INTO domain_keys (tenant, name, selector, algorithm, dns_value, active_from_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: forget_old_keys
DELETE FROM domain_keys WHERE tenant = ?1 AND name = ?2 AND active_to_us IS NOT NULL;

-- fold: retire_keys
UPDATE domain_keys SET active_to_us = ?3 WHERE tenant = ?1 AND name = ?2 AND active_from_us IS NOT NULL AND active_to_us IS NULL;

-- fold: activate_keys
UPDATE domain_keys SET active_from_us = ?3 WHERE tenant = ?1 AND name = ?2 AND active_from_us IS NULL;

-- fold: delete_keys
DELETE FROM domain_keys WHERE tenant = ?1 AND name = ?2;

-- fold: delete_lines
DELETE FROM domain_check_lines WHERE tenant = ?1 AND name = ?2;

-- fold: insert_line
INSERT INTO domain_check_lines (tenant, name, place, rule, ok, found, fix) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
