// Random histories of merges: contacts come, are merged, change their addresses, opt out, withdraw, complain and are erased, while links
// and keys are behind and partitions restart in any order. Every merge ends, of each address there is one owner at most, what a person has
// refused by any of its contacts holds for the one that is left, and an erasure leaves none of them.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "maily/consents/v1/commands.pb.h"
#include "maily/consents/v1/events.pb.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/suppressions/v1/events.pb.h"
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
namespace consents = maily::consents::v1;

constexpr uint32_t kAddresses = 9;
constexpr uint16_t kPartitions = 3;
constexpr const char* kPurpose = "calls";

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

uint16_t HomeOf(const std::string& key) { return schema::PartitionOfContact(key, kPartitions).value(); }
std::string AddressOf(uint32_t i) { return fmt::format("contact-{:08}", i); }

using Id = std::pair<uint16_t, uint64_t>;  // partition, ordinal

struct Asking {
  World& world;

  template <class Message>
  Answered operator()(const Message& message, int partition, std::string_view key = {}) {
    return world.Command(PartitionId(static_cast<uint16_t>(partition)), TypeNumberOf<Message>(), schema::Encode(message), world.now(), key);
  }
  Answered Upsert(const std::string& address, const std::string& attribute = {}) {
    contacts::UpsertContact upsert;
    upsert.set_contact_key(address);
    upsert.set_address("sealed-" + address);
    if (!attribute.empty()) {
      upsert.add_attributes()->set_name(attribute);
      upsert.mutable_attributes(0)->set_text(address);
      upsert.add_tags(attribute);
    }
    return (*this)(upsert, HomeOf(address), address);
  }
  Answered Merge(const Id& from, const Id& into) {
    contacts::MergeContact merge;
    merge.set_ordinal(from.second);
    merge.set_into_partition(into.first);
    merge.set_into_ordinal(into.second);
    return (*this)(merge, from.first);
  }
};

template <class State, class... Part>
std::optional<State> Find(World& world, uint16_t partition, const Part&... part) {
  std::string key;
  PutOrdered<uint16_t>(key, TypeNumberOf<State>());
  const auto stored = world.Stored(PartitionId(partition), key + state::Key(TenantId(1), part...));
  if (!stored) return std::nullopt;
  State message;
  EXPECT_TRUE(message.ParseFromString(*stored));
  return message;
}

template <class Event>
Event Parsed(const Seen& seen) {
  Event event;
  EXPECT_TRUE(event.ParseFromString(seen.payload));
  return event;
}

class History {
 public:
  explicit History(uint32_t seed) : random_(seed), world_(ThePipeline(), kPartitions, seed % 2 == 1), ask_{world_} {}

  void Play() {
    for (int stretch = 0; stretch < 8 && !testing::Test::HasFailure(); ++stretch) {
      for (uint32_t step = 10 + Below(40); step > 0 && !testing::Test::HasFailure(); --step) Act();
      Settle();
      Check();
    }
    EXPECT_EQ(world_.CheckRestore(), "");
  }
  uint64_t merged() const { return merged_; }
  uint64_t refused() const { return refused_; }
  uint64_t claimed() const { return claimed_; }
  uint64_t erased() const { return erased_with_; }

 private:
  // What is known of a contact that lives, with all that were merged into it.
  struct Person {
    std::string address;                // the mail's
    std::set<std::string> addresses{};  // of those that were merged into it
    std::set<Id> merged{};
    bool opted_out = false;
    bool withdrawn = false;  // of kPurpose
    bool complained = false;
  };

  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  std::optional<Id> Someone() {
    if (living_.empty()) return std::nullopt;
    return std::next(living_.begin(), Below(static_cast<uint32_t>(living_.size())))->first;
  }

