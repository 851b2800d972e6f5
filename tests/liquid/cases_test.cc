// The development half of golden-liquid, which lies beside the repository; skipped where it does not.
#include "tests/liquid/cases.h"

#include <gtest/gtest.h>

namespace maily::liquid {
namespace {

TEST(LiquidCases, DevelopmentCasesPass) {
  const auto cases = ReadCases(DevelopmentCases());
  if (!cases && cases.error().code == Code::kNotFound) GTEST_SKIP() << cases.error().ToString();
  ASSERT_TRUE(cases) << cases.error().ToString();
  ASSERT_GT(cases->size(), 500u);
  size_t passed = 0;
  for (const GoldenCase& test : *cases) {
    const std::string wrong = Check(test);
    passed += wrong.empty();
    if (!wrong.empty()) fmt::print("{}: {}\n  {}\n", test.name, wrong, test.source);
  }
  fmt::print("{} of {} cases pass\n", passed, cases->size());
  EXPECT_GE(static_cast<double>(passed), 0.98 * static_cast<double>(cases->size()));
}

TEST(LiquidCases, ACaseThatIsWrongIsSaidToBe) {
  EXPECT_EQ(Check({"", "{{ a }}", {{"a", 1}}, {}, {"2"}}), "\"1\" instead of \"2\"");
  EXPECT_EQ(Check({"", "{{ a }}", {{"a", 1}}, {}, {"2", "1"}}), "");
  EXPECT_EQ(Check({"", "x", nlohmann::ordered_json::object(), {}, {}}), "\"x\" instead of a refusal");
  EXPECT_EQ(Check({"", "{{ 1 | divided_by: 0 }}", nlohmann::ordered_json::object(), {}, {}}), "");
  EXPECT_NE(Check({"", "{% if %}", nlohmann::ordered_json::object(), {}, {"x"}}).find("refused (1:"), std::string::npos);
}

}  // namespace
}  // namespace maily::liquid
