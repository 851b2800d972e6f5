// Tests the read model of assets.
#include "projections/assets/fold.h"

#include "maily/assets/v1/events.pb.h"
#include "maily/templates/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/asset_store.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using maily::assets::v1::AssetAdded;
using maily::assets::v1::AssetArchived;
using maily::assets::v1::AssetDeleted;
using maily::templates::v1::TemplateSaved;
using maily::templates::v1::UsedAsset;

class AssetsFoldTest : public FoldFixture {
 protected:
  AssetsFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  static AssetAdded Added(const std::string& bytes, const std::string& name) {
    AssetAdded added;
    added.set_asset(schema::AssetDigest(schema::AssetId(bytes)));
    added.set_name(name);
    added.set_content_type("image/png");
    added.set_size(bytes.size());
    added.set_blob("assets/" + name);
    return added;
  }
  static TemplateSaved Saved(uint32_t number, const std::string& bytes, std::initializer_list<UsedAsset::Use> uses) {
    TemplateSaved saved;
    saved.set_template_id(4);
    saved.mutable_version()->set_number(number);
    for (const auto use : uses) {
      UsedAsset& used = *saved.mutable_version()->add_assets();
      used.set_asset(schema::AssetDigest(schema::AssetId(bytes)));
      used.set_use(use);
      used.set_file_name("f");
    }
    return saved;
  }
  Rows All(int64_t archived) {
    return Ask("assets", {tenant_, {"after", Value::Text("")}, {"archived", Value::Integer(archived)}, {"limit", Value::Integer(10)}});
  }
  const Parameter tenant_{"tenant", Value::Integer(1)};
  const Parameter abc_{"asset_id", Value::Text(schema::AssetId("abc"))};
};

TEST_F(AssetsFoldTest, ShowsWhatThereIsAndWhoUsesIt) {
  Happens(0, Added("abc", "logo.png"));
  Happens(0, Added("abd", "sky.png"));
  Happens(0, Saved(1, "abc", {UsedAsset::RELATED, UsedAsset::ATTACHED}));
  Happens(0, Saved(2, "abc", {UsedAsset::HOSTED}));
  EXPECT_EQ(All(0).size(), 2u);
  EXPECT_EQ(Ask("asset", {tenant_, abc_}).at(0, "used_by_versions"), Value::Integer(2));
  EXPECT_EQ(Ask("asset_uses", {tenant_, abc_, {"limit", Value::Integer(10)}}).size(), 3u);
  const Rows of_first = Ask("template_assets", {tenant_, {"template_id", Value::Integer(4)}, {"version", Value::Integer(1)}});
  ASSERT_EQ(of_first.size(), 2u);
  EXPECT_EQ(of_first.at(0, "how"), Value::Text("attached"));
  EXPECT_EQ(of_first.at(0, "name"), Value::Text("logo.png"));
  RebuildGivesTheSame();
}

TEST_F(AssetsFoldTest, ARenamedArchivedOrDeletedOneIsAsItIs) {
  Happens(0, Added("abc", "logo.png"));
  Happens(0, Added("abc", "other.png"));
  EXPECT_EQ(Ask("asset", {tenant_, abc_}).at(0, "name"), Value::Text("other.png"));
  EXPECT_EQ(Ask("asset_blob", {tenant_, abc_}).at(0, "blob"), Value::Text("assets/logo.png"));
  AssetArchived archived;
  archived.set_asset(schema::AssetDigest(schema::AssetId("abc")));
  Happens(0, archived);
  EXPECT_EQ(All(0).size(), 0u);
  EXPECT_EQ(All(1).size(), 1u);
  archived.set_restored(true);
  Happens(0, archived);
  EXPECT_EQ(All(0).size(), 1u);
  AssetDeleted deleted;
  deleted.set_asset(archived.asset());
  Happens(0, deleted);
  EXPECT_EQ(All(1).size(), 0u);
  RebuildGivesTheSame();
}

TEST_F(AssetsFoldTest, ADeletedTemplateUsesThemNoMore) {
  Happens(0, Added("abc", "logo.png"));
  Happens(0, Saved(1, "abc", {UsedAsset::RELATED}), Saved(2, "abc", {UsedAsset::HOSTED}));
  EXPECT_EQ(Ask("asset", {tenant_, abc_}).at(0, "used_by_versions"), Value::Integer(2));
  maily::templates::v1::TemplateDeleted deleted;
  deleted.set_template_id(4);
  Happens(0, deleted);
  EXPECT_EQ(Ask("asset", {tenant_, abc_}).at(0, "used_by_versions"), Value::Integer(0));
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
