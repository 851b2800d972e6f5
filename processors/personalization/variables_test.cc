// What a message was posted with, in a template.
#include "processors/personalization/variables.h"

#include <gtest/gtest.h>

#include "processors/personalization/render.h"

namespace maily::personalization {
namespace {

std::string Written(const std::string& html, const std::string& json) {
  const auto variables = Variables::Parse(json);
  EXPECT_TRUE(variables.has_value()) << variables.error().message;
  const auto compiled = Compiled::Compile({.subject = "s", .html = html, .text = ""}, {});
  EXPECT_TRUE(compiled.has_value()) << compiled.error().message;
  Rendered out;
  const auto done =
      compiled->Render({.variables = variables->value()}, {.links = {}, .open_pixel = "", .unsubscribe = "u", .untracked = true}, out);
  EXPECT_TRUE(done.has_value());
  return out.html;
}

TEST(Variables, AreAnyJson) {
  const std::string json =
      R"({"order":{"id":"A-7","lines":[{"name":"tea","n":2,"price":2.5},{"name":"cup","n":1,"price":10.0}]},"paid":true,"big":9007199254740993})";
  EXPECT_EQ(Written("{{ variables.order.id }} {{ variables.order.lines[1].name }} {{ variables.big }}", json), "A-7 cup 9007199254740993");
  EXPECT_EQ(Written("{% for line in variables.order.lines %}{{ line.n }} {{ line.name }} {{ line.price }};{% endfor %}", json),
            "2 tea 2.5;1 cup 10;");
  EXPECT_EQ(Written("{% if variables.paid %}paid{% endif %}{{ variables.nothing.at.all }}", json), "paid");
}

TEST(Variables, AreEscapedLikeAnyValue) {
  EXPECT_EQ(Written("{{ variables.name }}", R"({"name":"<b>&"})"), "&lt;b&gt;&amp;");
  EXPECT_EQ(Written("{{ variables.name | raw }}", R"({"name":"<b>"})"), "<b>");
}

TEST(Variables, WithoutAnyNothingIsWritten) { EXPECT_EQ(Written("[{{ variables.a.b }}]", ""), "[]"); }

TEST(Variables, AreAnObject) {
  EXPECT_FALSE(Variables::Parse("[1]").has_value());
  EXPECT_FALSE(Variables::Parse("{").has_value());
  EXPECT_FALSE(Variables::Parse(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}").has_value());
}

}  // namespace
}  // namespace maily::personalization
