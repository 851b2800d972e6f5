// See eraser.h.
#include "processors/effects/erasure/eraser.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "processors/effects/lag.h"
#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/observe/logging.h"
#include "streams/state/key.h"
#include "streams/state/table.h"

namespace maily::effects {
namespace {

constexpr Duration kAgain = Seconds(1);
constexpr Duration kTellAgain = Seconds(10);  // what the journal does not show yet

}  // namespace

struct Eraser::Impl : std::enable_shared_from_this<Impl> {
  Impl(Clock& clock_in, Entropy& entropy_in, Executor& executor_in, Executor& blocking_in, command::Sender& sender_in,
       keyring::Keyring& keyring_in)
      : clock(clock_in), entropy(entropy_in), executor(executor_in), blocking(blocking_in), sender(sender_in), keyring(keyring_in) {}

  using Subject = std::pair<TenantId, std::string>;  // tenant, contact key
  struct Asked {
    uint32_t generation = 0;
    uint64_t ordinal = 0;  // of the contact whose keys are moved; 0 = they are destroyed
    std::string move_to;
    bool destroyed = false;  // or moved
    Duration told_at;        // steady time
    Lag::Open owed;
  };

  void Ask(const Subject& subject, uint32_t generation) {
    Asked& one = asked[subject];
    if (one.generation >= generation && one.generation != 0) return;
    one.generation = generation;
    one.destroyed = false;
    if (!one.owed) one.owed = lag->Begin();
    Next();
  }
  void AskToMove(const Subject& subject, uint64_t ordinal, std::string to) {
    Asked& one = moves[subject];
    one.ordinal = ordinal;
    one.move_to = std::move(to);
    if (!one.owed) one.owed = lag->Begin();
    Next();
  }

  // One at a time: each waits for the disk.
  void Next() {
    if (busy || stopped) return;
    for (auto& [subject, one] : moves) {
      if (one.destroyed) continue;
      busy = true;
      blocking.Post([weak = weak_from_this(), &ring = keyring, &own = executor, subject = subject, to = one.move_to] {
        const auto moved = ring.Move(subject.first, subject.second, to);
        own.Post([weak, subject, failure = moved ? std::optional<Error>() : std::optional(moved.error())] {
          if (auto self = weak.lock()) self->Came(self->moves, subject, 0, failure);
        });
      });
      return;
    }
    for (auto& [subject, one] : asked) {
      if (one.destroyed) continue;
      busy = true;
      blocking.Post([weak = weak_from_this(), &ring = keyring, &own = executor, subject = subject, generation = one.generation] {
        const auto destroyed = ring.Destroy(subject.first, subject.second);
        own.Post([weak, subject, generation, failure = destroyed ? std::optional<Error>() : std::optional(destroyed.error())] {
          if (auto self = weak.lock()) self->Came(self->asked, subject, generation, failure);
        });
      });
      return;
    }
  }

  void Came(std::map<Subject, Asked>& of, const Subject& subject, uint32_t generation, const std::optional<Error>& failure) {
    busy = false;
    if (stopped) return;
    if (failure) {
      observe::Log(observe::Level::kError, "keys of a contact were not destroyed or moved; it is tried again",
                   {{"partition", partition}, {"error", *failure}});
      executor.After(kAgain, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->Next();
      });
      return;
    }
    const auto found = of.find(subject);
    if (found != of.end() && found->second.generation == generation) {
      found->second.destroyed = true;
      Tell(subject, found->second);
    }
    Next();
  }

  void Tell(const Subject& subject, Asked& one) {
    if (one.ordinal != 0) {
      contacts::v1::RecordKeysMoved moved;
      moved.set_ordinal(one.ordinal);
      moved.set_former_key(subject.second);
      return Tell(subject.first, one, moved);
    }
    contacts::v1::RecordKeysDestroyed destroyed;
    destroyed.set_contact_key(subject.second);
    destroyed.set_generation(one.generation);
    Tell(subject.first, one, destroyed);
  }
  template <class Command>
  void Tell(TenantId tenant, Asked& one, const Command& told) {
    const std::string payload = schema::Encode(told);
    command::Command command;
    command.id = entropy.NextId<CommandId>();
    command.type = TypeNumberOf<Command>();
    command.tenant = tenant;
    command.actor = "effect:erasure";
    command.occurred_at = clock.Now();
    command.payload = payload;
    one.told_at = clock.Steady();
    sender.Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});  // told again until the journal shows it
  }

  void Poll() {
    executor.After(kTellAgain, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || self->stopped) return;
      for (auto* of : {&self->asked, &self->moves}) {
        for (auto& [subject, one] : *of) {
          if (one.destroyed && self->clock.Steady() - one.told_at >= kTellAgain) self->Tell(subject, one);
        }
      }
      self->Poll();
    });
  }

  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  Executor& blocking;
  command::Sender& sender;
  keyring::Keyring& keyring;
  PartitionId partition;
  Epoch epoch;
  std::map<Subject, Asked> asked;  // until the journal shows that it is done
  std::map<Subject, Asked> moves;  // likewise; of former addresses
  std::optional<Lag> lag;
  bool busy = false;
  bool stopped = false;
};

