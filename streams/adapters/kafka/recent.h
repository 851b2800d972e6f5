// The newest records of a partition, in memory, where all readers of the process find them.
#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "streams/port/log.h"

namespace maily::kafka {

// Covers the offsets [first(), end()): every record that the log has there, and no other. Not thread-safe.
class Recent {
 public:
  // Empty, at `end`. Holds up to `bytes_max` of records, and always the newest one.
  Recent(Offset end, size_t bytes_max) : first_(end), end_(end), bytes_max_(bytes_max) {}

  Offset first() const { return first_; }
  Offset end() const { return end_; }
  const LogRecord* newest() const { return records_.empty() ? nullptr : &records_.back(); }

  // The next record of the log; between end() and its offset there is none. One before end() is known already: false.
  bool Push(LogRecord record) {
    if (record.offset < end_) return false;
    end_ = record.offset.Next();
    bytes_ += Cost(record);
    records_.push_back(std::move(record));
    while (bytes_ > bytes_max_ && records_.size() > 1) DropOldest();
    return true;
  }
  // The log has no record before `end` beyond those pushed.
  void SkipTo(Offset end) { end_ = std::max(end_, end); }
  void ForgetBefore(Offset begin) {
    while (!records_.empty() && records_.front().offset < begin) DropOldest();
    first_ = std::max(first_, begin);
    end_ = std::max(end_, begin);
  }
  void StartAt(Offset end) {
    records_.clear();
    bytes_ = 0;
    first_ = end_ = end;
  }

  bool Covers(Offset offset) const { return offset >= first_ && offset < end_; }
  // The record at `offset`, or null.
  const LogRecord* At(Offset offset) const {
    const auto found = From(offset);
    return found != records_.end() && found->offset == offset ? &*found : nullptr;
  }
  // Copies of the records from `from` on: one, then as many as fit in `bytes_max`.
  std::vector<LogRecord> Read(Offset from, size_t bytes_max) const {
    std::vector<LogRecord> out;
    size_t bytes = 0;
    for (auto each = From(from); each != records_.end(); ++each) {
      bytes += each->bytes.size();
      if (!out.empty() && bytes > bytes_max) break;
      out.push_back(*each);
    }
    return out;
  }

 private:
  static size_t Cost(const LogRecord& record) { return record.bytes.capacity() + sizeof(LogRecord); }
  std::deque<LogRecord>::const_iterator From(Offset offset) const {
    return std::ranges::lower_bound(records_, offset, {}, &LogRecord::offset);
  }
  void DropOldest() {
    bytes_ -= Cost(records_.front());
    first_ = records_.front().offset.Next();
    records_.pop_front();
  }

  std::deque<LogRecord> records_;
  Offset first_;
  Offset end_;
  size_t bytes_ = 0;
  const size_t bytes_max_;
};

}  // namespace maily::kafka
