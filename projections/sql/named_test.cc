// Tests the parser of queries.sql files.
#include "projections/sql/named.h"

#include <gtest/gtest.h>

namespace maily::sql {
namespace {

TEST(Named, StatementsAreTakenApartByName) {
  const auto parsed =
      ParseNamed("-- Of contacts.\n\n-- name: one\nSELECT 1;\n\n-- About two.\n-- fold: two\n-- why\nINSERT\nINTO t;\n").value();
  ASSERT_EQ(parsed.size(), 2u);
  EXPECT_EQ(parsed[0].name, "one");
  EXPECT_EQ(parsed[0].kind, StatementKind::kQuery);
  EXPECT_EQ(parsed[0].sql, "SELECT 1");
  EXPECT_EQ(parsed[1].name, "two");
  EXPECT_EQ(parsed[1].kind, StatementKind::kFold);
  EXPECT_EQ(parsed[1].sql, "-- why\nINSERT\nINTO t");
}

TEST(Named, ANameTwiceAnEmptyStatementAndLooseTextAreInvalid) {
  EXPECT_EQ(ParseNamed("-- name: a\nSELECT 1\n-- name: a\nSELECT 2").error().code, Code::kInvalid);
  EXPECT_EQ(ParseNamed("-- name: a\n-- name: b\nSELECT 2").error().code, Code::kInvalid);
  EXPECT_EQ(ParseNamed("SELECT 1").error().code, Code::kInvalid);
  EXPECT_TRUE(ParseNamed("").value().empty());
}

}  // namespace
}  // namespace maily::sql
