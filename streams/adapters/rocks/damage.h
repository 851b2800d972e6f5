// Tells a file in RocksDB's log format (write-ahead files, MANIFEST) that is damaged from one that a crash has cut short.
//
// Recovery ends silently at the first record that does not fit, since that is what a crash leaves where nothing was synced yet: all that
// follows is gone, and RocksDB removes the file. So the files are looked at before. A record that does not fit is damaged, and no torn one,
//   - if another one follows in its file that was written when it was durable already: batches say how far all was (SyncedMark);
//   - if only its length or its type is wrong: its checksum, in which the length is not, fits the rest of the file, or another type.
// What is neither counts as torn, also if it is rotten: a record after which nothing was written, and those that shared the last syncs.
// So a batch of nothing but its mark is written after the last record.
//
// Zeros, too, do not fit: RocksDB writes some only where no header has room, but it takes all for room that was laid out, passes over the
// rest of their block, and goes on with the next one. A power cut leaves them where a page was never written, and a later one was.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::rocks {

// kCorrupt: a write-ahead file of the database in `directory` is damaged; names it and the offset of the record. A directory without any,
// or that is not there, is in order. Else what rocksdb::DBOptions::wal_filter has to be while that database is opened: null, or what ends
// the replay where a power cut has left a hole in what was not durable, so that what is lost is a suffix.
Result<std::unique_ptr<rocksdb::WalFilter>> CheckWals(rocksdb::Env& env, const std::string& directory);
// kCorrupt: a record of the manifest is damaged; names it and the offset. Here any record that follows proves it, as RocksDB has it, but
// that takes one whose length is too large, or whose type is another, for the file's end.
Result<void> CheckManifest(rocksdb::Env& env, const std::string& directory);

// What a batch carries in the WAL, first of all, as rocksdb::WriteBatch::PutLogData: the sequence number up to which all is durable.
// [format]
inline constexpr size_t kSyncedMarkBytes = 8;
std::string SyncedMark(uint64_t sequence);
// Makes `batch` one of nothing but its mark.
void MakeMark(rocksdb::WriteBatch& batch, uint64_t sequence);

}  // namespace maily::rocks
