// Changes one byte of what a store holds, as a build of another format would have it: `change_entry DIRECTORY KEY BYTE`, where DIRECTORY is
// a RocksDB database that nobody has open, KEY the key in hex, BYTE (decimal) what the first byte of its value becomes. Exits 1 if there is
// no such entry, or the database cannot be written.
#include <rocksdb/db.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/hex.h"

namespace {

rocksdb::Status Change(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const std::string& key, char byte, bool& found) {
  std::string value;
  const rocksdb::Status got = db.Get(rocksdb::ReadOptions(), family, key, &value);
  if (got.IsNotFound() || (got.ok() && value.empty())) return rocksdb::Status::OK();
  if (!got.ok()) return got;
  found = true;
  value[0] = byte;
  if (auto put = db.Put(rocksdb::WriteOptions(), family, key, value); !put.ok()) return put;
  return db.Flush(rocksdb::FlushOptions(), family);
}

rocksdb::Status ChangeIn(const std::string& directory, const std::string& key, char byte, bool& found) {
  rocksdb::Options options;
  std::vector<std::string> names;
  if (auto status = rocksdb::DB::ListColumnFamilies(options, directory, &names); !status.ok()) return status;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions(options));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  if (auto status = rocksdb::DB::Open(options, directory, families, &handles, &opened); !status.ok()) return status;
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::Status status;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (status.ok()) status = Change(*db, handle, key, byte, found);
    db->DestroyColumnFamilyHandle(handle);
  }
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  bool found = false;
  const auto status = ChangeIn(argv[1], maily::test::Unhex(argv[2]), static_cast<char>(std::atoi(argv[3])), found);
  if (status.ok() && found) return 0;
  std::fprintf(stderr, "change_entry: %s: %s\n", argv[1], status.ok() ? "no such entry" : status.ToString().c_str());
  return 1;
}
