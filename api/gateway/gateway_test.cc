// Tests of the door's parts: tokens and cursors, API keys, the numbers of outcomes.
#include "api/gateway/gateway.h"

#include <gtest/gtest.h>

#include <set>

#include "api/gateway/auth.h"
#include "api/gateway/token.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/journal/decision.h"

namespace maily::gateway {
namespace {

keyring::TenantKeys Keys(char c) {
  keyring::TenantKeys keys;
  keys.token = keyring::Key::From(std::string(32, c));
  return keys;
}

TEST(Outcome, HasTheNumbersOfTheJournal) {
  using J = journal::Outcome;
  const std::pair<Outcome, J> pairs[] = {
      {Outcome::kDone, J::kDone},         {Outcome::kUnchanged, J::kUnchanged},  {Outcome::kDuplicate, J::kDuplicate},
      {Outcome::kConflict, J::kConflict}, {Outcome::kNotFound, J::kNotFound},    {Outcome::kInvalid, J::kInvalid},
      {Outcome::kGone, J::kGone},         {Outcome::kReused, J::kReused},        {Outcome::kOutOfOrder, J::kOutOfOrder},
      {Outcome::kRejected, J::kRejected}, {Outcome::kRetryLater, J::kRetryLater}};
  for (const auto& [ours, theirs] : pairs) EXPECT_EQ(static_cast<uint16_t>(ours), static_cast<uint16_t>(theirs));
}

TEST(Token, KeepsTheLastCommandOfEachPartition) {
  const auto keys = Keys('a');
  const std::vector<CommandAt> at{{PartitionId(3), 1, Offset(10), 5},
                                  {PartitionId(1), 1, Offset(7), 0},
                                  {PartitionId(3), 1, Offset(10), 9},
                                  {PartitionId(3), 1, Offset(9), 20}};
  const auto read = DecodeToken(EncodeToken(at, keys), keys);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (std::vector<CommandAt>{{PartitionId(1), 1, Offset(7), 0}, {PartitionId(3), 1, Offset(10), 9}}));
}

TEST(Token, OfAnotherTenantOrChangedByOneBitIsRefused) {
  const auto keys = Keys('a');
  const std::string token = EncodeToken(std::vector<CommandAt>{{PartitionId(3), 1, Offset(10), 5}}, keys);
  EXPECT_FALSE(DecodeToken(token, Keys('b')));
  for (size_t i = 0; i < token.size(); ++i) {
    for (const char other : {'A', 'B', 'z', '_'}) {
      std::string changed = token;
      if (changed[i] == other) continue;
      changed[i] = other;
      EXPECT_FALSE(DecodeToken(changed, keys)) << i;
    }
  }
  EXPECT_FALSE(DecodeToken("", keys));
  EXPECT_FALSE(DecodeToken(std::string(100'000, 'A'), keys));
}

TEST(Cursor, HoldsForItsListAlone) {
  const auto keys = Keys('a');
  const std::vector<sql::Value> last{sql::Value::Integer(-5), sql::Value::Blob(std::string("\0x", 2)), sql::Value::Null()};
  const std::string cursor = EncodeCursor("sends?1/skipped", last, keys);
  EXPECT_EQ(*DecodeCursor(cursor, "sends?1/skipped", keys), last);
  EXPECT_FALSE(DecodeCursor(cursor, "sends?2/skipped", keys));
  EXPECT_FALSE(DecodeCursor(EncodeToken({}, keys), "sends?1/skipped", keys));
}

class AuthTest : public ::testing::Test {
 protected:
  AuthTest() : scheduler_(7), executor_(scheduler_.MakeExecutor()), key_(MakeApiKey(scheduler_.entropy())) {
    stored_ = {
        .tenant = TenantId(4), .secret_hash = std::string(keyring::View(key_.hash)), .scopes = ScopesOf({"write"}), .revoked = false};
    auth_ = std::make_unique<Auth>(
        [this](const std::string& id) -> Result<StoredKey> {
          ++asked_;
          if (away_) return Fail(Code::kRetry, "locked");
          if (id != key_.key_id) return Fail(Code::kNotFound, "none");
          return stored_;
        },
        *executor_, scheduler_.clock());
  }
  Result<Caller> Ask(const std::string& header) {
    std::optional<Result<Caller>> result;
    auth_->Authenticate(header, [&](Result<Caller> caller) { result = std::move(caller); });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return result.has_value(); }, Seconds(10)));
    return *result;
  }
  sim::Scheduler scheduler_;
  std::unique_ptr<Executor> executor_;
  NewApiKey key_;
  StoredKey stored_;
  int asked_ = 0;
  bool away_ = false;
  std::unique_ptr<Auth> auth_;
};

TEST_F(AuthTest, TheTenantComesFromTheKey) {
  const auto caller = Ask("bearer " + key_.text);
  ASSERT_TRUE(caller) << caller.error().ToString();
  EXPECT_EQ(caller->tenant, TenantId(4));
  EXPECT_EQ(caller->actor, "key:" + key_.key_id);
  EXPECT_TRUE(caller->May(Scope::kWrite) && caller->May(Scope::kRead));
  EXPECT_FALSE(caller->May(Scope::kAdmin) || caller->May(Scope::kIngest));
}

TEST_F(AuthTest, WrongKeysAreAllTheSame) {
  std::set<std::string> messages;
  for (const std::string& wrong :
       {"Bearer " + key_.text + "x", "Bearer mk_" + key_.key_id + "_guess", std::string("Bearer mk_nobody_guess")}) {
    const auto caller = Ask(wrong);
    ASSERT_FALSE(caller);
    EXPECT_EQ(caller.error().code, Code::kInvalid);
    messages.insert(caller.error().message);
  }
  EXPECT_EQ(messages.size(), 1u);
  for (const std::string& malformed :
       {std::string(), std::string("Basic abc"), std::string("Bearer "), "Bearer " + std::string(5000, 'a'), std::string("Bearer mk_")})
    EXPECT_FALSE(Ask(malformed));
}

TEST_F(AuthTest, ARevokedKeyIsRefusedWithinASecond) {
  ASSERT_TRUE(Ask("Bearer " + key_.text));
  const int asked = asked_;
  ASSERT_TRUE(Ask("Bearer " + key_.text));
  EXPECT_EQ(asked_, asked);  // from memory
  stored_.revoked = true;
  scheduler_.RunFor(Seconds(1));
  EXPECT_FALSE(Ask("Bearer " + key_.text));
}

TEST_F(AuthTest, KeysThatCannotBeReadRefuseNobodyForGood) {
  away_ = true;
  EXPECT_EQ(Ask("Bearer " + key_.text).error().code, Code::kRetry);
  away_ = false;
  EXPECT_TRUE(Ask("Bearer " + key_.text));
}

}  // namespace
}  // namespace maily::gateway
