// See careful.h.
#include "streams/task/careful.h"

#include <string>

#include "streams/base/bytes.h"

namespace maily::task {
namespace {

constexpr uint64_t kMargin = 64;  // records beyond the last noted place that may have been under way

void PutAt(std::string& out, const CommandAt& at) {
  PutFixed<uint32_t>(out, at.generation);
  PutFixed<uint64_t>(out, at.offset.value());
  PutFixed<uint32_t>(out, at.index);
}

CommandAt GetAt(Cursor& cursor) {
  CommandAt at;
  at.generation = cursor.Fixed<uint32_t>();
  at.offset = Offset(cursor.Fixed<uint64_t>());
  at.index = cursor.Fixed<uint32_t>();
  return at;
}

bool SamePlace(const CommandAt& a, const CommandAt& b) {
  return a.generation == b.generation && a.offset == b.offset && a.index == b.index;
}

}  // namespace

Careful::Careful(Slots& slots, size_t slot) : slots_(slots), slot_(slot) {
  const std::string saved = slots_.Read(slot_);
  Cursor cursor(saved);
  const auto running = cursor.Fixed<uint8_t>();
  const CommandAt passed = GetAt(cursor);
  const CommandAt entered = GetAt(cursor);
  const auto crashes = cursor.Fixed<uint32_t>();
  if (!saved.empty() && cursor.ok() && running == 1) {
    unclean_ = true;
    was_at_ = passed;
    was_at_.offset = Offset(passed.offset.value() + kMargin);
    entered_ = entered;
    crashes_ = crashes;
  }
  Save();
}

bool Careful::active(const CommandAt& next) const {
  // What was passed long before is decided again as always: it has not killed the process.
  return unclean_ && next.offset <= was_at_.offset && next.offset.value() + 2 * kMargin >= was_at_.offset.value() &&
         next.generation <= was_at_.generation;
}

bool Careful::Enter(const CommandAt& at) {
  crashes_ = SamePlace(at, entered_) ? crashes_ + 1 : 1;
  entered_ = at;
  Save();
  return crashes_ > 2;
}

void Careful::Waits() {
  crashes_ = 0;
  Save();
}

void Careful::Passed(const CommandAt& last) {
  if (unclean_ && last.offset > was_at_.offset) unclean_ = false;
  if (!unclean_) was_at_ = last;
  Save();
}

void Careful::Clean() { slots_.Write(slot_, std::string(1, '\0')); }

void Careful::Save() {
  std::string out;
  PutFixed<uint8_t>(out, 1);
  CommandAt passed = was_at_;
  if (unclean_) passed.offset = Offset(was_at_.offset.value() - kMargin);
  PutAt(out, passed);
  PutAt(out, entered_);
  PutFixed<uint32_t>(out, crashes_);
  slots_.Write(slot_, out);
}

}  // namespace maily::task
