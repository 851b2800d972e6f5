// Appends events to a track: stores into a shared mapping of its file, so that they outlive a kill -9 of the process that makes them.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "streams/base/result.h"
#include "tests/histories/event.h"

namespace maily::histories {

// Not thread-safe.
class TrackWriter {
 public:
  TrackWriter(const std::string& path, Event first) : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    MAILY_CHECK(file_ >= 0, "{}", path);
    Add(first);
  }
  ~TrackWriter() {
    if (window_ != nullptr) ::munmap(window_, kWindow);
    ::close(file_);
  }
  TrackWriter(const TrackWriter&) = delete;
  TrackWriter& operator=(const TrackWriter&) = delete;

  void Add(Event event) {
    if (at_ == kEvents) NextWindow();
    Event& place = window_[at_++];
    place.subject = event.subject;
    std::atomic_ref(place.rest).store(event.rest, std::memory_order_release);
  }

 private:
  static constexpr size_t kWindow = 4 << 20;
  static constexpr size_t kEvents = kWindow / sizeof(Event);

  void NextWindow() {
    if (window_ != nullptr) ::munmap(window_, kWindow);
    MAILY_CHECK(::ftruncate(file_, static_cast<off_t>(mapped_ + kWindow)) == 0, "no space for the history");
    void* const mapped = ::mmap(nullptr, kWindow, PROT_READ | PROT_WRITE, MAP_SHARED, file_, static_cast<off_t>(mapped_));
    MAILY_CHECK(mapped != MAP_FAILED, "mmap of the history");
    window_ = static_cast<Event*>(mapped);
    mapped_ += kWindow;
    at_ = 0;
  }

  const int file_;
  Event* window_ = nullptr;
  size_t at_ = kEvents;  // in the window
  size_t mapped_ = 0;    // bytes of the file
};

}  // namespace maily::histories
