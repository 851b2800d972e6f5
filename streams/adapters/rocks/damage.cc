// See damage.h. The format: blocks of 32 KiB; in them fragments {crc32c u32, masked; size u16; type u8; bytes}; a block ends in zeros where
// no header fits. A record is one fragment of type 1, or of 2, 3 …, 4. One of a WAL is a batch {sequence u64, count u32, …}.
#include "streams/adapters/rocks/damage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

#include "streams/adapters/rocks/handles.h"
#include "streams/base/bytes.h"

namespace maily::rocks {
namespace {

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;
constexpr uint8_t kFull = 1, kFirst = 2, kLast = 4;
constexpr size_t kBatchHeaderBytes = 12;
constexpr char kLogData = 3;  // the tag of PutLogData in a batch
constexpr uint32_t kMaskDelta = 0xa282ead8;

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

#ifdef __x86_64__
__attribute__((target("sse4.2"))) uint32_t ByInstruction(uint32_t crc, std::string_view bytes) {
  uint64_t wide = crc;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) wide = __builtin_ia32_crc32di(wide, Cursor(bytes).Fixed<uint64_t>());
  crc = static_cast<uint32_t>(wide);
  for (const char byte : bytes) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(byte));
  return crc;
}
#endif

uint32_t Crc32c(uint8_t type, std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  crc = kTable[(crc ^ type) & 0xff] ^ crc >> 8;
#ifdef __x86_64__
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return ~ByInstruction(crc, bytes);
#endif
  for (const char byte : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

struct Header {
  uint32_t crc;
  uint16_t size;
  uint8_t type;

  bool empty() const { return size == 0 && type == 0; }
  bool Fits(std::string_view bytes) const {
    if (type < kFull || type > kLast) return false;
    const uint32_t plain = Crc32c(type, bytes);
    return crc == (plain >> 15 | plain << 17) + kMaskDelta;
  }
};
Header HeaderAt(std::string_view block, size_t at) {
  Cursor cursor(block.substr(at, kHeaderBytes));
  Header header{};
  header.crc = cursor.Fixed<uint32_t>();
  header.size = cursor.Fixed<uint16_t>();
  header.type = cursor.Fixed<uint8_t>();
  return header;
}

// Which later record of a file proves that one before it was durable: in a MANIFEST any, as RocksDB itself has it.
enum class Proof { kAny, kMark };

// One file, block by block.
class Scan {
 public:
  explicit Scan(Proof proof) : proof_(proof) {}

  void Block(std::string_view block, uint64_t offset, bool last) {
    for (size_t at = 0; at + kHeaderBytes <= block.size() && !damaged_;) {
      const Header header = HeaderAt(block, at);
      if (!header.empty() && Whole(header, block, at)) {
        Fragment(header, block.substr(at + kHeaderBytes, header.size));
        at += kHeaderBytes + header.size;
        continue;
      }
      if (!bad_) bad_ = Bad{offset + at, next_sequence_};
      if (!header.empty() && OnlyHeaderWrong(header, block, at, last)) damaged_ = true;
      // Where the next one begins may be what is damaged.
      for (++at; at + kHeaderBytes <= block.size(); ++at) {
        if (block[at + kHeaderBytes - 1] == '\0') {  // a header ends in its type, which is not 0: on to where one can
          at = std::min(block.find_first_not_of('\0', at + kHeaderBytes), block.size()) - kHeaderBytes;
          continue;
        }
        const Header next = HeaderAt(block, at);
        if (next.size > 0 && Whole(next, block, at)) break;
      }
    }
  }
  // Where the first damaged record begins, if it is proved that it is damaged.
  std::optional<uint64_t> damaged() const { return damaged_ ? std::optional(bad_->offset) : std::nullopt; }
  // The sequence number of the first batch behind what does not fit.
  std::optional<uint64_t> stranded() const { return stranded_; }

 private:
  struct Bad {
    uint64_t offset;
    std::optional<uint64_t> sequence;  // of its first change, if it is known
  };
  static bool Whole(const Header& header, std::string_view block, size_t at) {
    return at + kHeaderBytes + header.size <= block.size() && header.Fits(block.substr(at + kHeaderBytes, header.size));
  }

  // No crash leaves bytes whose checksum fits but for their size, or their type.
  static bool OnlyHeaderWrong(Header header, std::string_view block, size_t at, bool last) {
    if (last && header.Fits(block.substr(at + kHeaderBytes))) return true;
    for (header.type = kFull; header.type <= kLast; ++header.type) {
      if (Whole(header, block, at)) return true;
    }
    return false;
  }

  void Fragment(const Header& header, std::string_view bytes) {
    if (bad_ && proof_ == Proof::kAny) damaged_ = true;
    if (proof_ == Proof::kAny || (header.type != kFull && header.type != kFirst) || bytes.size() < kBatchHeaderBytes) return;
    Cursor cursor(bytes);
    const auto sequence = cursor.Fixed<uint64_t>();
    next_sequence_ = sequence + cursor.Fixed<uint32_t>();
    if (!bad_) return;
    if (!stranded_) stranded_ = sequence;
    if (!bad_->sequence) bad_->sequence = sequence == 0 ? 0 : sequence - 1;  // at most
    if (cursor.Fixed<uint8_t>() != kLogData || cursor.Varint() != kSyncedMarkBytes) return;
    const auto mark = cursor.Fixed<uint64_t>();
    if (cursor.ok() && mark >= *bad_->sequence) damaged_ = true;
  }

  const Proof proof_;
  std::optional<uint64_t> next_sequence_;
  std::optional<Bad> bad_;
  std::optional<uint64_t> stranded_;
  bool damaged_ = false;
};

// Ends a replay at the first batch behind a hole.
class EndAtHole final : public rocksdb::WalFilter {
 public:
  explicit EndAtHole(std::map<uint64_t, uint64_t> stranded) : stranded_(std::move(stranded)) {}

  WalProcessingOption LogRecordFound(unsigned long long wal, const std::string&, const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*,
                                     bool*) override {
    const auto found = stranded_.find(wal);
    const bool ends = found != stranded_.end() && Cursor(batch.Data()).Fixed<uint64_t>() >= found->second;
    return ends ? WalProcessingOption::kStopReplay : WalProcessingOption::kContinueProcessing;
  }
  const char* Name() const override { return "maily.EndAtHole"; }

 private:
  const std::map<uint64_t, uint64_t> stranded_;  // by the number of the WAL file: the sequence number of the first one
};

// Where the first batch is that a hole has cut off, in a WAL: its sequence number.
Result<std::optional<uint64_t>> Check(rocksdb::Env& env, const std::string& path, Proof proof) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  rocksdb::Status status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  if (!status.ok()) return std::optional<uint64_t>();  // Open says what is wrong
  Scan scan(proof);
  std::string room(kBlockBytes, '\0'), block, next;
  const auto fill = [&](std::string& to) {
    rocksdb::Slice bytes;
    status = file->Read(kBlockBytes, &bytes, room.data());
    to.assign(bytes.data(), status.ok() ? bytes.size() : 0);
  };
  fill(block);
  for (uint64_t offset = 0; !block.empty() && !scan.damaged(); offset += kBlockBytes) {
    fill(next);
    scan.Block(block, offset, next.empty());
    std::swap(block, next);
  }
  if (!status.ok()) return ToError(status, "reading", path);
  const auto damaged = scan.damaged();
  if (!damaged) return scan.stranded();
  return Fail(Code::kCorrupt,
              "{}: the record at offset {} is damaged, and it was durable; restore the file, or the data directory, from a backup", path,
              *damaged);
}

}  // namespace

