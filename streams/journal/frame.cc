// See frame.h.
#include "streams/journal/frame.h"

#include "streams/base/bytes.h"
#include "streams/base/compress.h"
#include "streams/base/hash.h"

namespace maily::journal {
namespace {

constexpr std::string_view kMagic = "MJNL";
constexpr size_t kBeginBytes = 4 + 1 + 1 + 16 + 2;
constexpr size_t kHashBytes = 8;
constexpr size_t kFrameFixedBytes = kBeginBytes + 8 + 8 + 8 + 4 + 8 + 4 + 8 + 4 + 8 + 2 + 8 + 4 + kHashBytes;
constexpr size_t kSourceBytes = 2 + 4 + 1 + 8 + 4 + 8 + 4;

void Begin(std::string& out, RecordKind kind, const LogId& log_id, PartitionId partition) {
  out.append(kMagic);
  PutFixed(out, static_cast<uint8_t>(kind));
  PutFixed(out, kRecordVersion);
  out.append(log_id.view());
  PutFixed(out, partition.value());
}

// Cuts header_hash off the end of `header`, checks it, and gives what precedes it after the common beginning.
bool HashFits(std::string_view header) {
  const size_t size = header.size() - kHashBytes;
  return Cursor(header.substr(size)).Fixed<uint64_t>() == Xxh3_64(header.substr(0, size));
}

Error Damaged(std::string_view what, std::string_view record) {
  return Fail(Code::kCorrupt, "a journal record of {} bytes is damaged: {}", record.size(), what);
}

Result<Parsed> FinishGenesis(Parsed parsed, std::string_view record) {
  if (record.size() != kBeginBytes + 2 + kHashBytes) return Damaged("size of genesis", record);
  if (!HashFits(record)) return Damaged("header hash", record);
  parsed.genesis.partition_count = Cursor(record.substr(kBeginBytes)).Fixed<uint16_t>();
  parsed.header = record;
  return parsed;
}

Result<Parsed> FinishClaim(Parsed parsed, std::string_view record) {
  if (record.size() < kBeginBytes + 8 + 8 + 4 + 2 + 2 + kHashBytes) return Damaged("size of claim", record);
  if (!HashFits(record)) return Damaged("header hash", record);
  Cursor in(record.substr(kBeginBytes, record.size() - kBeginBytes - kHashBytes));
  parsed.claim.epoch = Epoch(in.Fixed<uint64_t>());
  parsed.claim.nonce = in.Fixed<uint64_t>();
  parsed.claim.writer_level = in.Fixed<uint32_t>();
  const auto owner_size = in.Fixed<uint16_t>();
  const auto build_size = in.Fixed<uint16_t>();
  parsed.claim.owner = in.Take(owner_size);
  parsed.claim.build = in.Take(build_size);
  if (!in.ok() || !in.AtEnd()) return Damaged("texts of claim", record);
  parsed.header = record;
  return parsed;
}

Result<Parsed> FinishFrame(Parsed parsed, std::string_view record) {
  if (record.size() < kFrameFixedBytes) return Damaged("size of frame", record);
  Cursor in(record.substr(kBeginBytes));
  FrameHeader& frame = parsed.frame;
  frame.epoch = Epoch(in.Fixed<uint64_t>());
  frame.nonce = in.Fixed<uint64_t>();
  frame.seq = in.Fixed<uint64_t>();
  frame.window = in.Fixed<uint32_t>();
  frame.first_lsn = Lsn(in.Fixed<uint64_t>());
  frame.count = in.Fixed<uint32_t>();
  frame.time = Instant{in.Fixed<int64_t>()};
  frame.reader_level = in.Fixed<uint32_t>();
  frame.prev_chain = in.Fixed<uint64_t>();
  const auto source_count = in.Fixed<uint16_t>();
  const size_t header_size = kFrameFixedBytes + source_count * kSourceBytes;
  if (source_count > kSourcesMax || record.size() < header_size) return Damaged("sources of frame", record);
  parsed.header = record.substr(0, header_size);
  parsed.body = record.substr(header_size);
  if (!HashFits(parsed.header)) return Damaged("header hash", record);
  frame.sources.resize(source_count);
  for (FrameSource& source : frame.sources) {
    source.source = in.Fixed<uint16_t>();
    source.generation = in.Fixed<uint32_t>();
    source.prev_any = in.Fixed<uint8_t>() != 0;
    source.prev_offset = Offset(in.Fixed<uint64_t>());
    source.prev_index = in.Fixed<uint32_t>();
    source.last_offset = Offset(in.Fixed<uint64_t>());
    source.last_index = in.Fixed<uint32_t>();
  }
  frame.body_hash = in.Fixed<uint64_t>();
  frame.body_size = in.Fixed<uint32_t>();
  if (frame.body_size != parsed.body.size() || frame.body_hash != Xxh3_64(parsed.body)) return Damaged("body of frame", record);
  return parsed;
}

}  // namespace

std::string BuildGenesis(const LogId& log_id, PartitionId partition, const Genesis& genesis) {
  std::string out;
  Begin(out, RecordKind::kGenesis, log_id, partition);
  PutFixed(out, genesis.partition_count);
  PutFixed(out, Xxh3_64(out));
  return out;
}

std::string BuildClaim(const LogId& log_id, PartitionId partition, const Claim& claim) {
  const std::string_view owner = claim.owner.substr(0, kClaimTextBytesMax);
  const std::string_view build = claim.build.substr(0, kClaimTextBytesMax);
  std::string out;
  Begin(out, RecordKind::kClaim, log_id, partition);
  PutFixed(out, claim.epoch.value());
  PutFixed(out, claim.nonce);
  PutFixed(out, claim.writer_level);
  PutFixed(out, static_cast<uint16_t>(owner.size()));
  PutFixed(out, static_cast<uint16_t>(build.size()));
  out.append(owner);
  out.append(build);
  PutFixed(out, Xxh3_64(out));
  return out;
}

std::string BuildFrame(const LogId& log_id, PartitionId partition, FrameHeader header, std::string_view raw_body) {
  MAILY_CHECK(header.sources.size() <= kSourcesMax, "{} sources in a frame", header.sources.size());
  const size_t header_size = kFrameFixedBytes + header.sources.size() * kSourceBytes;
  // The body is compressed straight to its place; then the header, which depends on it, is laid before it.
  std::string out(header_size, '\0');
  CompressTo(out, raw_body);
  const std::string_view body = std::string_view(out).substr(header_size);
  std::string head;
  head.reserve(header_size);
  Begin(head, RecordKind::kFrame, log_id, partition);
  PutFixed(head, header.epoch.value());
  PutFixed(head, header.nonce);
  PutFixed(head, header.seq);
  PutFixed(head, header.window);
  PutFixed(head, header.first_lsn.value());
  PutFixed(head, header.count);
  PutFixed(head, header.time.us);
  PutFixed(head, header.reader_level);
  PutFixed(head, header.prev_chain);
  PutFixed(head, static_cast<uint16_t>(header.sources.size()));
  for (const FrameSource& source : header.sources) {
    PutFixed(head, source.source);
    PutFixed(head, source.generation);
    PutFixed(head, static_cast<uint8_t>(source.prev_any ? 1 : 0));
    PutFixed(head, source.prev_offset.value());
    PutFixed(head, source.prev_index);
    PutFixed(head, source.last_offset.value());
    PutFixed(head, source.last_index);
  }
  PutFixed(head, Xxh3_64(body));
  PutFixed(head, static_cast<uint32_t>(body.size()));
  PutFixed(head, Xxh3_64(head));
  MAILY_CHECK(head.size() == header_size, "frame header of {} bytes, expected {}", head.size(), header_size);
  StoreRaw(out.data(), head);
  return out;
}

Result<Parsed> ParseJournalRecord(std::string_view record) {
  if (!record.starts_with(kMagic)) return Fail(Code::kInvalid, "a record of {} bytes without the magic of the journal", record.size());
  if (record.size() < kBeginBytes + kHashBytes) return Damaged("shorter than any header", record);
  Cursor in(record.substr(kMagic.size()));
  Parsed parsed;
  parsed.kind = static_cast<RecordKind>(in.Fixed<uint8_t>());
  const auto version = in.Fixed<uint8_t>();
  if (version != kRecordVersion) {
    return Fail(Code::kCorrupt, "a journal record of version {}, this build reads {} (written by a newer build?)", version, kRecordVersion);
  }
  parsed.log_id = LogId::From(in.Take(16));
  parsed.partition = PartitionId(in.Fixed<uint16_t>());
  switch (parsed.kind) {
    case RecordKind::kGenesis:
      return FinishGenesis(std::move(parsed), record);
    case RecordKind::kClaim:
      return FinishClaim(std::move(parsed), record);
    case RecordKind::kFrame:
      return FinishFrame(std::move(parsed), record);
  }
  return Damaged("kind", record);
}

uint64_t ChainAfter(uint64_t before, const Parsed& record) {
  if (record.kind == RecordKind::kFrame) return Xxh3_64Chain(before, record.header, record.frame.body_hash);
  std::string chained;
  PutFixed(chained, before);
  chained.append(record.header);
  return Xxh3_64(chained);
}

}  // namespace maily::journal
