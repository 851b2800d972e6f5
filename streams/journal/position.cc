// See position.h.
#include "streams/journal/position.h"

#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::journal {
namespace {

constexpr std::string_view kMagic = "MPOS";
constexpr uint8_t kVersion = 1;
constexpr uint16_t kSourcesMax = 64;

}  // namespace

// position = magic | version u8 | log_id 16 | partition u16 | epoch u64 | nonce u64 | seq u64 | lsn u64 | chain u64 | at_genesis u8
//            | offset_hint u64 | time i64 | count u16, each: source u16, generation u32, any u8, offset u64, index u32 | XXH3_64 u64
std::string EncodePosition(const Position& position) {
  std::string out(kMagic);
  PutFixed(out, kVersion);
  out.append(position.log_id.view());
  PutFixed(out, position.partition.value());
  PutFixed(out, position.epoch.value());
  PutFixed(out, position.nonce);
  PutFixed(out, position.seq);
  PutFixed(out, position.lsn.value());
  PutFixed(out, position.chain);
  PutFixed(out, static_cast<uint8_t>(position.at_genesis ? 1 : 0));
  PutFixed(out, position.offset_hint.value());
  PutFixed(out, position.time.us);
  PutFixed(out, static_cast<uint16_t>(position.sources.size()));
  for (const SourcePosition& source : position.sources) {
    PutFixed(out, source.source);
    PutFixed(out, source.generation);
    PutFixed(out, static_cast<uint8_t>(source.any ? 1 : 0));
    PutFixed(out, source.offset.value());
    PutFixed(out, source.index);
  }
  PutFixed(out, Xxh3_64(out));
  return out;
}

Result<Position> DecodePosition(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + 8 || !bytes.starts_with(kMagic)) {
    return Fail(Code::kCorrupt, "{} bytes are no journal position", bytes.size());
  }
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  if (Cursor(bytes.substr(body.size())).Fixed<uint64_t>() != Xxh3_64(body)) {
    return Fail(Code::kCorrupt, "the hash of a journal position is wrong");
  }
  Cursor in(body.substr(kMagic.size()));
  Position position;
  const auto version = in.Fixed<uint8_t>();
  if (version != kVersion) return Fail(Code::kCorrupt, "a journal position of version {}, this build reads {}", version, kVersion);
  position.log_id = LogId::From(in.Take(16));
  position.partition = PartitionId(in.Fixed<uint16_t>());
  position.epoch = Epoch(in.Fixed<uint64_t>());
  position.nonce = in.Fixed<uint64_t>();
  position.seq = in.Fixed<uint64_t>();
  position.lsn = Lsn(in.Fixed<uint64_t>());
  position.chain = in.Fixed<uint64_t>();
  position.at_genesis = in.Fixed<uint8_t>() != 0;
  position.offset_hint = Offset(in.Fixed<uint64_t>());
  position.time = Instant{in.Fixed<int64_t>()};
  const auto count = in.Fixed<uint16_t>();
  for (uint16_t i = 0; i < count && i < kSourcesMax && in.ok(); ++i) {
    SourcePosition source;
    source.source = in.Fixed<uint16_t>();
    source.generation = in.Fixed<uint32_t>();
    source.any = in.Fixed<uint8_t>() != 0;
    source.offset = Offset(in.Fixed<uint64_t>());
    source.index = in.Fixed<uint32_t>();
    position.sources.push_back(source);
  }
  if (!in.ok() || !in.AtEnd()) return Fail(Code::kCorrupt, "a journal position of {} bytes is malformed", bytes.size());
  return position;
}

}  // namespace maily::journal
