// The way in for producers who write to Kafka: a record of an inbox topic becomes the command that the HTTP API makes of the same data, by
// the same handler; what that refuses is refused here, with the same code.
//
// Idempotency is by (source, id): a record that comes again, in whatever place, meets its first copy for 24 hours.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/api.h"
#include "api/inbox_event.h"

namespace maily::api {

struct Shared;

// A type of event that is taken, and the route whose body its data are. An event of a contact (POST /v1/events) has its id and
// occurred_at from the attributes instead: from source and id, and from time.
struct InboxType {
  std::string_view type;  // full name of the command
  std::string_view path;  // of the route, a POST
};
std::span<const InboxType> InboxTypes();

struct InboxVerdict {
  enum class Kind : uint8_t {
    kAccepted,   // decided and done, by this record or by its first copy
    kDuplicate,  // of an event of a contact: its first copy was
    kRefused,    // it will stay so, `why` says why
    kAgain,      // not known: nothing can be decided now, or not yet. The same record, again, tells
    kBroken,     // it failed here for a reason that is not its own
  };
  Kind kind = Kind::kAgain;
  InboxRefusal why;
};

// Thread: any.
class Inbox {
 public:
  explicit Inbox(const Dependencies& dependencies);
  ~Inbox();

  // `done` once, on any thread, perhaps before it returns. Copies of one record may not be under way at once.
  void Take(const InboxRecord& record, std::move_only_function<void(InboxVerdict)> done);

 private:
  std::shared_ptr<Shared> api_;
};

}  // namespace maily::api
