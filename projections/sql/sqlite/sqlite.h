// The SQL port on SQLite: one file a database, in write-ahead mode, a checksum in every page (checked_pages.h).
#pragma once

#include <memory>
#include <string>

#include "projections/sql/sql.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::sql {

struct SqliteOptions {
  std::string directory;                         // made if absent; files <name>.db, <name>.db-wal, <name>.db-shm, <group>.live
  size_t writer_cache_bytes = 32 * 1024 * 1024;  // pages that a writer keeps in memory
  size_t reader_cache_bytes = 2 * 1024 * 1024;   // pages that each reader keeps in memory
  Duration busy_wait = Seconds(5);               // how long to wait for the lock of another process before kRetry
};

// kRetry: the directory cannot be made.
Result<std::unique_ptr<Databases>> OpenSqlite(SqliteOptions options);

}  // namespace maily::sql
