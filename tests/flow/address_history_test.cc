// Random histories of addresses: contacts come, change their addresses, are erased, come again, while links and keys are behind and
// partitions restart in any order. Of each address there is one owner at most at every moment, and every partition knows whose it is in the
// end.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

namespace contacts = maily::contacts::v1;

constexpr uint32_t kAddresses = 9;
constexpr uint16_t kPartitions = 3;

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

class History {
 public:
  explicit History(uint32_t seed) : random_(seed), world_(ThePipeline(), kPartitions, seed % 2 == 1) {}

  void Play() {
    for (int stretch = 0; stretch < 10 && !testing::Test::HasFailure(); ++stretch) {
      for (uint32_t step = 10 + Below(40); step > 0 && !testing::Test::HasFailure(); --step) Act();
      Settle();
      Check();
    }
    EXPECT_EQ(world_.CheckRestore(), "");
  }
  uint64_t changed() const { return changed_; }
  uint64_t refused() const { return refused_; }
  uint64_t forwarded() const { return forwarded_; }

 private:
  using Id = std::pair<uint16_t, uint64_t>;  // partition, ordinal

  template <class Message>
  Answered Ask(const Message& message, int partition, std::string_view key = {}) {
    const Answered answered =
        world_.Command(PartitionId(static_cast<uint16_t>(partition)), TypeNumberOf<Message>(), schema::Encode(message), world_.now(), key);
    Look();
    return answered;
  }
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  std::string Address() { return fmt::format("contact-{:08}", Below(kAddresses)); }
  static uint16_t HomeOf(const std::string& key) { return schema::PartitionOfContact(key, kPartitions).value(); }
  std::optional<Id> Someone() {
    if (living_.empty()) return std::nullopt;
    return std::next(living_.begin(), Below(static_cast<uint32_t>(living_.size())))->first;
  }
  template <class State, class... Part>
  std::optional<State> Find(uint16_t partition, const Part&... part) {
    std::string key;
    PutOrdered<uint16_t>(key, TypeNumberOf<State>());
    const auto stored = world_.Stored(PartitionId(partition), key + state::Key(TenantId(1), part...));
    if (!stored) return std::nullopt;
    State message;
    EXPECT_TRUE(message.ParseFromString(*stored));
    return message;
  }

