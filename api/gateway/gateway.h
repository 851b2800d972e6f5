// The one door: what a caller asks becomes a command in the log, and its decision the answer.
//
//   1. request_hash = HMAC of the type and the plaintext message, before sealing: equal = the same request.
//   2. Personal fields are sealed under the subject's key, which is durable before the command is appended.
//   3. The id is a UUIDv7, the partition a function of the request: a retry meets its first copy.
//   4. Replies knows of the waiter before the append; the answer comes after the journal accepted the decision.
// What is not decided in time is "pending" if it is durable; else, when the log says nothing for two more seconds, "unavailable": then
// nobody knows, and the same request with its Idempotency-Key tells.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/gateway/contact_fields.h"
#include "api/gateway/subject_keys.h"
#include "projections/views/views.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/command/command.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/topic.h"

namespace google::protobuf {
class Message;
}

namespace maily::gateway {

// The numbers of journal::Outcome, which the API may not include; gateway_test compares them.
enum class Outcome : uint16_t {
  kDone = 0,
  kUnchanged = 1,
  kDuplicate = 2,
  kConflict = 3,
  kNotFound = 4,
  kInvalid = 5,
  kGone = 6,
  kReused = 7,
  kOutOfOrder = 8,
  kRejected = 9,
  kRetryLater = 10,
};

// "done", "not_found" …: as the API says it.
const char* OutcomeName(Outcome outcome);

struct Asker {
  TenantId tenant;
  std::string actor;
  TraceId trace;
};

// A command to be. The partition is that of `key`, unless one is named.
struct Order {
  TypeNumber type = 0;
  std::string plain;    // the serialized message, nothing sealed: what the request hash is of
  std::string payload;  // the same, personal fields sealed
  std::string key;
  std::optional<PartitionId> partition;
  std::string natural_key;  // "idem/…", "event/…", "import/…", or empty
  uint64_t sequence = 0;    // > 0: number in the stream that natural_key names
  Instant occurred_at;      // zero = now
  command::More more = command::More::kNone;
};
// Of a message without personal fields: serialized once.
Order PlainOrder(const google::protobuf::Message& message, std::string key);

struct Verdict {
  enum class Kind : uint8_t { kDecided, kPending, kUnavailable };
  Kind kind = Kind::kUnavailable;
  Outcome outcome = Outcome::kDone;  // kDecided
  Outcome first = Outcome::kDone;    // of kDuplicate: that of the first copy, whose answer this is
  std::string answer;                // JSON object text, or empty; of kUnavailable: why
  std::optional<CommandAt> at;       // where the command stands, if known
  CommandId id;

  // How the request was decided, be it by this copy or by the first one.
  Outcome decided() const { return outcome == Outcome::kDuplicate ? first : outcome; }
};
using Done = std::move_only_function<void(Verdict)>;
using RegistryDone = std::move_only_function<void(Result<std::shared_ptr<const Registry>>)>;

// Thread: any.
class Gateway {
 public:
  struct Parts {
    command::Sender& sender;
    command::Replies& replies;
    keyring::Keyring& keyring;
    projections::Views& views;
    Clock& clock;
    Entropy& entropy;
    Executor& executor;  // callbacks run here; nothing on it ever blocks
    Executor& blocking;  // SQL and new keys are waited for here; several threads may stand behind it, or it may be `executor` in tests
    LogSettings log;
  };
  explicit Gateway(Parts parts);
  ~Gateway();

  const LogSettings& log() const;
  keyring::Keyring& keyring();
  Executor& executor();
  Executor& blocking();
  Clock& clock();
  Entropy& entropy();
  projections::Views& views();

  // Appends and waits for the decision for up to `timeout`; `done` on the executor. Never blocks.
  void Submit(const Asker& asker, const Order& order, Duration timeout, Done done);
  // The same with `done` on another executor.
  void SubmitOn(Executor& executor, const Asker& asker, const Order& order, Duration timeout, Done done);
  // Appends; `done` on a thread of the log once it is durable. Nobody waits for the decision. Returns the id.
  void Append(const Asker& asker, const Order& order, command::Sent sent);

  // Keys of contacts, made if they have none.
  SubjectKeys& subject_keys();

  // The attributes of a tenant, with all that this process registered before, whatever else the views lack; `done` at once if they are
  // known, or on the blocking executor. kRetry: the views do not show a registration yet.
  void WithAttributes(TenantId tenant, RegistryDone done);
  // The same once the views also show all lists that this process made before.
  void WithRegistry(TenantId tenant, RegistryDone done);

  // Where the last durable command of this process stands in each partition that it wrote to: a read that is fresh as of these
  // sees all that was asked here before.
  std::vector<CommandAt> Latest() const;

  // UUIDv7: 48 bits of milliseconds, then random.
  CommandId NewId();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::gateway
