// How much memory the mails of all connections may take together, and what each has taken of it.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

namespace maily::mail {

// Thread: any.
class Budget {
 public:
  explicit Budget(size_t bytes_max) : bytes_max_(bytes_max) {}
  // All of it or, if that is more than is left, nothing.
  bool Take(size_t bytes) {
    size_t used = used_.load();
    do {
      if (bytes > bytes_max_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }
  void Give(size_t bytes) { used_.fetch_sub(bytes); }
  size_t used() const { return used_.load(); }
  size_t left() const { return bytes_max_ - used_.load(); }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> used_{0};
};

// One mail's part of a budget; gives it back when it goes, on whatever thread that is.
class Room {
 public:
  Room() = default;
  explicit Room(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  Room(Room&& other) noexcept : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  Room& operator=(Room&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Room() { Shrink(0); }

  // False: the budget does not have what is missing; the room stays as it was.
  bool Grow(size_t bytes) {
    if (bytes > bytes_ && (budget_ == nullptr || !budget_->Take(bytes - bytes_))) return false;
    bytes_ = std::max(bytes, bytes_);
    return true;
  }
  void Shrink(size_t bytes) {
    if (bytes < bytes_) budget_->Give(bytes_ - bytes);
    bytes_ = std::min(bytes, bytes_);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Budget> budget_;
  size_t bytes_ = 0;
};

}  // namespace maily::mail
