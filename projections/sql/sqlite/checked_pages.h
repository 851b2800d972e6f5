// A file system for SQLite that keeps a checksum with every page of a database, so that rotten bytes are an error and not an answer.
//
// The last 8 bytes of each page are reserved (byte 20 of the file's header says so) and hold XXH3_64 of {page number u64, the bytes before
// them, u64 0}, little-endian. [format] It is put there when a page is written to the database file, and compared when one is read: a page
// that does not fit is SQLITE_IOERR_DATA. A page of zeros was never written. Frames of the write-ahead file have checksums of their own,
// which SQLite compares when it opens it. A database that was made without them (byte 20 is 0, and that is no damage) is read as it is.
#pragma once

#include <string>

struct sqlite3;

namespace maily::sql {

inline constexpr int kPageChecksumBytes = 8;

// Registers it with SQLite, once a process, and gives its name, for sqlite3_open_v2. Thread: any.
const char* CheckedPages();

// Of a connection that makes a database, before anything else: its pages get room for checksums.
void ReservePageChecksums(sqlite3* db);

// What the last SQLITE_IOERR_DATA on this thread was about: "page 7 at offset 24576 has a wrong checksum".
const std::string& LastDamage();

}  // namespace maily::sql
