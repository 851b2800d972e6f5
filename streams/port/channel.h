// The watches of one end of a partition, for adapters of the log port.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "streams/port/log.h"

namespace maily {

// Its lock is held while signals run: so destroying a watch waits for them. Thread: any.
struct Channel {
  std::mutex mutex;
  std::vector<const std::function<void()>*> signals;

  void Signal() {
    const std::lock_guard lock(mutex);
    for (const auto* signal : signals) (*signal)();
  }
};

// In the channel, which outlives it, until it is destroyed.
class ChannelWatch : public TailWatch {
 public:
  ChannelWatch(Channel& channel, std::function<void()> signal) : channel_(channel), signal_(std::move(signal)) {
    const std::lock_guard lock(channel_.mutex);
    channel_.signals.push_back(&signal_);
  }
  ~ChannelWatch() override {
    const std::lock_guard lock(channel_.mutex);
    std::erase(channel_.signals, &signal_);
  }

 private:
  Channel& channel_;
  std::function<void()> signal_;
};

}  // namespace maily
