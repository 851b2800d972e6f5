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

EncodedTails::~EncodedTails() {
  const std::lock_guard lock(own_->mutex);
  own_->waiting.clear();
}

void EncodedTails::Own::Take(size_t wanted, Job begin) {
  {
    const std::lock_guard lock(mutex);
    if (!waiting.empty() || (bytes > 0 && bytes + wanted > bytes_max)) return waiting.emplace_back(wanted, std::move(begin)), void();
    bytes += wanted;
  }
  begin();
}

void EncodedTails::Own::Give(size_t given) {
  std::vector<Job> begin;
  {
    const std::lock_guard lock(mutex);
    bytes -= given;
    while (!waiting.empty() && (bytes == 0 || bytes + waiting.front().first <= bytes_max)) {
      bytes += waiting.front().first;
      begin.push_back(std::move(waiting.front().second));
      waiting.pop_front();
    }
  }
  for (Job& one : begin) one();
}

void EncodedTails::LoadOwn(TenantId tenant, const mime::Plan& plan, Executor& back, std::function<void(Result<Tail>)> done) {
  std::vector<size_t> sizes;
  for (const auto* items : {&plan.images, &plan.attachments}) {
    for (const mime::Item& item : *items) sizes.push_back(item.size);
  }
  const size_t bytes = mime::TailSizeMax(sizes);
  own_->Take(bytes, [this, tenant, plan, &back, bytes, done = std::move(done)]() mutable {
    blocking_.Post([this, tenant, plan = std::move(plan), &back, bytes, done = std::move(done)] {
      auto made = Encode(tenant, plan);
      Result<Tail> tail = made ? Result<Tail>(Tail(new std::string(*std::move(made)),
                                                   [own = own_, bytes](const std::string* gone) {
                                                     delete gone;
                                                     own->Give(bytes);
                                                   }))
                               : Result<Tail>(made.error());
      if (!tail) own_->Give(bytes);
      back.Post([tail = std::move(tail), done] { done(tail); });
    });
  });
}

void EncodedTails::Load(TenantId tenant, const mime::Plan& plan, Executor& back, std::function<void(Result<Tail>)> done) {
  if (plan.own) return LoadOwn(tenant, plan, back, std::move(done));
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
    auto encoded = Encode(key.first, plan);
    const Result<Tail> made = encoded ? Result<Tail>(std::make_shared<const std::string>(*std::move(encoded))) : encoded.error();
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

Result<std::string> EncodedTails::Encode(TenantId tenant, const mime::Plan& plan) const {
  std::vector<std::string> bytes;
  for (const auto* items : {&plan.images, &plan.attachments}) {
    for (const mime::Item& item : *items) {
      auto read = read_(tenant, item);
      if (!read && read.error().code == Code::kNotFound && !item.blob.empty()) return read.error();
      if (!read) return Fail(Code::kRetry, "the asset {} ({}) cannot be read: {}", item.name.text(), item.id, read.error().message);
      bytes.push_back(*std::move(read));
    }
  }
  return mime::EncodeTail(plan, bytes);
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