  void Act() {
    const std::string address = Address();
    switch (Below(14)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        contacts::UpsertContact upsert;
        upsert.set_contact_key(address);
        upsert.set_address("sealed-" + address);
        upsert.set_source(std::to_string(Below(1000)));
        auto& attribute = *upsert.add_attributes();
        attribute.set_name("n");
        attribute.set_integer(Below(1000));
        if (Below(4) == 0) upsert.set_consent_proof("proof");
        Ask(upsert, HomeOf(address), address);
        break;
      }
      case 4:
      case 5:
      case 6:
      case 7:
        if (const auto who = Someone()) {
          contacts::ChangeAddress change;
          change.set_ordinal(who->second);
          change.set_contact_key(address);
          change.set_address("sealed-" + address);
          const bool asked = Ask(change, who->first).outcome == journal::Outcome::kDone;
          EXPECT_TRUE(!asked || asked_.insert(*who).second);
        }
        break;
      case 8:
        if (const auto who = Someone()) {
          contacts::EraseContact erase;
          erase.set_ordinal(who->second);
          Ask(erase, who->first);
        }
        break;
      case 9:
        if (Below(3) == 0) world_.Restart();
        break;
      case 10:
        FileKeys();
        break;
      case 11: {
        suppressions::v1::AddSuppression add;
        add.set_contact_key(address);
        add.set_reason("hard_bounce");
        if (Below(2) == 0) Ask(add, HomeOf(address), address);
        break;
      }
      case 12: {
        suppressions::v1::RemoveSuppression remove;
        remove.set_contact_key(address);
        Ask(remove, HomeOf(address), address);
        break;
      }
      default:
        break;
    }
    if (Below(2) == 0) world_.RunLinksOf(PartitionId(static_cast<uint16_t>(Below(kPartitions))));
    Look();
  }

  // What the effect brings back, of one change or erasure after another; twice now and then.
  bool FileKeys() {
    bool any = false;
    for (const auto& [who, former] : std::map(filing_)) {
      contacts::RecordKeysMoved moved;
      moved.set_ordinal(who.second);
      moved.set_former_key(former);
      Ask(moved, who.first);
      if (Below(3) == 0) Ask(moved, who.first);
      any = true;
    }
    for (const auto& [where, generation] : std::map(destroying_)) {
      contacts::RecordKeysDestroyed destroyed;
      destroyed.set_contact_key(where.second);
      destroyed.set_generation(generation);
      Ask(destroyed, where.first);
      any = true;
    }
    return any;
  }

  void Settle() {
    for (int round = 0; round < 100; ++round) {
      world_.Run();
      Look();
      if (!FileKeys()) return;
    }
    ADD_FAILURE() << "it does not come to an end";
  }

  void Look() {
    for (const Seen& seen : world_.TakeSeen()) {
      const uint16_t at = seen.partition.value();
      if (seen.type == TypeNumberOf<contacts::ContactCreated>()) {
        const auto event = Parsed<contacts::ContactCreated>(seen);
        EXPECT_EQ(HomeOf(event.contact_key()), at) << "a contact is born where its address lives";
        Own({at, event.ordinal()}, event.contact_key());
      } else if (seen.type == TypeNumberOf<contacts::ContactAddressChanged>()) {
        const auto event = Parsed<contacts::ContactAddressChanged>(seen);
        EXPECT_EQ(living_.at({at, event.ordinal()}), event.former_key());
        owners_.erase(event.former_key());
        Own({at, event.ordinal()}, event.contact_key());
        filing_[{at, event.ordinal()}] = event.former_key();
        asked_.erase({at, event.ordinal()});
        ++changed_;
      } else if (seen.type == TypeNumberOf<contacts::AddressChangeRefused>()) {
        asked_.erase({at, Parsed<contacts::AddressChangeRefused>(seen).ordinal()});
        ++refused_;
      } else if (seen.type == TypeNumberOf<contacts::AddressReleased>()) {
        filing_.erase({at, Parsed<contacts::AddressReleased>(seen).ordinal()});
      } else if (seen.type == TypeNumberOf<contacts::ContactErased>()) {
        const auto event = Parsed<contacts::ContactErased>(seen);
        owners_.erase(living_.at({at, event.ordinal()}));
        living_.erase({at, event.ordinal()});
        destroying_[{at, event.contact_key()}] = event.generation();
      } else if (seen.type == TypeNumberOf<contacts::ErasedContactMet>()) {
        const auto event = Parsed<contacts::ErasedContactMet>(seen);
        destroying_[{at, event.contact_key()}] = event.generation();
      } else if (seen.type == TypeNumberOf<contacts::AddressErased>()) {
        const auto event = Parsed<contacts::AddressErased>(seen);
        EXPECT_FALSE(owners_.contains(event.contact_key())) << "somebody else's keys would be destroyed";
        destroying_[{at, event.contact_key()}] = event.generation();
      } else if (seen.type == TypeNumberOf<contacts::ContactKeysDestroyed>()) {
        destroying_.erase({at, Parsed<contacts::ContactKeysDestroyed>(seen).contact_key()});
      } else if (seen.type == TypeNumberOf<contacts::CommandForwarded>()) {
        ++forwarded_;
      }
    }
  }
  template <class Event>
  static Event Parsed(const Seen& seen) {
    Event event;
    EXPECT_TRUE(event.ParseFromString(seen.payload));
    return event;
  }
  void Own(const Id& who, const std::string& address) {
    const auto [owner, first] = owners_.emplace(address, who);
    EXPECT_TRUE(first) << address << " belongs to two contacts: " << owner->second.second << " of partition " << owner->second.first
                       << " and " << who.second << " of " << who.first;
    living_[who] = address;
  }

  // Nothing is under way.
  void Check() {
    EXPECT_TRUE(asked_.empty()) << "a change was neither made nor refused";
    for (uint32_t i = 0; i < kAddresses; ++i) {
      const std::string address = fmt::format("contact-{:08}", i);
      const uint16_t home = HomeOf(address);
      const auto owner = owners_.find(address);
      const auto ref = Find<contacts::ContactRef>(home, address);
      const auto elsewhere = Find<contacts::ContactElsewhere>(home, address);
      if (owner == owners_.end()) {
        EXPECT_FALSE(ref.has_value() || elsewhere.has_value()) << address << " is nobody's, and its partition does not know";
        continue;
      }
      const auto [partition, ordinal] = owner->second;
      const auto contact = Find<contacts::Contact>(partition, ordinal);
      ASSERT_TRUE(contact.has_value());
      EXPECT_EQ(contact->contact_key(), address);
      EXPECT_EQ(contact->address(), "sealed-" + address);
      const auto own = Find<contacts::ContactRef>(partition, address);
      EXPECT_TRUE(own.has_value() && own->ordinal() == ordinal) << address;
      EXPECT_EQ(elsewhere.has_value(), partition != home) << address;
      EXPECT_TRUE(!elsewhere || Id(elsewhere->partition(), elsewhere->ordinal()) == owner->second) << address;
      EXPECT_EQ(Find<suppressions::v1::Suppression>(partition, address).has_value(),
                Find<suppressions::v1::Suppression>(home, address).has_value())
          << address << ": where its contact lives it is not known whether it is suppressed";
    }
  }

  std::mt19937 random_;
  World world_;
  std::map<Id, std::string> living_;                                 // address
  std::map<std::string, Id> owners_;                                 // by address
  std::set<Id> asked_;                                               // a change that is not decided
  std::map<Id, std::string> filing_;                                 // former address whose keys are to be filed
  std::map<std::pair<uint16_t, std::string>, uint32_t> destroying_;  // generation
  uint64_t changed_ = 0;
  uint64_t refused_ = 0;
  uint64_t forwarded_ = 0;
};

TEST(Addresses, HaveOneOwnerInAnyHistory) {
  uint64_t changed = 0, refused = 0, forwarded = 0;
  for (uint32_t seed = 1; seed <= 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History history(seed);
    history.Play();
    changed += history.changed();
    refused += history.refused();
    forwarded += history.forwarded();
  }
  EXPECT_GT(changed, 300U);
  EXPECT_GT(refused, 100U);
  EXPECT_GT(forwarded, 100U);
}

}  // namespace
}  // namespace maily::flow
