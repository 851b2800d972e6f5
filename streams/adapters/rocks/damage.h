// Tells a file in RocksDB's log format (write-ahead files, MANIFEST) that is damaged from one that a crash has cut short.
//
// Recovery ends silently at the first record that does not fit, since that is what a crash leaves where nothing was synced yet: all that
// follows is gone, and RocksDB removes the file. So the files are looked at before. A record that does not fit is damaged, and no torn one,
//   - if another one follows in its file that was written when it was durable already;
//   - if only its length is wrong: its checksum, in which the length is not, fits the rest of the file.
// What is neither counts as torn, also if it is rotten: the last record, and those of the last syncs.
#pragma once

#include <rocksdb/env.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::rocks {

// What a record that follows in the same file proves of one before it.
enum class Later {
  kDurable,          // it was durable: every record is synced before the next one is written
  kDurableAsMarked,  // it was durable if its sequence number is not above that of the later one's SyncedMark
};

// kCorrupt: a write-ahead file of the database in `directory` is damaged; names it and the offset of the record. A directory without any,
// or that is not there, is in order.
Result<void> CheckWals(rocksdb::Env& env, const std::string& directory, Later later);
// kCorrupt: the length of the last record of the manifest is damaged. RocksDB sees to the others.
Result<void> CheckManifest(rocksdb::Env& env, const std::string& directory);

// What a batch carries in the WAL, first of all, as rocksdb::WriteBatch::PutLogData: the sequence number up to which all is durable.
// [format]
inline constexpr size_t kSyncedMarkBytes = 8;
std::string SyncedMark(uint64_t sequence);

}  // namespace maily::rocks
