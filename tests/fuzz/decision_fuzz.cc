// The body of a frame: decisions one after another; and what else stands in journal and state without Protobuf: positions, dead letters,
// link items, timers.
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/journal/decision.h"
#include "streams/journal/position.h"
#include "streams/journal/rejected.h"
#include "streams/link/outbox.h"
#include "streams/state/timers.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

// Encodes every decision of `body`; none if it is damaged.
std::optional<std::string> Reencoded(std::string_view body) {
  std::string out;
  Cursor cursor(body);
  while (!cursor.AtEnd()) {
    std::vector<journal::Event> events;
    auto decoded = journal::DecodeDecision(cursor, events);
    if (!decoded) {
      MAILY_CHECK(decoded.error().code == Code::kCorrupt, "{}", decoded.error().ToString());
      return std::nullopt;
    }
    MAILY_CHECK(decoded->first == 0 && decoded->count == events.size(), "{} of {} events", decoded->count, events.size());
    decoded->decision.events = events;
    journal::EncodeDecision(out, decoded->decision);
  }
  return out;
}

template <class T>
void TryStored(std::string_view bytes) {
  T value;
  if (!value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  std::string once;
  std::string twice;
  value.AppendToString(&once);
  T again;
  MAILY_CHECK(again.ParseFromArray(once.data(), static_cast<int>(once.size())), "written again, it cannot be read");
  again.AppendToString(&twice);
  MAILY_CHECK(once == twice, "written again, it means something else");
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view input = fuzz::View(data, size);
  if (const auto once = fuzz::Reencoded(input)) {
    const auto twice = fuzz::Reencoded(*once);
    MAILY_CHECK(twice && *once == *twice, "written again, it means something else");
  }
  std::string position(input);
  PutFixed(position, Xxh3_64(position));
  for (const std::string_view bytes : {input, std::string_view(position)}) {
    if (const auto read = journal::DecodePosition(bytes)) {
      MAILY_CHECK(journal::DecodePosition(journal::EncodePosition(*read)).value() == *read, "a position changes");
    }
  }
  fuzz::TryStored<link::OutboxItem>(input);
  fuzz::TryStored<link::OutboxCursor>(input);
  journal::CommandRejected rejected;
  static_cast<void>(rejected.ParseFromArray(input.data(), static_cast<int>(input.size())));
  link::LinkAcked acked;
  static_cast<void>(acked.Parse(input));
  if (const auto timer = state::ParseTimerKey(input); timer && timer->due.us >= 0) {
    MAILY_CHECK(state::TimerKey(timer->due, timer->tenant, timer->step, timer->subject) == input, "a timer changes");
  }
  return 0;
}
