// The right to reach the outside world. Who holds none cannot send: replay, rebuild, restore and simulation never get one.
#pragma once

namespace maily {

namespace app {
class LiveRuntime;  // app/serve.cc: the only maker
}

// What an instance may do to the outside world.
enum class Mode {
  kSandbox,  // fresh: connects to loopback addresses only
  kLive,     // after `maily arm`
  kHeld,     // a copy or a restored backup: opens no connection
};

class LiveCapability {
 public:
  LiveCapability(LiveCapability&&) = default;
  Mode mode() const { return mode_; }

 private:
  friend class app::LiveRuntime;
  explicit LiveCapability(Mode mode) : mode_(mode) {}
  Mode mode_;
};

}  // namespace maily
