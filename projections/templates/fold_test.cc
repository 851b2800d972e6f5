// Tests the read model of templates.
#include "projections/templates/fold.h"

#include "maily/templates/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class TemplatesFoldTest : public FoldFixture {
 protected:
  TemplatesFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
};

maily::templates::v1::TemplateSaved Saved(uint32_t number, const std::string& subject) {
  maily::templates::v1::TemplateSaved saved;
  saved.set_template_id(4);
  auto* version = saved.mutable_version();
  version->set_number(number);
  version->set_name("spring");
  version->set_subject(subject);
  version->add_links("https://example.com/a");
  version->add_links("https://example.com/b");
  version->add_attributes("first_name");
  return saved;
}

TEST_F(TemplatesFoldTest, TheLatestVersionAnswersAndOldOnesStay) {
  Happens(0, Saved(1, "one"));
  Happens(0, Saved(2, "two"));
  const Parameter tenant{"tenant", Value::Integer(1)};
  const Parameter id{"template_id", Value::Integer(4)};
  const Parameter first{"version", Value::Integer(1)};
  EXPECT_EQ(Ask("template", {tenant, id}).at(0, "subject"), Value::Text("two"));
  EXPECT_EQ(Ask("template_version", {tenant, id, first}).at(0, "subject"), Value::Text("one"));
  EXPECT_EQ(Ask("template_links", {tenant, id, first}).at(1, "target"), Value::Text("https://example.com/b"));
  EXPECT_EQ(Ask("template_versions", {tenant, id, {"limit", Value::Integer(10)}}).size(), 2u);
  const Rows all = Ask("templates", {tenant, {"after", Value::Integer(0)}, {"archived", Value::Integer(0)}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all.at(0, "version"), Value::Integer(2));
  RebuildGivesTheSame();
}

TEST_F(TemplatesFoldTest, ArchivedOnesAreListedApartAndDeletedOnesAreGone) {
  const Parameter tenant{"tenant", Value::Integer(1)};
  const Parameter id{"template_id", Value::Integer(4)};
  const auto listed = [&](int64_t archived) {
    return Ask("templates", {tenant, {"after", Value::Integer(0)}, {"archived", Value::Integer(archived)}, {"limit", Value::Integer(10)}})
        .size();
  };
  Happens(0, Saved(1, "one"), Saved(2, "two"));
  EXPECT_EQ(Ask("template", {tenant, id}).at(0, "archived_at_us").type, sql::Type::kNull);
  maily::templates::v1::TemplateArchived archived;
  archived.set_template_id(4);
  Happens(0, archived);
  EXPECT_EQ(listed(0), 0u);
  EXPECT_EQ(listed(1), 1u);
  EXPECT_EQ(Ask("template", {tenant, id}).at(0, "archived_at_us"), Value::Integer(now.us));
  archived.set_restored(true);
  Happens(0, archived);
  EXPECT_EQ(listed(0), 1u);
  EXPECT_EQ(listed(1), 0u);
  maily::templates::v1::TemplateDeleted deleted;
  deleted.set_template_id(4);
  Happens(0, deleted);
  EXPECT_EQ(listed(0), 0u);
  EXPECT_TRUE(Ask("template", {tenant, id}).empty());
  EXPECT_TRUE(Ask("template_links", {tenant, id, {"version", Value::Integer(1)}}).empty());
  RebuildGivesTheSame();
}

TEST_F(TemplatesFoldTest, AVersionShowsWhatItHoldsAndPartialsAreTheirNewestOnes) {
  maily::templates::v1::TemplateSaved saved = Saved(1, "one");
  auto& version = *saved.mutable_version();
  version.set_preheader("psst");
  version.set_locale("en");
  version.set_mjml("<mjml>");
  version.set_mjml_sha256(std::string("\x01\xFE", 2));
  auto& used = *version.add_partials();
  used.set_name("footer");
  used.set_version(3);
  used.set_html("<p>\"ü\"</p>");
  auto& variant = *version.add_variants();
  variant.set_locale("de");
  variant.set_subject("eins");
  Happens(0, saved);
  maily::templates::v1::PartialPut put;
  put.set_name("footer");
  put.set_version(1);
  put.set_html("one");
  Happens(0, put);
  put.set_version(2);
  put.set_html("two");
  Happens(0, put);
  maily::templates::v1::PartialPut other;
  other.set_name("old");
  other.set_version(1);
  Happens(0, other);
  maily::templates::v1::PartialArchived archived;
  archived.set_name("old");
  Happens(0, archived);
  const Parameter tenant{"tenant", Value::Integer(1)};
  const Rows shown = Ask("template", {tenant, {"template_id", Value::Integer(4)}});
  EXPECT_EQ(shown.at(0, "preheader"), Value::Text("psst"));
  EXPECT_EQ(shown.at(0, "mjml_sha256"), Value::Text("01fe"));
  EXPECT_EQ(shown.at(0, "partials"), Value::Text(R"([{"html":"<p>\"ü\"</p>","name":"footer","text":"","version":3}])"));
  EXPECT_NE(shown.at(0, "variants").bytes.find(R"("locale":"de")"), std::string::npos);
  const auto listed = [&](int64_t all) {
    return Ask("partials", {tenant, {"after", Value::Text("")}, {"archived", Value::Integer(all)}, {"limit", Value::Integer(10)}}).size();
  };
  EXPECT_EQ(listed(0), 1u);
  EXPECT_EQ(listed(1), 2u);
  EXPECT_EQ(Ask("partial", {tenant, {"name", Value::Text("footer")}}).at(0, "html"), Value::Text("two"));
  EXPECT_EQ(Ask("partial_sources", {tenant, {"limit", Value::Integer(10)}}).size(), 1u);
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