  void Act() {
    const std::string address = AddressOf(Below(kAddresses));
    const auto who = Someone();
    switch (Below(16)) {
      case 0:
      case 1:
      case 2:
        ask_.Upsert(address, fmt::format("n{}", Below(4)));
        break;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        if (const auto into = Someone(); who && *into != *who && ask_.Merge(*who, *into).outcome == journal::Outcome::kDone) {
          Look();
          merging_.insert(*who);
        }
        break;
      case 8:
        if (who) {
          contacts::ChangeAddress change;
          change.set_ordinal(who->second);
          change.set_contact_key(address);
          change.set_address("sealed-" + address);
          if (ask_(change, who->first).outcome == journal::Outcome::kDone) changing_.insert(*who);
        }
        break;
      case 9:
        if (who && Below(2) == 0) {
          contacts::EraseContact erase;
          erase.set_ordinal(who->second);
          ask_(erase, who->first);
        }
        break;
      case 10:
        if (Below(3) == 0) world_.Restart();
        break;
      case 11:
        FileKeys();
        break;
      case 12: {
        suppressions::v1::AddSuppression add;
        add.set_contact_key(address);
        add.set_reason(Below(3) == 0 ? "complaint" : "hard_bounce");
        if (Below(3) == 0) ask_(add, HomeOf(address), address);
        break;
      }
      case 13:
      case 14: {
        consents::RecordConsent consent;
        consent.set_contact_key(address);
        consent.set_source("api");
        consent.set_purpose(Below(2) == 0 ? kPurpose : "marketing");
        if (Below(2) == 0) ask_(consent, HomeOf(address), address);
        break;
      }
      default: {
        lists::v1::JoinList join;
        join.set_contact_key(address);
        join.set_list_id(1 + Below(3));
        ask_(join, HomeOf(address), address);
      }
    }
    if (Below(2) == 0) world_.RunLinksOf(PartitionId(static_cast<uint16_t>(Below(kPartitions))));
    Look();
  }