Result<std::unique_ptr<rocksdb::WalFilter>> CheckWals(rocksdb::Env& env, const std::string& directory) {
  std::unique_ptr<rocksdb::WalFilter> filter;
  std::vector<std::string> names;
  if (!env.GetChildren(directory, &names).ok()) return filter;
  std::ranges::sort(names);
  std::map<uint64_t, uint64_t> stranded;
  for (const std::string& name : names) {
    if (!name.ends_with(".log")) continue;
    uint64_t number = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), number).ec != std::errc()) continue;  // none of RocksDB's
    MAILY_TRY(const auto first, Check(env, directory + "/" + name, Proof::kMark));
    if (first) stranded.emplace(number, *first);
  }
  if (!stranded.empty()) filter = std::make_unique<EndAtHole>(std::move(stranded));
  return filter;
}

Result<void> CheckManifest(rocksdb::Env& env, const std::string& directory) {
  std::string name;
  if (!rocksdb::ReadFileToString(&env, directory + "/CURRENT", &name).ok()) return Ok();
  while (name.ends_with('\n')) name.pop_back();
  MAILY_TRY_VOID(Check(env, directory + "/" + name, Proof::kAny));
  return Ok();
}

std::string SyncedMark(uint64_t sequence) {
  std::string mark;
  PutFixed(mark, sequence);
  return mark;
}

void MakeMark(rocksdb::WriteBatch& batch, uint64_t sequence) {
  batch.Clear();
  const rocksdb::Status status = batch.PutLogData(SyncedMark(sequence));
  MAILY_CHECK(status.ok(), "{}", status.ToString());
}

}  // namespace maily::rocks
