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
  const Rows all = Ask("templates", {tenant, {"after", Value::Integer(0)}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all.at(0, "version"), Value::Integer(2));
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
