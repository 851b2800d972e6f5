-- The roles of Maily's read models in PostgreSQL. Run once in its database, as superuser or its owner with CREATEROLE; again is harmless:
--   psql -d maily -f deploy/postgres-roles.sql
--
--   maily_owner    owns the schemas of the read models and the views of `analytics`
--   maily_writer   changes rows, no tables
--   maily_analyst  reads the views of schema `analytics`: of the tenants that maily.analysts grants it, nothing personal
-- None of them can log in. The server's login is a member of the first two, an analyst's of the third:
--   CREATE ROLE maily LOGIN PASSWORD '…' IN ROLE maily_owner, maily_writer;
--   CREATE ROLE ann LOGIN PASSWORD '…' IN ROLE maily_analyst;
--   ALTER ROLE ann SET statement_timeout = '60s';  ALTER ROLE ann SET default_transaction_read_only = on;
--   INSERT INTO maily.analysts (login, tenant) VALUES ('ann', 1);
DO $$
BEGIN
  IF to_regrole('maily_owner') IS NULL THEN CREATE ROLE maily_owner NOLOGIN; END IF;
  IF to_regrole('maily_writer') IS NULL THEN CREATE ROLE maily_writer NOLOGIN; END IF;
  IF to_regrole('maily_analyst') IS NULL THEN CREATE ROLE maily_analyst NOLOGIN; END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO maily_owner', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO maily_writer, maily_analyst', current_database());
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
