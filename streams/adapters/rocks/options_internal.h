// RocksDB's options as this project sets them. Only files of this folder include it.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/write_buffer_manager.h>

#include <memory>

#include "streams/adapters/rocks/options.h"

namespace maily::rocks {

struct Resources::Impl {
  // `env` null = the system's; tests give one that fails or forgets. Not owned.
  explicit Impl(const Limits& limits, rocksdb::Env* env = nullptr);

  Limits limits;
  rocksdb::Env* env;
  std::shared_ptr<rocksdb::Cache> block_cache;
  std::shared_ptr<rocksdb::WriteBufferManager> state_memtables;

  rocksdb::DBOptions LogDatabase() const;
  rocksdb::ColumnFamilyOptions LogFamily() const;
  rocksdb::Options KvStore() const;
};

}  // namespace maily::rocks
