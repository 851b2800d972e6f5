// See gateway.h.
#include "api/gateway/gateway.h"

#include <google/protobuf/message.h>

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "maily/lists/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"

namespace maily::gateway {
namespace {

constexpr Duration kRegistryStaleMax = Seconds(1);
constexpr Duration kRegistryWait = Seconds(5);
constexpr Duration kAppendWait = Seconds(2);  // for the log, after the time of a request is over
constexpr int64_t kAttributesMax = 1000;      // of one tenant: more cannot be registered

// A request between its append and its answer. Done is called once, on the executor.
struct Pending {
  std::mutex mutex;
  std::optional<CommandAt> at;
  std::string why;
  Done done;  // executor only
  CommandId id;
  bool overdue = false;  // executor only: its time is over, and whether it is durable is not known yet
};

// On the executor.
void Finish(Pending& pending, Verdict verdict) {
  if (!pending.done) return;
  verdict.id = pending.id;
  std::exchange(pending.done, nullptr)(std::move(verdict));
}

// True if the command goes to the partition that its schema says.
bool KeyFits(TenantId tenant, const Order& order) {
  const schema::Type* type = schema::FindType(order.type);
  switch (type == nullptr ? schema::Key::kNone : type->key) {
    case schema::Key::kContact:
      return order.key.size() == schema::kContactKeyBytes;
    case schema::Key::kHome:
      return order.key == schema::HomeKey(tenant);
    case schema::Key::kTenants:
      return order.key == schema::kTenantsKey;
    case schema::Key::kNamed:
      return order.partition.has_value();
    case schema::Key::kNone:
      return true;
  }
  return true;
}

}  // namespace

struct Gateway::Impl : std::enable_shared_from_this<Gateway::Impl> {
  struct Known {
    // The last of this process that were decided; no other command changes what there is of them.
    std::optional<CommandAt> attribute;  // RegisterAttribute
    std::optional<CommandAt> list;       // CreateList
    std::optional<CommandAt> shown;      // the views showed all up to this one when `registry` was read
    std::shared_ptr<const Registry> registry;
    Duration read_at;
  };

  explicit Impl(Parts parts_in) : parts(parts_in), subject_keys(parts.keyring, parts.blocking), latest(parts_in.log.partition_count) {}

  PartitionId PartitionFor(const Order& order) const {
    return order.partition ? *order.partition : PartitionOf(order.key, parts.log.partition_count);
  }

  Result<std::string> Hash(const Asker& asker, const Order& order) {
    if (order.natural_key.empty() || order.sequence > 0) return std::string();
    MAILY_TRY(const keyring::TenantKeys* keys, parts.keyring.Tenant(asker.tenant));
    std::string canonical;
    PutFixed(canonical, order.type);
    canonical += order.plain.empty() ? order.payload : order.plain;
    return schema::RequestHash(*keys, canonical);
  }

  void Send(const Asker& asker, const Order& order, const CommandId& id, std::string_view hash, Sync sync, command::Sent sent) {
    MAILY_CHECK(KeyFits(asker.tenant, order), "a command of type {} is not for the partition of its key", order.type);
    const Instant now = parts.clock.Now();
    parts.sender.Send(
        PartitionFor(order),
        {.id = id,
         .type = order.type,
         .tenant = asker.tenant,
         .key = order.key,
         .actor = asker.actor,
         .occurred_at = order.occurred_at.us == 0 ? now : order.occurred_at,
         .trace = asker.trace,
         .causation = {},
         .correlation = id,
         .natural_key = order.natural_key,
         .sequence = order.sequence,
         .request_hash = hash,
         .payload = order.payload.empty() ? order.plain : order.payload},
        sync,
        [impl = shared_from_this(), sent = std::move(sent)](Result<CommandAt> at) mutable {
          if (at) impl->NoteLatest(*at);
          sent(std::move(at));
        },
        order.more);
  }

  // Offsets and indexes are kept in one word: 44 and 20 bits, plus one, so that zero means none.
  void NoteLatest(const CommandAt& at) {
    const uint64_t place = ((at.offset.value() << 20u) | std::min<uint64_t>(at.index, (1u << 20u) - 1)) + 1;
    std::atomic<uint64_t>& last = latest[at.partition.value()];
    uint64_t known = last.load(std::memory_order_relaxed);
    while (known < place && !last.compare_exchange_weak(known, place, std::memory_order_relaxed)) {
    }
    generation.store(at.generation, std::memory_order_relaxed);
  }

  // Of a command that was decided.
  void NoteDefinition(TenantId tenant, TypeNumber type, const CommandAt& at) {
    static const TypeNumber kAttribute = schema::NumberOf(*tenants::v1::RegisterAttribute::descriptor());
    static const TypeNumber kList = schema::NumberOf(*lists::v1::CreateList::descriptor());
    if (type != kAttribute && type != kList) return;
    const std::lock_guard lock(mutex);
    Known& known = tenants[tenant];
    std::optional<CommandAt>& last = type == kList ? known.list : known.attribute;
    last = std::max(last, std::optional(at));
  }

