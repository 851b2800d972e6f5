// See session.h.
#include "tests/histories/session.h"

#include <fmt/format.h>

namespace maily::histories {

Session::Session(const std::string& directory_in, uint64_t number_in, uint64_t seed, Log& log_in)
    : number(number_in), log(log_in), directory_(directory_in), seed_(seed) {
  const int file = ::open((directory_ + "/progress").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  MAILY_CHECK(file >= 0 && ::ftruncate(file, sizeof(Progress)) == 0, "{}/progress", directory_);
  void* const mapped = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  MAILY_CHECK(mapped != MAP_FAILED, "mmap");
  ::close(file);
  progress = static_cast<Progress*>(mapped);
}

Session::~Session() { ::munmap(progress, sizeof(Progress)); }

std::unique_ptr<TrackWriter> Session::Track(const std::string& name, Role role, uint64_t detail) const {
  return std::make_unique<TrackWriter>(fmt::format("{}/{:05}-{}.track", directory_, number, name),
                                       Event::Of(Kind::kTrack, number, static_cast<uint8_t>(role), detail));
}

void Outcomes::Add(uint64_t value, const Result<Appended>& result) {
  Event event;
  if (!result) {
    // The one error that is about the record itself: it was not taken. All others say nothing of it (port/log.h).
    const bool refused = result.error().code == Code::kInvalid;
    event = Event::Of(refused ? Kind::kRefused : Kind::kUnknown, value, static_cast<uint8_t>(result.error().code), 0);
  } else if (!result->offset) {
    event = Event::Of(Kind::kOkSomewhere, value, 0, 0);
  } else {
    event = Event::Of(Kind::kOk, value, 0, result->offset->value());
  }
  const std::lock_guard lock(mutex_);
  track_->Add(event);
  if (event.kind() != Kind::kOk) return;
  std::atomic<uint64_t>& end = session_.acknowledged[PartitionOfValue(value)];
  end = std::max(end.load(), event.detail() + 1);
}

}  // namespace maily::histories
