// The outlet port: plain records for readers outside, in topics of their own. Adapters: kafka, sim (memory).
//
// Guarantees that every adapter keeps (tests/contract/outlet_contract.h):
//  1. `done` without an error = all records of the batch are durable, once each, in their order.
//  2. `done` with an error: what is stored of the batch, now or later, is its first n records in their order, n from 0 to all: never one
//     without those before it. They may turn up after Newest was asked, and after younger batches.
//  3. Newest shows every record whose batch was answered without an error before the call.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily {

struct OutletHeader {
  std::string_view name;
  std::string_view value;
};

// Records for one partition of one topic, in their order, in one piece of memory. Not thread-safe.
class OutletBatch {
 public:
  struct Piece {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  struct Header {
    Piece name;
    Piece value;
  };
  struct Record {
    Instant time;
    Piece key;
    std::optional<Piece> value;  // none: a tombstone of its key
    uint32_t first_header = 0;
    uint32_t header_count = 0;
  };

  // Copies everything. A batch holds less than 4 GiB (CHECK).
  void Add(std::string_view key, std::optional<std::string_view> value, std::span<const OutletHeader> headers, Instant time) {
    Record record{.time = time, .key = Put(key), .value = std::nullopt, .first_header = static_cast<uint32_t>(headers_.size())};
    if (value) record.value = Put(*value);
    for (const OutletHeader& header : headers) headers_.push_back({Put(header.name), Put(header.value)});
    record.header_count = static_cast<uint32_t>(headers.size());
    records_.push_back(record);
  }
  void Clear() {
    text_.clear();
    records_.clear();
    headers_.clear();
  }

  bool empty() const { return records_.empty(); }
  size_t size() const { return records_.size(); }
  size_t bytes() const { return text_.size(); }
  std::span<const Record> records() const { return records_; }
  std::span<const Header> headers(const Record& record) const {
    return std::span(headers_).subspan(record.first_header, record.header_count);
  }
  std::string_view text(Piece piece) const { return std::string_view(text_).substr(piece.offset, piece.size); }

 private:
  Piece Put(std::string_view text) {
    MAILY_CHECK(text_.size() + text.size() < UINT32_MAX, "a batch of {} bytes", text_.size());
    const Piece piece{static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(text.size())};
    text_ += text;
    return piece;
  }

  std::string text_;
  std::vector<Record> records_;
  std::vector<Header> headers_;
};

// A record as a reader sees it.
struct OutletRecord {
  uint64_t offset = 0;
  std::string key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::string>> headers;

  // Of that name; null: there is none.
  const std::string* Header(std::string_view name) const {
    for (const auto& header : headers) {
      if (header.first == name) return &header.second;
    }
    return nullptr;
  }
};

// Called exactly once, on a thread of the adapter; must not block. Gives the batch back, for its memory.
using OutletDone = std::move_only_function<void(Result<void>, OutletBatch)>;

// Topics are named by their index in the list that the adapter was opened with.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual size_t topic_count() const = 0;
  virtual const std::string& topic_name(size_t topic) const = 0;
  virtual uint16_t partition_count() const = 0;

  // Appends the records, each at most 1,000,000 bytes. One batch at a time for a topic's partition: the next one after `done` (CHECK).
  // Thread: any. Errors: kRetry (time-out, broker away, more than the adapter holds), kInvalid (a record is too large), kFatal (refused).
  virtual void Append(size_t topic, PartitionId partition, OutletBatch batch, OutletDone done) = 0;

  // The newest records that a reader sees, up to `count`, oldest first. Blocks until it knows. Thread: any. kRetry: it cannot be known now.
  virtual Result<std::vector<OutletRecord>> Newest(size_t topic, PartitionId partition, size_t count) = 0;
};

}  // namespace maily
