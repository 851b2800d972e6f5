-- The role of Maily's keyring in PostgreSQL, where several processes share it. Run once in its database, before the first start, as superuser
-- or its owner with CREATEROLE; again is harmless:
--   psql -d maily_keys -f deploy/postgres-keyring.sql
--
--   maily_keyring  owns the schema of that name and all in it; no other role has rights there
-- It cannot log in. The server's login is a member:
--   CREATE ROLE maily_keys LOGIN PASSWORD '…' IN ROLE maily_keyring;
DO $$
BEGIN
  IF to_regrole('maily_keyring') IS NULL THEN CREATE ROLE maily_keyring NOLOGIN; END IF;
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO maily_keyring', current_database());
END $$;
CREATE SCHEMA IF NOT EXISTS maily_keyring AUTHORIZATION maily_keyring;
COMMENT ON SCHEMA maily_keyring IS 'Wrapped keys of personal data: back it up apart, and its backups as short as erasure allows';
REVOKE ALL ON SCHEMA maily_keyring FROM PUBLIC;
