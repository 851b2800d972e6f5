// Tests what the setting `db` takes, and that no password gets into what others see.
#include "app/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "app/database.h"

namespace maily::app {
namespace {

TEST(ConfigDatabase, SqliteIsTheDefaultAndConnectionStringsAreTaken) {
  Config config;
  EXPECT_FALSE(IsPostgres(config));
  for (const char* value : {"postgresql://maily@db.example.com:5433/maily?sslmode=verify-full", "postgres:///maily?host=/run/postgresql",
                            "env:DATABASE_URL", "file:/etc/maily/db"}) {
    config.Set("db", value, "--db").value();
    EXPECT_TRUE(IsPostgres(config)) << value;
  }
}

TEST(ConfigDatabase, APasswordIsRefusedAndNotRepeated) {
  Config config;
  for (const char* value : {"postgresql://maily:geheim@db/maily", "postgresql://db/maily?user=maily&password=geheim",
                            "host=db password=geheim", "postgresql://maily:geheim@[::1]:5432/maily"}) {
    const auto set = config.Set("db", value, "maily.yaml:3");
    ASSERT_FALSE(set.has_value()) << value;
    EXPECT_EQ(set.error().code, Code::kInvalid);
    EXPECT_EQ(set.error().message.find("geheim"), std::string::npos);
    EXPECT_EQ(set.error().message.find("maily.yaml:3"), 0u);
  }
  EXPECT_EQ(config.Text("db"), "sqlite");
  EXPECT_FALSE(config.Set("db", "mysql://db/maily", "--db").has_value());
}

TEST(ConfigBlobs, AFolderIsTakenAndWhatIsNotThereYetSaysSo) {
  Config config;
  for (const char* value : {"", "/mnt/shared", "relative/folder", "file:///mnt/shared"})
    EXPECT_TRUE(config.Set("snapshots", value, "--snapshots"));
  for (const char* value : {"s3://bucket/maily", "file://host/share", "https://example.com"}) {
    EXPECT_EQ(config.Set("snapshots", value, "--snapshots").error().code, Code::kInvalid) << value;
  }
  EXPECT_NE(config.Set("snapshots", "s3://bucket", "--snapshots").error().message.find("not implemented"), std::string::npos);
}

TEST(ConfigDatabase, AKeyringIsNamedLikeADatabase) {
  Config config;
  EXPECT_EQ(config.Text("keyring"), kKeyringInData);
  config.Set("keyring", "postgresql://db/keys", "--keyring").value();
  EXPECT_EQ(ConnectionStringOf(config, "keyring").value(), "postgresql://db/keys");
  const auto refused = config.Set("keyring", "sqlite", "--keyring");
  EXPECT_EQ(refused.error().message, "--keyring: keyring must be rocks, postgresql://user@host/database, env:NAME or file:PATH");
}

TEST(ConfigDatabase, AReferenceIsReadWhenItIsOpened) {
  Config config;
  ::setenv("TEST_DB_URL", "postgresql://maily:geheim@db/maily", 1);
  config.Set("db", "env:TEST_DB_URL", "--db").value();
  EXPECT_EQ(config.Text("db"), "env:TEST_DB_URL");
  EXPECT_EQ(PostgresOptionsOf(config).value().url, "postgresql://maily:geheim@db/maily");
  ::unsetenv("TEST_DB_URL");
  EXPECT_EQ(PostgresOptionsOf(config).error().code, Code::kInvalid);
  char name[] = "/tmp/maily-db-XXXXXX";
  ::close(::mkstemp(name));
  std::ofstream(name) << "postgresql://db/maily\n";
  config.Set("db", std::string("file:") + name, "--db").value();
  EXPECT_EQ(PostgresOptionsOf(config).value().url, "postgresql://db/maily");
  ::unlink(name);
}

}  // namespace
}  // namespace maily::app
