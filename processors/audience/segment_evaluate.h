// Whether a contact belongs to a segment, and when time alone could change that. Pure; three-valued.
//
// A test of an attribute without a value is unknown: neither true nor false, so it matches neither `=` nor `!=`. `not` of unknown is
// unknown; `and` is false if one operand is, `or` true if one is, whatever is unknown beside it (Kleene). A contact is a member only if
// the whole is true. So is a value that is no day where a day is compared with.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "maily/segments/v1/state.pb.h"

namespace maily::audience {

// How many times of a signal are kept, the newest: a window of up to one less is counted exactly.
inline constexpr int kSignalTimesMax = 32;
inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

enum class Truth : uint8_t { kFalse = 0, kUnknown = 1, kTrue = 2 };

// A value of an attribute; monostate = there is none.
using SegmentValue = std::variant<std::monostate, std::string, int64_t, double, bool>;

// What is known of one contact; asked only for what an answer needs.
class SegmentFacts {
 public:
  virtual ~SegmentFacts() = default;
  // By name, as `type` if it is sealed (`personal`). None: no value, one of another type, or a key that is gone.
  virtual SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType type, bool personal) = 0;
  virtual bool HasAttribute(const std::string& name) = 0;
  virtual bool HasTag(const std::string& tag) = 0;
  virtual bool OnList(uint64_t list_id) = 0;
  virtual bool InSegment(uint64_t segment_id) = 0;
  virtual bool Subscribed() = 0;
  virtual bool Suppressed() = 0;
  virtual bool Delivered(uint64_t campaign_id) = 0;
  // Null: it never happened. Valid until the next call of any function. `kind` is OPENED, CLICKED or EVENT.
  virtual const segments::v1::Signal* Signal(segments::v1::SignalKind kind, uint64_t campaign_id, const std::string& event) = 0;
};

struct SegmentAnswer {
  Truth truth = Truth::kFalse;
  // The earliest second at which time alone may make the answer another one; kNever. Asking again then may give the same answer.
  int64_t next_s = kNever;
};

// As of the second now_s. The expression has been checked, and has a node or more.
// A window `last:` counts what happened after now - last; so it is out of it exactly `last` later. `since:` counts from the start of that
// day in the zone on. Times that lie after now_s do not occur: they are taken for the moment at which they were heard of.
SegmentAnswer EvaluateSegment(const segments::v1::Expression& expression, const segments::v1::Zone& zone, int64_t now_s,
                              SegmentFacts& facts);

// Adds one happening to a signal: it counts, and its time is kept if it is among the newest.
void AddToSignal(segments::v1::Signal& signal, int64_t at_s);

// A sealed value, which is the text that was given, as its type: read as api/gateway/contact_fields.h reads those that are not sealed.
// None: it is no such value.
SegmentValue TypedValue(std::string_view text, tenants::v1::AttributeType type);

}  // namespace maily::audience
