// A process that keeps no read models sees how far another one has brought them.
#include "projections/projector/spectator.h"

#include "maily/lists/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

using maily::lists::v1::ListCreated;

constexpr std::string_view kSchema = "CREATE TABLE names (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;";
constexpr std::string_view kSql =
    "-- name: names\nSELECT id, name FROM names ORDER BY id;\n"
    "-- fold: put\nINSERT INTO names (id, name) VALUES (?1, ?2);\n";

class NamesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<NamesFold>();
    MAILY_TRY(fold->put_, setup.Prepare("put"));
    setup.handlers.On<ListCreated>([f = fold.get()](const EventAt&, const ListCreated& e) -> Result<void> {
      return sql::Do(*f->put_, e.list_id(), std::string_view(e.name()));
    });
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  sql::Statement* put_ = nullptr;
};

ListCreated Named(uint64_t id, const std::string& name) {
  ListCreated event;
  event.set_list_id(id);
  event.set_name(name);
  return event;
}

class SpectatorTest : public FoldFixture {
 protected:
  SpectatorTest() : FoldFixture({"g", {{"names", 1, kSchema, kSql, {{"names", TableKind::kFolded}}, &NamesFold::Make}}}) {}
  void SetUp() override {
    FoldFixture::SetUp();
    if (IsSkipped()) return;
    own = place.Open();
    theirs = std::make_unique<Views>(*own, std::vector{GroupQueries{.group = "g", .queries_sql = {kSql}}});
    spectator = std::make_unique<Spectator>(*own, elsewhere, "g", *theirs);
    spectator->Start();
  }
  // Turns of the other process, up to a second of its time.
  bool Until(const std::function<bool()>& reached) {
    const Duration end = elsewhere.Steady() + Seconds(1);
    while (!reached() && elsewhere.Steady() < end) elsewhere.RunOne();
    return reached();
  }
  // Waits in the other process for the n-th command of a partition.
  std::shared_ptr<std::optional<bool>> Wait(uint16_t partition, uint64_t n) {
    auto told = std::make_shared<std::optional<bool>>();
    theirs->freshness().Wait("g", {{PartitionId(partition), 1, Offset(n), 0}}, Seconds(60), elsewhere,
                             [told](bool fresh) { *told = fresh; });
    return told;
  }

  ManualExecutor elsewhere;  // of the other process
  std::unique_ptr<sql::Databases> own;
  std::unique_ptr<Views> theirs;
  std::unique_ptr<Spectator> spectator;
};

TEST_F(SpectatorTest, WhoWaitsIsToldWhenTheRowsAreThere) {
  const auto told = Wait(1, 1);
  EXPECT_FALSE(Until([&] { return told->has_value(); })) << "nothing was folded yet";
  EXPECT_NE(spectator->trouble(), "");
  EXPECT_EQ(theirs->Query("names").error().code, Code::kRetry);
  Happens(1, Named(7, "news"));
  ASSERT_TRUE(Until([&] { return told->has_value(); }));
  EXPECT_TRUE(**told);
  EXPECT_EQ(theirs->Query("names").value().at(0, "name"), Value::Text("news"));
  EXPECT_EQ(spectator->trouble(), "");
  EXPECT_EQ(spectator->positions().at(1).lsn, Lsn(1));

  // One that begins to wait is not kept until the next slow look.
  const auto again = Wait(0, 1);
  elsewhere.RunOne();
  const Duration begin = elsewhere.Steady();
  Happens(0, Named(8, "sport"));
  ASSERT_TRUE(Until([&] { return again->has_value(); }));
  EXPECT_LT(elsewhere.Steady() - begin, Milliseconds(20));
  EXPECT_EQ(theirs->Query("names").value().size(), 2u);
}

TEST_F(SpectatorTest, ASwitchToANewVersionIsFollowed) {
  Happens(0, Named(1, "a"));
  ASSERT_TRUE(Until([&] { return theirs->live("g") == "g-v1"; }));
  projection->Rebuild(Projection::Then::kSwitch, [](const Result<RebuildStatus>& built) { built.value(); });
  executor.Drain();
  ASSERT_EQ(projection->Status().live, "g-v2");
  ASSERT_TRUE(Until([&] { return theirs->live("g") == "g-v2"; }));
  Happens(0, Named(2, "b"));
  const auto told = Wait(0, 2);
  ASSERT_TRUE(Until([&] { return told->has_value(); }));
  EXPECT_EQ(theirs->Query("names").value().size(), 2u);
}

}  // namespace
}  // namespace maily::projections
