// Prints what a store holds, unpacked, so that a test can search it: `stored_bytes DIRECTORY…`, each a RocksDB database that nobody has
// open. For every entry of every column family: key, value, and each zstd frame that the value ends with, decompressed; to stderr, how many
// such frames there were. Opens for reading only; what stands in the write-ahead log alone is printed too. An argument that is a file (part
// of a snapshot) is taken as one value. Exits 1, naming the directory, if one cannot be read.
#include <rocksdb/db.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "streams/base/compress.h"

namespace {

constexpr std::string_view kZstdMagic = "\x28\xB5\x2F\xFD";  // RFC 8878 §3.1.1
constexpr size_t kUnpackedBytesMax = size_t{64} << 20;

void Print(std::string_view bytes) {
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
  std::fputc('\n', stdout);
}

// Gives how many frames there were.
size_t PrintUnpacked(std::string_view value) {
  size_t frames = 0;
  for (size_t at = value.find(kZstdMagic); at != std::string_view::npos; at = value.find(kZstdMagic, at + 1)) {
    const auto raw = maily::Decompress(value.substr(at), kUnpackedBytesMax);
    if (!raw) continue;
    Print(*raw);
    ++frames;
  }
  return frames;
}

rocksdb::Status PrintFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return rocksdb::Status::IOError("cannot be read");
  Print(bytes);
  std::fprintf(stderr, "%zu\n", PrintUnpacked(bytes));
  return rocksdb::Status::OK();
}

rocksdb::Status PrintAll(const std::string& directory) {
  if (std::filesystem::is_regular_file(directory)) return PrintFile(directory);
  rocksdb::Options options;
  std::vector<std::string> names;
  if (auto status = rocksdb::DB::ListColumnFamilies(options, directory, &names); !status.ok()) return status;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions(options));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  if (auto status = rocksdb::DB::OpenForReadOnly(options, directory, families, &handles, &opened); !status.ok()) return status;
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::Status read;
  size_t frames = 0;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    const std::unique_ptr<rocksdb::Iterator> entry(db->NewIterator(rocksdb::ReadOptions(), handle));
    for (entry->SeekToFirst(); entry->Valid(); entry->Next()) {
      Print(entry->key().ToStringView());
      Print(entry->value().ToStringView());
      frames += PrintUnpacked(entry->value().ToStringView());
    }
    if (!entry->status().ok()) read = entry->status();
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  std::fprintf(stderr, "%zu\n", frames);
  return read;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (const auto status = PrintAll(argv[i]); !status.ok()) {
      std::fprintf(stderr, "stored_bytes: %s: %s\n", argv[i], status.ToString().c_str());
      return 1;
    }
  }
  return argc > 1 ? 0 : 2;
}
