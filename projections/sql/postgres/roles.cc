// Implements roles and views.
#include "projections/sql/postgres/roles.h"

#include <fmt/format.h>

#include "projections/sql/postgres/dialect.h"

namespace maily::sql::postgres {
namespace {

// A schema is renamed without waiting for the queries that run on its views: they go on, and new ones find the new views.
// {0} own schema, {1} private tables
constexpr const char* kPublish = R"sql(
DO $publish$
DECLARE v record; c record;
BEGIN
  BEGIN
    SET LOCAL lock_timeout = '100ms';
    DROP SCHEMA IF EXISTS analytics_old CASCADE;
  EXCEPTION WHEN lock_not_available THEN  -- somebody still reads there: it goes with the tables that it shows
    EXECUTE format('ALTER SCHEMA analytics_old RENAME TO %I', 'analytics_old_' || txid_current());
  END;
  CREATE SCHEMA analytics_next;
  FOR v IN
    SELECT n.nspname AS s, t.relname AS t, t.oid, t.relrowsecurity AS secured,
           EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'tenant') AS of_tenants
    FROM {0}.live l JOIN pg_namespace n ON n.nspname = l.live JOIN pg_class t ON t.relnamespace = n.oid AND t.relkind = 'r'
    WHERE t.relname <> ALL (ARRAY['positions', 'read_models', {1}]::name[])
  LOOP
    IF v.of_tenants AND NOT v.secured THEN
      EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', v.s, v.t);
      EXECUTE format('CREATE POLICY writer ON %I.%I TO maily_writer USING (true) WITH CHECK (true)', v.s, v.t);
      EXECUTE format('CREATE POLICY analyst ON %I.%I FOR SELECT TO maily_analyst USING (tenant IN '
                     '(SELECT a.tenant FROM {0}.analysts a WHERE a.login = session_user))', v.s, v.t);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO maily_analyst', v.s);
    EXECUTE format('GRANT SELECT ON %I.%I TO maily_analyst', v.s, v.t);
    EXECUTE format('CREATE VIEW analytics_next.%I WITH (security_invoker = true) AS SELECT * FROM %I.%I', v.t, v.s, v.t);
    EXECUTE format('GRANT SELECT ON analytics_next.%I TO maily_analyst', v.t);
    IF obj_description(v.oid, 'pg_class') IS NOT NULL THEN
      EXECUTE format('COMMENT ON VIEW analytics_next.%I IS %L', v.t, obj_description(v.oid, 'pg_class'));
    END IF;
    FOR c IN SELECT attname, col_description(attrelid, attnum) AS said FROM pg_attribute
             WHERE attrelid = v.oid AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NOT NULL LOOP
      EXECUTE format('COMMENT ON COLUMN analytics_next.%I.%I IS %L', v.t, c.attname, c.said);
    END LOOP;
  END LOOP;
  GRANT USAGE ON SCHEMA analytics_next TO maily_analyst;
  COMMENT ON SCHEMA analytics_next IS 'The read models that answer now; times are microseconds since 1970';
  IF to_regnamespace('analytics') IS NOT NULL THEN ALTER SCHEMA analytics RENAME TO analytics_old; END IF;
  ALTER SCHEMA analytics_next RENAME TO analytics;
END $publish$;)sql";

}  // namespace

std::string RolesQuery() {
  return fmt::format(
      "SELECT count(*) = 3 AND bool_and(rolname = '{2}' OR pg_has_role(oid, 'MEMBER')) AND "
      "bool_or(rolname = '{0}' AND has_database_privilege(oid, current_database(), 'CREATE')) "
      "FROM pg_roles WHERE rolname IN ('{0}', '{1}', '{2}')",
      kOwner, kWriter, kAnalyst);
}

std::string GrantOwnSchema(const std::string& own) {
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {0}.analysts (login NAME NOT NULL, tenant BIGINT NOT NULL, PRIMARY KEY (login, tenant));"
      "COMMENT ON TABLE {0}.analysts IS 'Which tenants an analyst''s login sees';"
      "ALTER TABLE {0}.analysts ENABLE ROW LEVEL SECURITY;"
      "DROP POLICY IF EXISTS own ON {0}.analysts;"
      "CREATE POLICY own ON {0}.analysts FOR SELECT TO {2} USING (login = session_user);"
      "GRANT USAGE ON SCHEMA {0} TO {1}, {2};"
      "GRANT SELECT, UPDATE ON {0}.databases TO {1};"
      "GRANT SELECT ON {0}.analysts TO {2};",
      own, kWriter, kAnalyst);
}

std::string GrantSchema(const std::string& schema) {
  return fmt::format(
      "GRANT USAGE ON SCHEMA {0} TO {1};"
      "ALTER DEFAULT PRIVILEGES IN SCHEMA {0} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {1};",
      Quoted(schema), kWriter);
}

std::string Publish(const std::string& own, const std::vector<std::string>& private_tables) {
  std::string hidden;
  for (const std::string& table : private_tables) hidden += (hidden.empty() ? "" : ", ") + Literal(table);
  return fmt::format(fmt::runtime(kPublish), own, hidden.empty() ? "''" : hidden);
}

}  // namespace maily::sql::postgres