  // The registry if it is known well enough; else `wanted` = what the views have to show first.
  std::shared_ptr<const Registry> KnownRegistry(TenantId tenant, bool with_lists, std::optional<CommandAt>& wanted) {
    const std::lock_guard lock(mutex);
    const Known& known = tenants[tenant];
    wanted = with_lists ? std::max(known.attribute, known.list) : known.attribute;
    const bool fresh = known.registry && known.shown >= wanted && parts.clock.Steady() - known.read_at < kRegistryStaleMax;
    return fresh ? known.registry : nullptr;
  }

  Result<std::shared_ptr<const Registry>> ReadRegistry(TenantId tenant, const std::optional<CommandAt>& shown) {
    const Duration now = parts.clock.Steady();
    MAILY_TRY(const projections::Rows rows, parts.views.Query("attributes", {{"tenant", sql::Value::Integer(tenant.value())},
                                                                             {"after", sql::Value::Text("")},
                                                                             {"limit", sql::Value::Integer(kAttributesMax)}}));
    std::vector<tenants::v1::AttributeDefinition> attributes(rows.size());
    for (size_t row = 0; row < rows.size(); ++row) {
      attributes[row].set_name(rows.at(row, "name").bytes);
      tenants::v1::AttributeType type{};
      std::string upper = rows.at(row, "type").bytes;
      for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      if (!tenants::v1::AttributeType_Parse(upper, &type))
        return Fail(Code::kCorrupt, "attribute {} has the unknown type {}", attributes[row].name(), upper);
      attributes[row].set_attribute_type(type);
      attributes[row].set_personal(rows.at(row, "personal").integer != 0);
    }
    auto registry = std::make_shared<const Registry>(std::move(attributes));
    const std::lock_guard lock(mutex);
    Known& known = tenants[tenant];
    known.registry = registry;
    known.shown = shown;
    known.read_at = now;
    return registry;
  }

  void WithRegistry(TenantId tenant, bool with_lists, RegistryDone done) {
    std::optional<CommandAt> wanted;
    if (auto registry = KnownRegistry(tenant, with_lists, wanted)) return done(std::move(registry));
    if (!wanted) return done(ReadRegistry(tenant, wanted));
    auto waited = [self = shared_from_this(), tenant, wanted, done = std::move(done)](bool fresh) mutable {
      if (!fresh) return done(Fail(Code::kRetry, "the registered attributes are not up to date: the read models are behind"));
      done(self->ReadRegistry(tenant, wanted));
    };
    parts.views.freshness().Wait(parts.views.GroupOf("attributes"), {*wanted}, kRegistryWait, parts.blocking, std::move(waited));
  }

  // Waits for the decision. A request whose time is over before the log has said whether it is durable waits for that a little longer:
  // after a pause of the whole process (a frozen machine) the timer comes before the log's answer, which is ready.
  void Await(const std::shared_ptr<Pending>& pending, Executor& executor, Duration timeout, TenantId tenant, TypeNumber type) {
    auto replied = [impl = shared_from_this(), pending, &executor, tenant, type](Result<command::Reply> reply) {
      if (reply) {
        impl->NoteDefinition(tenant, type, reply->at);
        return Finish(*pending, {.kind = Verdict::Kind::kDecided,
                                 .outcome = static_cast<Outcome>(reply->outcome),
                                 .first = static_cast<Outcome>(reply->first),
                                 .answer = std::move(reply->answer),
                                 .at = reply->at,
                                 .id = {}});
      }
      Verdict verdict;
      {
        const std::lock_guard lock(pending->mutex);
        verdict.at = pending->at;
      }
      if (!verdict.at && pending->done && !std::exchange(pending->overdue, true))
        return impl->Await(pending, executor, kAppendWait, tenant, type);
      verdict.kind = verdict.at ? Verdict::Kind::kPending : Verdict::Kind::kUnavailable;
      if (!verdict.at) verdict.answer = reply.error().message;
      Finish(*pending, std::move(verdict));
    };
    parts.replies.Await(pending->id, executor, timeout, std::move(replied));
  }

  const Parts parts;
  SubjectKeys subject_keys;
  std::vector<std::atomic<uint64_t>> latest;  // of each partition
  std::atomic<uint32_t> generation = 0;
  std::mutex mutex;
  std::unordered_map<TenantId, Known> tenants;
};

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kUnchanged:
      return "unchanged";
    case Outcome::kDuplicate:
      return "duplicate";
    case Outcome::kConflict:
      return "conflict";
    case Outcome::kNotFound:
      return "not_found";
    case Outcome::kInvalid:
      return "invalid";
    case Outcome::kGone:
      return "gone";
    case Outcome::kReused:
      return "reused";
    case Outcome::kOutOfOrder:
      return "out_of_order";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kRetryLater:
      return "retry_later";
  }
  return "rejected";
}

