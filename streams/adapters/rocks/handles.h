// Owning handles of RocksDB, and its statuses as errors. Only files of this folder include it.
#pragma once

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/wal_filter.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily::rocks {

// A database and the handles of its column families, in the order of opening. The handles die before the database.
class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { Close(); }

  // Opens, taking the place of what was open. `filter`: of the replay, or null; it lives as long as the database.
  rocksdb::Status Open(rocksdb::DBOptions options, const std::string& path, const std::vector<rocksdb::ColumnFamilyDescriptor>& families,
                       std::unique_ptr<rocksdb::WalFilter> filter) {
    Close();
    filter_ = std::move(filter);
    options.wal_filter = filter_.get();
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(options, path, families, &families_, &db);
    db_.reset(db);
    return status;
  }
  void Close() {
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();  // fails only for a null handle
    }
    families_.clear();
    db_.reset();
  }
  bool is_open() const { return db_ != nullptr; }

  rocksdb::DB* operator->() const { return db_.get(); }
  rocksdb::DB& operator*() const { return *db_; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const { return families_; }
  void Add(rocksdb::ColumnFamilyHandle* family) { families_.push_back(family); }

 private:
  std::unique_ptr<rocksdb::WalFilter> filter_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// The caller's reaction to a status that is not ok.
inline Code CodeOf(const rocksdb::Status& status) {
  if (status.IsCorruption()) return Code::kCorrupt;
  if (status.IsNoSpace() || status.IsBusy() || status.IsTryAgain() || status.IsTimedOut()) return Code::kRetry;
  if (status.IsIOError() && ToView(status.ToString()).find("lock") != std::string_view::npos) return Code::kConflict;
  return Code::kFatal;
}
inline Error ToError(const rocksdb::Status& status, std::string_view what, std::string_view path) {
  const std::string text = status.ToString();
  if (status.IsNoSpace()) return Fail(Code::kRetry, "no space left: {} {}: {}; free some on this file system", what, path, text);
  if (CodeOf(status) == Code::kConflict) {
    return Fail(Code::kConflict, "{} {}: it is open elsewhere, in this process or another one ({})", what, path, text);
  }
  return Fail(CodeOf(status), "{} {}: {}", what, path, text);
}

}  // namespace maily::rocks
