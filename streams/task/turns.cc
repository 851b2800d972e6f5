// See turns.h.
#include "streams/task/turns.h"

#include <algorithm>
#include <utility>

namespace maily::task {
namespace {

constexpr Duration kPatience = Seconds(1);

}  // namespace

Turns::Ticket Turns::Ask(uint64_t work, Job go) {
  waiting_.push_back({++last_, work, std::move(go)});
  if (now_ == 0) Soon();
  return last_;
}

void Turns::Leave(Ticket ticket) {
  if (ticket == 0) return;
  std::erase_if(waiting_, [ticket](const Waiting& one) { return one.ticket == ticket; });
  if (now_ != ticket) return;
  now_ = 0;
  Soon();
}

void Turns::Soon() {
  if (std::exchange(posted_, true)) return;
  executor_.Post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->posted_ = false;
    if (self->now_ == 0) self->Next();
  });
}

void Turns::Next() {
  const auto least = std::ranges::min_element(waiting_, {}, &Waiting::work);
  if (least == waiting_.end()) return;
  Waiting chosen = std::move(*least);
  waiting_.erase(least);
  now_ = chosen.ticket;
  executor_.After(kPatience, [weak = weak_from_this(), mine = now_] {
    const auto self = weak.lock();
    if (self && self->now_ == mine) self->Leave(mine);
  });
  chosen.go();
}

}  // namespace maily::task