  // What the effect brings back, of one change or erasure after another; twice now and then.
  bool FileKeys() {
    const bool any = !filing_.empty() || !destroying_.empty();
    for (const auto& [who, former] : std::map(filing_)) {
      contacts::RecordKeysMoved moved;
      moved.set_ordinal(who.second);
      moved.set_former_key(former);
      ask_(moved, who.first);
      if (Below(3) == 0) ask_(moved, who.first);
    }
    for (const auto& [where, generation] : std::map(destroying_)) {
      contacts::RecordKeysDestroyed destroyed;
      destroyed.set_contact_key(where.second);
      destroyed.set_generation(generation);
      ask_(destroyed, where.first);
    }
    Look();
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

  Person* OwnerOf(const std::string& address) {
    const auto owner = owners_.find(address);
    return owner == owners_.end() ? nullptr : &living_.at(owner->second);
  }
  Person* At(uint16_t partition, uint64_t ordinal) {
    const auto found = living_.find({partition, ordinal});
    return found == living_.end() ? nullptr : &found->second;
  }

  void Look() {
    for (const Seen& seen : world_.TakeSeen()) {
      const uint16_t at = seen.partition.value();
      if (seen.type == TypeNumberOf<contacts::ContactCreated>()) {
        const auto event = Parsed<contacts::ContactCreated>(seen);
        EXPECT_EQ(HomeOf(event.contact_key()), at) << "a contact is born where its address lives";
        Own({at, event.ordinal()}, event.contact_key());
        living_[{at, event.ordinal()}].address = event.contact_key();
      } else if (seen.type == TypeNumberOf<contacts::ContactAddressChanged>()) {
        const auto event = Parsed<contacts::ContactAddressChanged>(seen);
        owners_.erase(event.former_key());
        Own({at, event.ordinal()}, event.contact_key());
        living_.at({at, event.ordinal()}).address = event.contact_key();
        filing_[{at, event.ordinal()}] = event.former_key();
        changing_.erase({at, event.ordinal()});
      } else if (seen.type == TypeNumberOf<contacts::AddressChangeRefused>()) {
        changing_.erase({at, Parsed<contacts::AddressChangeRefused>(seen).ordinal()});
      } else if (seen.type == TypeNumberOf<contacts::AddressReleased>()) {
        filing_.erase({at, Parsed<contacts::AddressReleased>(seen).ordinal()});
      } else if (seen.type == TypeNumberOf<contacts::ContactMerged>()) {
        Merged(at, Parsed<contacts::ContactMerged>(seen));
      } else if (seen.type == TypeNumberOf<contacts::MergeRefused>()) {
        merging_.erase({at, Parsed<contacts::MergeRefused>(seen).ordinal()});
        ++refused_;
      } else if (seen.type == TypeNumberOf<contacts::AddressClaimed>()) {
        ++claimed_;
      } else if (seen.type == TypeNumberOf<contacts::ContactErased>()) {
        Erased(at, Parsed<contacts::ContactErased>(seen));
      } else if (seen.type == TypeNumberOf<contacts::ErasedContactMet>()) {
        const auto event = Parsed<contacts::ErasedContactMet>(seen);
        EXPECT_FALSE(owners_.contains(event.contact_key())) << "somebody else's keys would be destroyed";
        destroying_[{at, event.contact_key()}] = event.generation();
      } else if (seen.type == TypeNumberOf<contacts::AddressErased>()) {
        const auto event = Parsed<contacts::AddressErased>(seen);
        if (event.ordinal() == 0)
          EXPECT_FALSE(owners_.contains(event.contact_key())) << "somebody else's keys would be destroyed";
        else
          EXPECT_EQ(owners_.at(event.contact_key()), Id(at, event.ordinal())) << "somebody else's keys would be destroyed";
        destroying_[{at, event.contact_key()}] = event.generation();
      } else if (seen.type == TypeNumberOf<contacts::ContactKeysDestroyed>()) {
        destroying_.erase({at, Parsed<contacts::ContactKeysDestroyed>(seen).contact_key()});
      } else if (seen.type == TypeNumberOf<consents::ConsentWithdrawn>()) {
        const auto event = Parsed<consents::ConsentWithdrawn>(seen);
        if (Person* person = At(at, event.ordinal())) (event.purpose() == "marketing" ? person->opted_out : person->withdrawn) = true;
      } else if (seen.type == TypeNumberOf<suppressions::v1::SuppressionAdded>()) {
        const auto event = Parsed<suppressions::v1::SuppressionAdded>(seen);
        const auto owner = owners_.find(event.contact_key());
        if (event.reason() == "complaint" && HomeOf(event.contact_key()) == at && owner != owners_.end() &&
            !changing_.contains(owner->second))
          living_.at(owner->second).complained = true;
      }
    }
  }
  void Own(const Id& who, const std::string& address) {
    const auto [owner, first] = owners_.emplace(address, who);
    EXPECT_TRUE(first) << address << " belongs to two contacts: " << owner->second.second << " of partition " << owner->second.first
                       << " and " << who.second << " of " << who.first;
  }
  void Merged(uint16_t at, const contacts::ContactMerged& event) {
    const Id from{at, event.ordinal()};
    const Id into{static_cast<uint16_t>(event.into_partition()), event.into_ordinal()};
    ASSERT_TRUE(living_.contains(into)) << "merged into who is not there";
    const Person was = living_.at(from);
    living_.erase(from);
    merging_.erase(from);
    Person& person = living_.at(into);
    person.addresses.insert(was.addresses.begin(), was.addresses.end());
    person.addresses.insert(was.address);
    for (const std::string& address : was.addresses) owners_[address] = into;
    owners_[was.address] = into;
    EXPECT_EQ(std::set<std::string>(event.addresses().begin(), event.addresses().end()).size(), was.addresses.size() + 1);
    person.merged.insert(was.merged.begin(), was.merged.end());
    person.merged.insert(from);
    person.opted_out |= was.opted_out;
    person.withdrawn |= was.withdrawn;
    person.complained |= was.complained;
    ++merged_;
  }
  void Erased(uint16_t at, const contacts::ContactErased& event) {
    if (event.merged()) {
      EXPECT_EQ(forgetting_.erase({at, event.ordinal()}), 1U) << "of whom nobody has erased the other";
      ++erased_with_;
      return;
    }
    const Person was = living_.at({at, event.ordinal()});
    living_.erase({at, event.ordinal()});
    owners_.erase(was.address);
    for (const std::string& address : was.addresses) owners_.erase(address);
    forgetting_.insert(was.merged.begin(), was.merged.end());
    destroying_[{at, event.contact_key()}] = event.generation();
  }

  // Nothing is under way.
  void Check() {
    EXPECT_TRUE(merging_.empty()) << "a merge was neither made nor refused";
    EXPECT_TRUE(changing_.empty()) << "a change was neither made nor refused";
    EXPECT_TRUE(forgetting_.empty()) << "who was merged outlives whom it was merged into";
    for (uint32_t i = 0; i < kAddresses; ++i) CheckAddress(AddressOf(i));
    for (const auto& [who, person] : living_) CheckPerson(who, person);
  }
  void CheckAddress(const std::string& address) {
    const uint16_t home = HomeOf(address);
    const auto owner = owners_.find(address);
    const auto ref = Find<contacts::ContactRef>(world_, home, address);
    const auto elsewhere = Find<contacts::ContactElsewhere>(world_, home, address);
    if (owner == owners_.end()) {
      EXPECT_FALSE(ref.has_value() || elsewhere.has_value()) << address << " is nobody's, and its partition does not know";
      return;
    }
    const auto [partition, ordinal] = owner->second;
    const auto own = Find<contacts::ContactRef>(world_, partition, address);
    EXPECT_TRUE(own.has_value() && own->ordinal() == ordinal) << address;
    EXPECT_EQ(elsewhere.has_value(), partition != home) << address;
    EXPECT_TRUE(!elsewhere || Id(elsewhere->partition(), elsewhere->ordinal()) == owner->second) << address;
  }
  void CheckPerson(const Id& who, const Person& person) {
    const auto [partition, ordinal] = who;
    EXPECT_FALSE(Find<contacts::ContactMerge>(world_, partition, ordinal).has_value());
    EXPECT_FALSE(Find<contacts::MergeIntake>(world_, partition, ordinal).has_value());
    const auto contact = Find<contacts::Contact>(world_, partition, ordinal);
    ASSERT_TRUE(contact.has_value());
    EXPECT_EQ(contact->contact_key(), person.address);
    std::set<std::string> addresses;
    for (const auto& merged : contact->merged()) addresses.insert(merged.contact_key());
    EXPECT_EQ(addresses, person.addresses);
    for (const Id& other : person.merged) {
      EXPECT_TRUE(Find<contacts::MergedContact>(world_, other.first, other.second).has_value());
      EXPECT_FALSE(Find<contacts::Contact>(world_, other.first, other.second).has_value());
      EXPECT_FALSE(Find<lists::v1::Subscriber>(world_, other.first, other.second).has_value());
    }
    const auto subscriber = Find<lists::v1::Subscriber>(world_, partition, ordinal);
    EXPECT_EQ(subscriber && subscriber->unsubscribed_at_us() != 0, person.opted_out) << person.address;
    const auto said = Find<consents::Person>(world_, partition, ordinal);
    const bool withdrawn = said && std::any_of(said->purposes().begin(), said->purposes().end(),
                                               [](const auto& one) { return one.purpose() == kPurpose && !one.granted(); });
    EXPECT_EQ(withdrawn, person.withdrawn) << person.address;
    if (!person.complained) return;
    for (const uint16_t where : {partition, HomeOf(person.address)}) {
      const auto entry = Find<suppressions::v1::Suppression>(world_, where, person.address);
      EXPECT_TRUE(entry.has_value()) << person.address << " is mailed, and the person has complained";
    }
  }

  std::mt19937 random_;
  World world_;
  Asking ask_;
  std::map<Id, Person> living_;
  std::map<std::string, Id> owners_;                                 // by address
  std::set<Id> merging_;                                             // that are asked for and not decided
  std::set<Id> changing_;                                            // addresses, likewise
  std::set<Id> forgetting_;                                          // whom they were merged into is erased
  std::map<Id, std::string> filing_;                                 // former address whose keys are to be filed
  std::map<std::pair<uint16_t, std::string>, uint32_t> destroying_;  // generation
  uint64_t merged_ = 0;
  uint64_t refused_ = 0;
  uint64_t claimed_ = 0;
  uint64_t erased_with_ = 0;
};

TEST(Merges, KeepAddressesAndRefusalsInAnyHistory) {
  uint64_t merged = 0, refused = 0, claimed = 0, erased = 0;
  for (uint32_t seed = 1; seed <= 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History history(seed);
    history.Play();
    merged += history.merged();
    refused += history.refused();
    claimed += history.claimed();
    erased += history.erased();
  }
  EXPECT_GT(merged, 1000U);
  EXPECT_GT(refused, 100U);
  EXPECT_GT(claimed, 100U);
  EXPECT_GT(erased, 100U);
}

// A merge of a contact into which another was merged before, its address at home in a third partition: every partition starts again from
// its journal after every step, and all comes to the same.
TEST(Merges, SurviveARestartBetweenEveryTwoSteps) {
  const auto play = [](bool restarts) {
    World world(ThePipeline(), kPartitions, false);
    Asking ask{world};
    std::map<uint16_t, std::pair<std::string, Id>> born;  // one a partition
    for (uint32_t i = 0; born.size() < kPartitions; ++i) {
      const uint16_t home = HomeOf(AddressOf(i));
      if (born.contains(home)) continue;
      ask.Upsert(AddressOf(i), fmt::format("n{}", home));
      born[home] = {AddressOf(i), Id{home, 1}};
    }
    const auto settle = [&] {
      for (bool any = true; any;) {
        any = false;
        for (uint16_t i = 0; i < kPartitions; ++i) {
          any = world.RunLinksOf(PartitionId(i)) || any;
          if (restarts) world.Restart();
        }
      }
    };
    ask.Merge(born[0].second, born[1].second);
    settle();
    ask.Merge(born[1].second, born[2].second);
    settle();
    const auto contact = Find<contacts::Contact>(world, 2, uint64_t{1});
    EXPECT_TRUE(contact && contact->merged_size() == 2 && contact->attributes_size() == 3 && contact->tags_size() == 3);
    EXPECT_EQ(world.CheckRestore(), "");
    return world.Digest();
  };
  EXPECT_EQ(play(true), play(false));
}

}  // namespace
}  // namespace maily::flow
