// Tests the rewriting of the shared dialect.
#include "projections/sql/postgres/dialect.h"

#include <gtest/gtest.h>

namespace maily::sql::postgres {
namespace {

TEST(Dialect, ParametersAreNumbered) {
  EXPECT_EQ(RewriteStatement("UPDATE t SET a = ?2 WHERE b = ?1").text, "UPDATE t SET a = $2 WHERE b = $1");
  EXPECT_EQ(RewriteStatement("UPDATE t SET a = ?2 WHERE b = ?1").names.size(), 2u);
  const Rewritten named = RewriteStatement("SELECT a FROM t WHERE (:x = '' OR b = :x) AND c > :after -- :not_me\nLIMIT :limit");
  EXPECT_EQ(named.text, "SELECT a FROM t WHERE ($1 = '' OR b = $1) AND c > $2 \nLIMIT $3");
  EXPECT_EQ(named.names, (std::vector<std::string>{"x", "after", "limit"}));
}

TEST(Dialect, WhatIsQuotedOrACastStays) {
  EXPECT_EQ(RewriteStatement("SELECT ':a ?1 it''s' , x::bigint FROM t").text, "SELECT ':a ?1 it''s' , x::bigint FROM t");
  EXPECT_TRUE(RewriteStatement("SELECT ':a ?1'").names.empty());
}

TEST(Dialect, WordsAreWhatAStatementMayTouch) {
  EXPECT_EQ(RewriteStatement("SELECT a FROM T, a WHERE 'no' = b").words,
            (std::vector<std::string>{"select", "a", "from", "t", "where", "b"}));
}

TEST(Dialect, ASchemaGetsTypesAndComments) {
  const std::string out = RewriteScript(
      "-- The file.\n\n-- Who it is;\n-- and more.\nCREATE TABLE t (\n  a BIGINT NOT NULL,  -- it's a\n  b TEXT   NOT NULL,\n  c BLOB,\n"
      "  PRIMARY KEY (a)\n) WITHOUT ROWID;\nCREATE TABLE u (x BIGINT);\nINSERT INTO u VALUES ('TEXT BLOB');");
  EXPECT_NE(out.find("b TEXT COLLATE \"C\"   NOT NULL"), std::string::npos) << out;
  EXPECT_NE(out.find("c BYTEA,"), std::string::npos);
  EXPECT_EQ(out.find("ROWID"), std::string::npos);
  EXPECT_NE(out.find("'TEXT BLOB'"), std::string::npos);
  EXPECT_NE(out.find("COMMENT ON TABLE t IS 'Who it is; and more.';\nCOMMENT ON COLUMN t.a IS 'it''s a';"), std::string::npos);
  EXPECT_EQ(out.find("COMMENT ON COLUMN t.b"), std::string::npos);
  EXPECT_EQ(out.find("COMMENT ON TABLE u"), std::string::npos);
}

TEST(Dialect, AnInsertOfOneRowBecomesOneOfMany) {
  const auto insert = AsRowInsert("INSERT INTO t (a, b, c)\nVALUES ($1, 0, $2)\nON CONFLICT (a) DO NOTHING");
  ASSERT_TRUE(insert.has_value());
  EXPECT_EQ(insert->table, "t");
  EXPECT_EQ(ManyRows(*insert, {"int8", "bytea"}),
            "INSERT INTO t (a, b, c) SELECT u.p1, 0, u.p2 FROM unnest($1::int8[], $2::bytea[]) AS u(p1, p2) ON CONFLICT (a) DO NOTHING");
}

TEST(Dialect, OtherStatementsStaySingle) {
  EXPECT_FALSE(AsRowInsert("INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = $1").has_value());
  EXPECT_FALSE(AsRowInsert("INSERT INTO t (a) VALUES ($1) RETURNING a").has_value());
  EXPECT_FALSE(AsRowInsert("INSERT INTO t (a) SELECT $1").has_value());
  EXPECT_FALSE(AsRowInsert("INSERT INTO t (a) VALUES ($1), ($2)").has_value());
  EXPECT_FALSE(AsRowInsert("UPDATE t SET a = $1").has_value());
}

}  // namespace
}  // namespace maily::sql::postgres
