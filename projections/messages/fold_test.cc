// Tests the read model of messages.
#include "projections/messages/fold.h"

#include "maily/engagements/v1/events.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/message_id.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

constexpr uint64_t kId = schema::PackMessageId({PartitionId(0), 1});

class MessagesFoldTest : public FoldFixture {
 protected:
  MessagesFoldTest() : FoldFixture(ReadModelGroups()[1]) {}
  static maily::messages::v1::MessageAccepted Accepted(uint64_t id, bool test = false) {
    maily::messages::v1::MessageAccepted accepted;
    accepted.set_message_id(id);
    accepted.set_ordinal(7);
    accepted.set_template_id(4);
    accepted.set_template_version(2);
    accepted.set_contact_key("0123456789abcdef");
    accepted.set_test(test);
    return accepted;
  }
  template <class Event>
  static Event Of(uint64_t id) {
    Event event;
    event.set_campaign_id(id);
    event.set_ordinal(7);
    return event;
  }
  Rows All(const char* status) {
    return Ask("messages", {tenant_,
                            {"before", Value::Integer(INT64_MAX)},
                            {"before_id", Value::Integer(INT64_MAX)},
                            {"status", Value::Text(status)},
                            {"template_id", Value::Integer(0)},
                            {"limit", Value::Integer(10)}});
  }
  const Parameter tenant_{"tenant", Value::Integer(1)};
};

TEST_F(MessagesFoldTest, ShowsWhatBecameOfEachAndCountsAllButTests) {
  Happens(0, Accepted(kId));
  Happens(0, Accepted(kId + 1, true));
  EXPECT_EQ(All("pending").size(), 2u);
  Happens(0, Of<maily::sends::v1::AttemptOpened>(kId));
  Happens(0, Of<maily::sends::v1::AttemptDelivered>(kId));
  EXPECT_EQ(All("delivered").size(), 1u);
  EXPECT_EQ(All("pending").size(), 1u);
  const Rows counts =
      Ask("message_counts", {tenant_, {"since", Value::Integer(0)}, {"until", Value::Integer(INT64_MAX)}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts.at(0, "status"), Value::Text("delivered"));
  EXPECT_EQ(counts.at(0, "messages"), Value::Integer(1));
}

TEST_F(MessagesFoldTest, IsNoCampaignInAnySum) {
  Happens(0, Accepted(kId));
  Happens(0, Of<maily::sends::v1::AttemptDelivered>(kId));
  Happens(0, Of<maily::engagements::v1::Opened>(kId));
  Happens(0, Of<maily::engagements::v1::Clicked>(kId));
  Happens(0, Of<maily::sends::v1::ComplaintReceived>(kId));
  EXPECT_EQ(Ask("campaign_report", {tenant_, {"campaign_id", Value::Integer(static_cast<int64_t>(kId))}}).size(), 0u);
  EXPECT_EQ(Ask("message", {tenant_, {"message_id", Value::Integer(static_cast<int64_t>(kId))}}).size(), 1u);
}

TEST_F(MessagesFoldTest, SaysWhereTheJournalTellsOfItsAcceptanceAndOfItsAttempts) {
  const Parameter message{"message_id", Value::Integer(static_cast<int64_t>(kId))};
  auto accepted = Accepted(kId);
  accepted.set_attachments(2);
  Happens(0, Accepted(kId + 1));
  Happens(0, Accepted(kId + 2), accepted);
  Happens(0, Of<maily::sends::v1::AttemptOpened>(kId));
  Happens(0, Of<maily::sends::v1::AttemptDeferred>(kId));
  Happens(0, Of<maily::sends::v1::AttemptUnknown>(kId));
  EXPECT_EQ(Ask("message", {tenant_, message}).at(0, "attachments"), Value::Integer(2));
  const Rows told = Ask("message_place", {tenant_, message});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told.at(0, "sequence"), Value::Integer(2 << 8 | 1)) << "the second event of the second decision";
  const Rows attempts = Ask(
      "send_attempts", {tenant_, {"campaign_id", message.value}, {"contact_id", told.at(0, "contact_id")}, {"limit", Value::Integer(10)}});
  ASSERT_EQ(attempts.size(), 2u) << "opened, and unknown";
  EXPECT_EQ(attempts.at(0, "sequence"), Value::Integer(3 << 8));
  EXPECT_EQ(attempts.at(1, "sequence"), Value::Integer(5 << 8));
  RebuildGivesTheSame();
}

}  // namespace
}  // namespace maily::projections