Eraser::Eraser(Clock& clock, Entropy& entropy, Executor& executor, Executor& blocking, command::Sender& sender, keyring::Keyring& keyring)
    : impl_(std::make_shared<Impl>(clock, entropy, executor, blocking, sender, keyring)) {}

Eraser::~Eraser() { impl_->stopped = true; }

void Eraser::Lead(const Leadership& leadership) {
  impl_->partition = leadership.partition;
  impl_->epoch = leadership.epoch;
  impl_->lag.emplace(impl_->clock, "erasure", leadership.partition);
  state::View<contacts::v1::KeysPending>(*leadership.cache)
      .Scan({}, {}, [&](std::string_view key, const contacts::v1::KeysPending& pending) {
        Cursor cursor(key);
        const TenantId tenant(cursor.Ordered<uint32_t>());
        impl_->Ask({tenant, std::string(key.substr(sizeof(uint32_t)))}, pending.generation());
        return true;
      });
  state::View<contacts::v1::AddressChange>(*leadership.cache)
      .Scan({}, {}, [&](std::string_view key, const contacts::v1::AddressChange& change) {
        Cursor cursor(key);
        const TenantId tenant(cursor.Ordered<uint32_t>());
        if (!change.former_key().empty()) impl_->AskToMove({tenant, change.former_key()}, cursor.Ordered<uint64_t>(), change.contact_key());
        return true;
      });
  impl_->Poll();
}

void Eraser::Accepted(const journal::AcceptedFrame& frame) {
  // Frames of the next owner, before this one has heard of it, are that one's to carry out.
  if (impl_->stopped || frame.after.epoch != impl_->epoch) return;
  const auto read = [&](const journal::Event& event, auto& message) {
    const auto decoded = schema::DecodeInto(message, event.payload);
    if (!decoded) {
      observe::Log(observe::Level::kError, "an erasure cannot be read", {{"partition", impl_->partition}, {"error", decoded.error()}});
    }
    return decoded.has_value();
  };
  for (const journal::Decision& decision : frame.decisions) {
    for (const journal::Event& event : decision.events) {
      if (event.type == TypeNumberOf<contacts::v1::ContactErased>()) {
        contacts::v1::ContactErased erased;
        if (read(event, erased) && !erased.merged()) impl_->Ask({decision.tenant, erased.contact_key()}, erased.generation());
      } else if (event.type == TypeNumberOf<contacts::v1::ErasedContactMet>()) {
        contacts::v1::ErasedContactMet met;
        if (read(event, met)) impl_->Ask({decision.tenant, met.contact_key()}, met.generation());
      } else if (event.type == TypeNumberOf<contacts::v1::AddressErased>()) {
        contacts::v1::AddressErased erased;
        if (read(event, erased)) impl_->Ask({decision.tenant, erased.contact_key()}, erased.generation());
      } else if (event.type == TypeNumberOf<contacts::v1::ContactAddressChanged>()) {
        contacts::v1::ContactAddressChanged changed;
        if (read(event, changed)) impl_->AskToMove({decision.tenant, changed.former_key()}, changed.ordinal(), changed.contact_key());
      } else if (event.type == TypeNumberOf<contacts::v1::AddressReleased>()) {
        contacts::v1::AddressReleased released;
        if (read(event, released)) impl_->moves.erase({decision.tenant, released.contact_key()});
      } else if (event.type == TypeNumberOf<contacts::v1::ContactKeysDestroyed>()) {
        contacts::v1::ContactKeysDestroyed destroyed;
        if (read(event, destroyed)) impl_->asked.erase({decision.tenant, destroyed.contact_key()});
      }
    }
  }
}

void Eraser::Stop() {
  impl_->stopped = true;
  impl_->asked.clear();
  impl_->moves.clear();
  impl_->lag.reset();
}

}  // namespace maily::effects
