// Writes that are answered 202, and what is told of them later.
#include "api/call.h"
#include "tests/api/client.h"

namespace maily::api {
namespace {

class CommandsTest : public ApiTest {
 protected:
  // From now on no frame reaches the journal, or all do.
  void HoldJournal() {
    world_.log.options().fate = [](TopicPartition at, std::string_view) {
      return at.topic == Topic::kJournal ? sim::Fate::kHold : sim::Fate::kStore;
    };
  }
  void ReleaseJournal() {  // whatever is held
    world_.log.options().fate = nullptr;
    for (size_t i = world_.log.held(); i-- > 0;) world_.log.Release(i, sim::SimLog::Answer::kAcknowledge);
  }
  Said GetDecided(const std::string& url) {
    Said said = Get(url);
    for (int i = 0; i < 100 && said.body["status"] == "pending"; ++i) {
      world_.scheduler.RunFor(Milliseconds(100));
      said = Get(url);
    }
    return said;
  }
  // As another would see it: what differs is its own path alone.
  static json Unnamed(Said said) {
    said.body.erase("instance");
    return said.body;
  }
};

TEST_F(CommandsTest, ALogThatAnswersJustAfterTheTimeIsOverIsWaitedFor) {
  for (const auto& [after, status] : {std::pair(kDecisionTimeout + Seconds(1), 201), std::pair(kDecisionTimeout + Seconds(3), 503)}) {
    world_.log.options().fate = [](TopicPartition at, std::string_view) {
      return at.topic == Topic::kCommands ? sim::Fate::kHold : sim::Fate::kStore;
    };
    world_.api->After(after, [this] { ReleaseJournal(); });
    const Said said = Post("/v1/lists", {{"name", fmt::format("after {}", after.us)}});
    EXPECT_EQ(said.status, status) << said.body;
    world_.scheduler.RunFor(Seconds(20));
  }
}

TEST_F(CommandsTest, AWriteThatIsNotDecidedInTimeSaysWhereToAsk) {
  HoldJournal();
  const Said contact = Post("/v1/contacts", {{"email", "ann@example.com"}});
  const Said list = Post("/v1/lists", {{"name", "mine"}});
  const Said twice = Post("/v1/lists", {{"name", "mine"}});
  for (const Said* said : {&contact, &list, &twice}) {
    ASSERT_EQ(said->status, 202) << said->body;
    const std::string url = said->body["status_url"];
    EXPECT_EQ(said->response.headers["location"], url);
    EXPECT_EQ(url, "/v1/commands/" + said->body["command_id"].get<std::string>());
    EXPECT_EQ(Get(url).status, 200);
    EXPECT_EQ(Get(url).body, (json{{"command_id", said->body["command_id"]}, {"status", "pending"}}));
  }
  ReleaseJournal();
  const auto decided = [&](const Said& said, const char* outcome, json answer) {
    return json{{"command_id", said.body["command_id"]}, {"status", "decided"}, {"outcome", outcome}, {"answer", std::move(answer)}};
  };
  EXPECT_EQ(GetDecided(list.body["status_url"]).body, decided(list, "done", {{"id", 1}}));
  const Said refused = GetDecided(twice.body["status_url"]);
  EXPECT_EQ(refused.body["outcome"], "conflict");
  const json direct = Post("/v1/lists", {{"name", "mine"}}).body;
  for (const char* member : {"status", "code", "message", "details"}) EXPECT_EQ(refused.body["answer"][member], direct[member]) << member;
  const Said created = GetDecided(contact.body["status_url"]);
  EXPECT_EQ(created.body["answer"]["result"], "created");
  Show(contact);
  EXPECT_EQ(Get("/v1/contacts?email=ann@example.com").body["items"][0]["id"], created.body["answer"]["id"]);
  // Commands are trimmed one day; the journal stays.
  for (uint16_t p = 0; p < SimApi::kPartitions; ++p) {
    const TopicPartition commands{Topic::kCommands, PartitionId(p)};
    ASSERT_TRUE(world_.log.Trim(commands, world_.log.Ends(commands).durable));
  }
  EXPECT_EQ(Get(list.body["status_url"]).body, decided(list, "done", {{"id", 1}}));
}

TEST_F(CommandsTest, WhoseItIsNotSeesWhatNobodyHas) {
  const Said list = Post("/v1/lists", {{"name", "mine"}});
  Show(Post("/v1/lists", {{"name", "another"}}));
  EXPECT_EQ(Get("/v1/commands/" + list.token()).body["outcome"], "done");
  const Said nobodys = Get("/v1/commands/00000000000000000000000000000000");
  EXPECT_EQ(nobodys.status, 404);
  const auto refused = [&](const std::string& id) { return Unnamed(Get("/v1/commands/" + id)); };
  EXPECT_EQ(refused("A"), Unnamed(nobodys));
  // Of no single command, and of none that ever was, though signed.
  const keyring::TenantKeys& keys = *world_.keyring->Tenant(SimApi::kTenant).value();
  const CommandAt at = gateway::DecodeToken(list.token(), keys).value().front();
  CommandAt elsewhere = at;
  elsewhere.partition = PartitionId(at.partition.value() == 0 ? 1 : 0);
  const CommandAt never{at.partition, at.generation, at.offset, at.index + 1};
  const CommandAt nowhere{PartitionId(SimApi::kPartitions), at.generation, at.offset, at.index};
  for (const std::vector<CommandAt>& places : {std::vector<CommandAt>{}, {at, elsewhere}, {never}, {nowhere}}) {
    EXPECT_EQ(refused(gateway::EncodeToken(places, keys)), Unnamed(nobodys)) << places.size();
  }
  // Another tenant, even if it could sign.
  as_ = NewKey(TenantId(2), "admin");
  EXPECT_EQ(refused(list.token()), Unnamed(nobodys));
  EXPECT_EQ(refused(gateway::EncodeToken({&at, 1}, *world_.keyring->Tenant(TenantId(2)).value())), Unnamed(nobodys));
}

TEST_F(CommandsTest, AJournalThatCannotBeReadIsNoAnswer) {
  const Said list = Post("/v1/lists", {{"name", "mine"}});
  Show(list);
  const PartitionId home = gateway::DecodeToken(list.token(), *world_.keyring->Tenant(SimApi::kTenant).value()).value().front().partition;
  const TopicPartition journal{Topic::kJournal, home};
  for (Offset at(1); at < world_.log.Ends(journal).durable; at = at.Next()) world_.log.StoredBytes(journal, at).back() ^= 1;
  EXPECT_EQ(Get("/v1/commands/" + list.token()).status, 500);
}

}  // namespace
}  // namespace maily::api
