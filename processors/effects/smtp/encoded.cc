// See encoded.h.
#include "processors/effects/smtp/encoded.h"

namespace maily::smtp {

Tail EncodedTails::Find(TenantId tenant, const mime::Plan& plan) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find({tenant, plan.Key()});
  if (found == places_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found->second);
  return found->second->tail;
}

size_t EncodedTails::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void EncodedTails::Load(TenantId tenant, const mime::Plan& plan, Executor& back, std::function<void(Result<Tail>)> done) {
  Key key{tenant, plan.Key()};
  {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found != places_.end()) return back.Post([tail = found->second->tail, done = std::move(done)] { done(tail); });
    auto& waiting = loading_[key];
    waiting.push_back({&back, std::move(done)});
    if (waiting.size() > 1) return;
  }
  blocking_.Post([this, key = std::move(key), plan] {
    const Result<Tail> made = Make(key.first, plan);
    std::vector<Waiting> waiting;
    {
      const std::lock_guard lock(mutex_);
      if (made) Keep(key, *made);
      auto node = loading_.extract(key);
      waiting = std::move(node.mapped());
    }
    for (Waiting& one : waiting) one.back->Post([made, done = std::move(one.done)] { done(made); });
  });
}

Result<Tail> EncodedTails::Make(TenantId tenant, const mime::Plan& plan) const {
  std::vector<std::string> bytes;
  for (const auto* items : {&plan.images, &plan.attachments}) {
    for (const mime::Item& item : *items) {
      auto read = read_(tenant, item.id);
      if (!read) return Fail(Code::kRetry, "the asset {} ({}) cannot be read: {}", item.name.text(), item.id, read.error().message);
      bytes.push_back(*std::move(read));
    }
  }
  return Tail(std::make_shared<const std::string>(mime::EncodeTail(plan, bytes)));
}

void EncodedTails::Keep(const Key& key, const Tail& tail) {
  kept_.push_front({key, tail});
  places_[key] = kept_.begin();
  bytes_ += tail->size();
  while (bytes_ > bytes_max_ && kept_.size() > 1) {
    bytes_ -= kept_.back().tail->size();
    places_.erase(kept_.back().key);
    kept_.pop_back();
  }
}

}  // namespace maily::smtp
