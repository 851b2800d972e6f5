// Keys are destroyed once the erasure is accepted, told again until the journal shows it, and after a take-over too.
#include "processors/effects/erasure/eraser.h"

#include <gtest/gtest.h>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/adapters/sim/sim_env.h"
#include "streams/adapters/sim/sim_log.h"
#include "streams/state/key.h"
#include "streams/state/map_kv.h"
#include "streams/state/table.h"

namespace maily::effects {
namespace {

constexpr PartitionId kPartition(2);
constexpr TenantId kTenant(7);
constexpr std::string_view kAnn = "contact-00000001";
constexpr std::string_view kBob = "contact-00000002";

class EraserTest : public ::testing::Test {
 protected:
  EraserTest() {
    sim::SimLog::Options options;
    options.settings.partition_count = 4;
    log_ = std::make_unique<sim::SimLog>(scheduler_, options);
    sender_ = std::make_unique<command::Sender>(*log_, 1 << 20);
    executor_ = scheduler_.MakeExecutor();
    blocking_ = scheduler_.MakeExecutor();
    keyring::Key root{};
    ring_ = keyring::Keyring::Open(std::make_unique<state::MapKv>(keys_), root, scheduler_.entropy(), {}).value();
    ann_ = ring_->GetOrCreate(kTenant, kAnn).value();
    bob_ = ring_->GetOrCreate(kTenant, kBob).value();
    Restart();
  }

  void Restart() { eraser_ = std::make_unique<Eraser>(scheduler_.clock(), scheduler_.entropy(), *executor_, *blocking_, *sender_, *ring_); }
  void Lead() { eraser_->Lead({.partition = kPartition, .epoch = Epoch(1), .position = {}, .cache = &cache_, .credits = nullptr}); }
  bool HasKey(const keyring::SubjectKey& key) { return ring_->Find(kTenant, key.key_id).has_value(); }
  uint64_t Told() const { return log_->Ends({Topic::kCommands, kPartition}).durable.value(); }

  template <class Event>
  void Accept(const Event& event, Epoch epoch = Epoch(1)) {
    journal::AcceptedFrame frame;
    frame.after.epoch = epoch;
    frame.body = schema::Encode(event);
    frame.events.push_back({.type = TypeNumberOf<Event>(), .payload = frame.body});
    journal::Decision decision;
    decision.tenant = kTenant;
    decision.events = frame.events;
    frame.decisions.push_back(decision);
    eraser_->Accepted(frame);
  }
  static contacts::v1::ContactErased Erased(std::string_view who) {
    contacts::v1::ContactErased erased;
    erased.set_ordinal(1);
    erased.set_contact_key(std::string(who));
    erased.set_generation(1);
    return erased;
  }

  sim::Scheduler scheduler_{1};
  std::unique_ptr<sim::SimLog> log_;
  std::unique_ptr<command::Sender> sender_;
  std::unique_ptr<Executor> executor_, blocking_;
  state::Disk keys_, disk_;
  state::MapKv kv_{disk_};
  state::Cache cache_{kv_, 1 << 20};
  std::unique_ptr<keyring::Keyring> ring_;
  keyring::SubjectKey ann_, bob_;
  std::unique_ptr<Eraser> eraser_;
};

TEST_F(EraserTest, DestroysTheKeysOfWhomTheJournalNamesAndTellsItUntilTheJournalShowsIt) {
  Lead();
  scheduler_.RunFor(Seconds(30));
  EXPECT_TRUE(HasKey(ann_));
  EXPECT_EQ(Told(), 0U);
  Accept(Erased(kAnn));
  scheduler_.RunFor(Seconds(1));
  EXPECT_FALSE(HasKey(ann_));
  EXPECT_TRUE(HasKey(bob_));
  EXPECT_EQ(Told(), 1U);
  scheduler_.RunFor(Seconds(25));
  EXPECT_GE(Told(), 2U) << "the first may be lost";
  contacts::v1::ContactKeysDestroyed destroyed;
  destroyed.set_contact_key(std::string(kAnn));
  destroyed.set_generation(1);
  Accept(destroyed);
  const uint64_t told = Told();
  scheduler_.RunFor(Seconds(60));
  EXPECT_EQ(Told(), told);
}

TEST_F(EraserTest, KeysMadeSinceAreDestroyedWhenTheErasedIsMetAgain) {
  Lead();
  Accept(Erased(kAnn));
  scheduler_.RunFor(Seconds(1));
  const auto since = ring_->GetOrCreate(kTenant, kAnn).value();
  contacts::v1::ErasedContactMet met;
  met.set_contact_key(std::string(kAnn));
  met.set_generation(2);
  Accept(met);
  scheduler_.RunFor(Seconds(1));
  EXPECT_FALSE(HasKey(since));
}

TEST_F(EraserTest, GoesOnAfterATakeOverAndLeavesToTheNextOwnerWhatIsIts) {
  cache_.Begin();
  state::Table<contacts::v1::KeysPending>(cache_).Edit(state::Key(kTenant, kAnn)).set_generation(3);
  cache_.Commit();
  Lead();
  Accept(Erased(kBob), Epoch(2));
  scheduler_.RunFor(Seconds(1));
  EXPECT_FALSE(HasKey(ann_));
  EXPECT_TRUE(HasKey(bob_));
}

TEST_F(EraserTest, KeysOfAFormerAddressAreFiledUnderTheNewOneAlsoAfterATakeOver) {
  cache_.Begin();
  auto& change = state::Table<contacts::v1::AddressChange>(cache_).Edit(state::Key(kTenant, uint64_t{9}));
  change.set_contact_key(std::string(kBob));
  change.set_former_key(std::string(kAnn));
  cache_.Commit();
  Lead();
  scheduler_.RunFor(Seconds(1));
  EXPECT_EQ(Told(), 1U);
  EXPECT_TRUE(HasKey(ann_)) << "what it sealed is opened as before";
  EXPECT_NE(ring_->GetOrCreate(kTenant, kAnn)->key_id, ann_.key_id);
  scheduler_.RunFor(Seconds(25));
  EXPECT_GE(Told(), 2U) << "the first may be lost";
  contacts::v1::AddressReleased released;
  released.set_contact_key(std::string(kAnn));
  released.set_ordinal(9);
  Accept(released);
  const uint64_t told = Told();
  scheduler_.RunFor(Seconds(60));
  EXPECT_EQ(Told(), told);
  Accept(Erased(kBob));
  scheduler_.RunFor(Seconds(1));
  EXPECT_FALSE(HasKey(ann_)) << "it is the same person's";
  EXPECT_FALSE(HasKey(bob_));
}

}  // namespace
}  // namespace maily::effects