Order PlainOrder(const google::protobuf::Message& message, std::string key) {
  Order order;
  order.type = schema::NumberOf(*message.GetDescriptor());
  message.SerializeToString(&order.plain);
  order.key = std::move(key);
  return order;
}

Gateway::Gateway(Parts parts) : impl_(std::make_shared<Impl>(parts)) {}
Gateway::~Gateway() = default;

const LogSettings& Gateway::log() const { return impl_->parts.log; }
keyring::Keyring& Gateway::keyring() { return impl_->parts.keyring; }
Executor& Gateway::executor() { return impl_->parts.executor; }
Executor& Gateway::blocking() { return impl_->parts.blocking; }
Clock& Gateway::clock() { return impl_->parts.clock; }
Entropy& Gateway::entropy() { return impl_->parts.entropy; }
projections::Views& Gateway::views() { return impl_->parts.views; }

std::vector<CommandAt> Gateway::Latest() const {
  std::vector<CommandAt> at;
  for (size_t i = 0; i < impl_->latest.size(); ++i) {
    const uint64_t place = impl_->latest[i].load(std::memory_order_relaxed);
    if (place == 0) continue;
    at.push_back({PartitionId(static_cast<uint16_t>(i)), impl_->generation.load(std::memory_order_relaxed), Offset((place - 1) >> 20u),
                  static_cast<uint32_t>((place - 1) & ((1u << 20u) - 1))});
  }
  return at;
}

CommandId Gateway::NewId() {
  CommandId id;
  impl_->parts.entropy.Fill(id.bytes);
  const auto ms = static_cast<uint64_t>(impl_->parts.clock.Now().us / 1000);
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (8 * (5 - i)));
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0F) | 0x70);
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3F) | 0x80);
  return id;
}

void Gateway::Submit(const Asker& asker, const Order& order, Duration timeout, Done done) {
  SubmitOn(impl_->parts.executor, asker, order, timeout, std::move(done));
}

void Gateway::SubmitOn(Executor& executor, const Asker& asker, const Order& order, Duration timeout, Done done) {
  const CommandId id = NewId();
  auto hash = impl_->Hash(asker, order);
  if (!hash) {
    return executor.Post([id, why = hash.error().message, done = std::move(done)]() mutable {
      done({.kind = Verdict::Kind::kUnavailable, .outcome = {}, .first = {}, .answer = std::move(why), .at = {}, .id = id});
    });
  }
  auto pending = std::make_shared<Pending>();
  pending->done = std::move(done);
  pending->id = id;
  impl_->Await(pending, executor, timeout, asker.tenant, order.type);
  impl_->Send(asker, order, id, *hash, Sync::kSoon, [pending, impl = impl_, &executor](Result<CommandAt> at) {
    if (at) {
      const std::lock_guard lock(pending->mutex);
      pending->at = *at;
      return;
    }
    executor.Post([pending, impl, error = at.error()] {
      // Whether it is there is unknown; its decision, should it come, answers nobody any more.
      Finish(*pending, {.kind = error.code == Code::kInvalid ? Verdict::Kind::kDecided : Verdict::Kind::kUnavailable,
                        .outcome = Outcome::kInvalid,
                        .first = {},
                        .answer = error.code == Code::kInvalid ? R"({"code":"too_large","message":"what is asked is larger than 64 KiB"})"
                                                               : error.message,
                        .at = {},
                        .id = {}});
      impl->parts.replies.Abandon(pending->id);
    });
  });
}

void Gateway::Append(const Asker& asker, const Order& order, command::Sent sent) {
  auto hash = impl_->Hash(asker, order);
  if (!hash) return sent(hash.error());
  impl_->Send(asker, order, NewId(), *hash, Sync::kNow, std::move(sent));
}

SubjectKeys& Gateway::subject_keys() { return impl_->subject_keys; }

void Gateway::WithAttributes(TenantId tenant, RegistryDone done) {
  std::optional<CommandAt> wanted;
  if (auto known = impl_->KnownRegistry(tenant, false, wanted)) return done(std::move(known));
  impl_->parts.blocking.Post(
      [impl = impl_, tenant, done = std::move(done)]() mutable { impl->WithRegistry(tenant, false, std::move(done)); });
}

void Gateway::WithRegistry(TenantId tenant, RegistryDone done) {
  impl_->parts.blocking.Post(
      [impl = impl_, tenant, done = std::move(done)]() mutable { impl->WithRegistry(tenant, true, std::move(done)); });
}

}  // namespace maily::gateway
