// See snapshot.h.
#include "streams/state/snapshot.h"

#include <algorithm>
#include <set>
#include <utility>

#include "streams/base/bytes.h"
#include "streams/base/compress.h"
#include "streams/state/store_internal.h"

namespace maily::state {
namespace {

constexpr std::string_view kMagic = "MSNP";
constexpr uint8_t kVersion = 1;
constexpr size_t kListed = 1'000;
constexpr size_t kPartsMax = 1'000'000;
constexpr size_t kRawBytesMax = 256 << 20;  // bounds what a wrong manifest can make a loader allocate

std::string FoldHash(const std::string& fold_version) { return fmt::format("{:016x}", Xxh3_64(fold_version)); }

// id = lsn - fold - chance; empty if it is none.
std::string FoldOf(const std::string& id) { return id.size() == 46 && id[20] == '-' && id[37] == '-' ? id.substr(21, 16) : std::string(); }
std::string LsnOf(const std::string& id) { return id.substr(0, 20); }
std::string LastSegment(const std::string& name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

uint64_t Snapshot::bytes() const {
  uint64_t sum = 0;
  for (const SnapshotPart& part : parts) sum += part.bytes;
  return sum;
}

// manifest = magic | version u8 | position bytes | fold version bytes | build bytes | taken i64 | entries u64 | digest 2 u64
//            | parts varint, each: bytes u64, raw bytes u64, hash u64 | XXH3_64 u64
std::string EncodeManifest(const Snapshot& snapshot) {
  std::string out(kMagic);
  PutFixed(out, kVersion);
  PutBytes(out, journal::EncodePosition(snapshot.position));
  PutBytes(out, snapshot.fold_version);
  PutBytes(out, snapshot.build);
  PutFixed(out, snapshot.taken.us);
  PutFixed(out, snapshot.entries);
  PutFixed(out, snapshot.digest.low);
  PutFixed(out, snapshot.digest.high);
  PutVarint(out, snapshot.parts.size());
  for (const SnapshotPart& part : snapshot.parts) {
    PutFixed(out, part.bytes);
    PutFixed(out, part.raw_bytes);
    PutFixed(out, part.hash);
  }
  PutFixed(out, Xxh3_64(out));
  return out;
}

Result<Snapshot> DecodeManifest(const std::string& id, std::string_view bytes) {
  const auto corrupt = [&](std::string_view what) { return Fail(Code::kCorrupt, "the manifest of snapshot {} {}", id, what); };
  if (bytes.size() < kMagic.size() + 9 || !bytes.starts_with(kMagic)) return corrupt("is none");
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  if (Cursor(bytes.substr(body.size())).Fixed<uint64_t>() != Xxh3_64(body)) return corrupt("is damaged: its hash is wrong");
  Cursor in(body.substr(kMagic.size()));
  if (in.Fixed<uint8_t>() != kVersion) return corrupt("has a version that this build does not read");
  Snapshot snapshot;
  snapshot.id = id;
  MAILY_TRY(snapshot.position, journal::DecodePosition(in.Bytes()));
  snapshot.fold_version = in.Bytes();
  snapshot.build = in.Bytes();
  snapshot.taken = Instant{in.Fixed<int64_t>()};
  snapshot.entries = in.Fixed<uint64_t>();
  snapshot.digest.low = in.Fixed<uint64_t>();
  snapshot.digest.high = in.Fixed<uint64_t>();
  const uint64_t count = in.Varint();
  for (uint64_t i = 0; i < count && i < kPartsMax && in.ok(); ++i) {
    SnapshotPart part;
    part.bytes = in.Fixed<uint64_t>();
    part.raw_bytes = in.Fixed<uint64_t>();
    part.hash = in.Fixed<uint64_t>();
    if (part.bytes > Blobs::kBytesMax || part.raw_bytes > kRawBytesMax) return corrupt("has a part that is too large");
    snapshot.parts.push_back(part);
  }
  if (!in.ok() || !in.AtEnd() || snapshot.parts.size() != count) return corrupt("does not parse");
  return snapshot;
}

SnapshotPlace::SnapshotPlace(Blobs& blobs, const LogId& log_id, PartitionId partition)
    : blobs_(blobs), log_id_(log_id), partition_(partition), root_(fmt::format("snapshots/{}/{:05}", log_id.ToHex(), partition.value())) {}

std::string SnapshotPlace::NewId(const journal::Position& position, const std::string& fold_version, uint64_t chance) const {
  return fmt::format("{:020}-{}-{:08x}", position.lsn.value(), FoldHash(fold_version), chance & 0xFFFF'FFFF);
}
std::string SnapshotPlace::ManifestName(const std::string& id) const { return fmt::format("{}/manifests/{}", root_, id); }
std::string SnapshotPlace::PartName(const std::string& id, size_t number) const {
  return fmt::format("{}/parts/{}/{:06}", root_, id, number);
}

Result<std::vector<std::string>> SnapshotPlace::List(const std::string& fold_version) const {
  MAILY_TRY(const auto entries, blobs_.List(root_ + "/manifests/", "", kListed));
  const std::string fold = fold_version.empty() ? "" : FoldHash(fold_version);
  std::vector<std::string> ids;
  for (const BlobEntry& entry : entries) {
    std::string id = LastSegment(entry.name);
    if (const std::string of = FoldOf(id); of.empty() || (!fold.empty() && of != fold)) continue;
    ids.push_back(std::move(id));
  }
  std::ranges::reverse(ids);
  return ids;
}

Result<Snapshot> SnapshotPlace::Read(const std::string& id) const {
  MAILY_TRY(const std::string bytes, blobs_.Get(ManifestName(id), 0, Blobs::kBytesMax));
  MAILY_TRY(Snapshot snapshot, DecodeManifest(id, bytes));
  if (snapshot.position.log_id != log_id_ || snapshot.position.partition != partition_) {
    return Fail(Code::kCorrupt, "snapshot {} is of log {} partition {}, not of log {} partition {}", id, snapshot.position.log_id.ToHex(),
                snapshot.position.partition.value(), log_id_.ToHex(), partition_.value());
  }
  return snapshot;
}

Result<void> SnapshotPlace::RemoveParts(const std::string& id) const {
  for (;;) {
    MAILY_TRY(const auto parts, blobs_.List(fmt::format("{}/parts/{}/", root_, id), "", kListed));
    if (parts.empty()) return Ok();
    for (const BlobEntry& part : parts) MAILY_TRY_VOID(blobs_.Delete(part.name));
  }
}

Result<void> SnapshotPlace::Remove(const std::string& id) const {
  MAILY_TRY_VOID(blobs_.Delete(ManifestName(id)));
  return RemoveParts(id);
}

Result<void> SnapshotPlace::Prune(const std::string& fold_version, const std::string& newest, size_t keep) const {
  MAILY_TRY(const auto ids, List(""));
  std::set<std::string> whole;
  size_t own = 0, others = 0;
  for (const std::string& id : ids) {
    if ((FoldOf(id) == FoldHash(fold_version) ? own : others)++ < keep || LsnOf(id) > LsnOf(newest)) {
      whole.insert(id);
    } else {
      MAILY_TRY_VOID(Remove(id));
    }
  }
  const std::string parts = root_ + "/parts/";
  std::set<std::string> orphans;
  for (std::string after;;) {
    MAILY_TRY(const auto entries, blobs_.List(parts, after, kListed));
    for (const BlobEntry& entry : entries) {
      const std::string id = entry.name.substr(parts.size(), entry.name.rfind('/') - parts.size());
      if (!whole.contains(id) && LsnOf(id) <= LsnOf(newest)) orphans.insert(id);
    }
    if (entries.size() < kListed) break;
    after = entries.back().name;
  }
  for (const std::string& id : orphans) MAILY_TRY_VOID(RemoveParts(id));
  return Ok();
}

SnapshotWriter::SnapshotWriter(SnapshotPlace place, std::unique_ptr<KvView> view, Options options)
    : place_(std::move(place)), view_(std::move(view)), options_(std::move(options)) {}

// What the store says of itself comes before its entries.
Result<void> SnapshotWriter::Begin() {
  std::string meta, position;
  MAILY_TRY(const bool more, view_->Next([&](std::string_view key, std::string_view value) {
    if (key == kMetaKey) meta = value;
    if (key == kPositionKey) position = value;
    return key != kPositionKey;
  }));
  (void)more;
  if (position.empty()) return Fail(Code::kNotFound, "the state of partition {} is empty", place_.partition().value());
  MAILY_TRY(snapshot_.position, journal::DecodePosition(position));
  // Whether a claim was accepted cannot be told from what stands near to it in the journal.
  if (snapshot_.position.seq == 0) {
    return Fail(Code::kNotFound, "the state of partition {} stands after a claim, not after a frame", place_.partition().value());
  }
  MAILY_TRY(snapshot_.fold_version, FoldVersionOf(meta, place_.log_id(), place_.partition()));
  snapshot_.build = options_.build;
  snapshot_.id = place_.NewId(snapshot_.position, snapshot_.fold_version, options_.chance);
  return Ok();
}

Result<bool> SnapshotWriter::Put() {
  std::string raw;
  MAILY_TRY(const bool more, view_->Next([&](std::string_view key, std::string_view value) {
    PutBytes(raw, key);
    PutBytes(raw, value);
    digest_.Add(key, value);
    ++snapshot_.entries;
    return raw.size() < options_.part_bytes;
  }));
  if (raw.empty()) return more;
  std::string packed;
  CompressTo(packed, raw);
  const std::string name = place_.PartName(snapshot_.id, snapshot_.parts.size());
  snapshot_.parts.push_back({packed.size(), raw.size(), Xxh3_64(packed)});
  MAILY_TRY_VOID(place_.blobs().Put(name, packed));
  return more;
}

Result<bool> SnapshotWriter::Step(Instant now) {
  if (snapshot_.id.empty()) {
    MAILY_TRY_VOID(Begin());
    return true;
  }
  MAILY_TRY(const bool more, Put());
  if (more) return true;
  view_.reset();
  snapshot_.taken = now;
  snapshot_.digest = digest_.sum();
  MAILY_TRY_VOID(place_.blobs().Put(place_.ManifestName(snapshot_.id), EncodeManifest(snapshot_)));
  return false;
}

void SnapshotWriter::Abandon() {
  view_.reset();
  if (!snapshot_.id.empty()) place_.Remove(snapshot_.id).IgnoreError("the next one that is complete removes it");
}

SnapshotLoader::SnapshotLoader(SnapshotPlace place, Snapshot snapshot, Kv& kv)
    : place_(std::move(place)), snapshot_(std::move(snapshot)), kv_(kv) {}

Result<void> SnapshotLoader::Unpack(size_t number, KvBatch& batch) {
  const SnapshotPart& part = snapshot_.parts[number];
  const auto damaged = [&](std::string_view what) { return Fail(Code::kCorrupt, "part {} is damaged: {}", number, what); };
  MAILY_TRY(const std::string packed, place_.blobs().Get(place_.PartName(snapshot_.id, number), 0, part.bytes + 1));
  if (packed.size() != part.bytes) return damaged("it has another size");
  if (Xxh3_64(packed) != part.hash) return damaged("its hash is wrong");
  MAILY_TRY(const std::string raw, Decompress(packed, part.raw_bytes));
  if (raw.size() != part.raw_bytes) return damaged("it unpacks to another size");
  for (Cursor in(raw); !in.AtEnd();) {
    const std::string_view key = in.Bytes();
    const std::string_view value = in.Bytes();
    if (!in.ok()) return damaged("it does not parse");
    if (key <= last_key_ || key < kFirstEntry) return damaged("its keys are not in order");
    last_key_ = key;
    digest_.Add(key, value);
    ++entries_;
    batch.Put(std::string(key), std::string(value));
  }
  return Ok();
}

Result<SnapshotLoader::State> SnapshotLoader::Step() {
  if (!std::exchange(begun_, true)) {
    MAILY_TRY_VOID(Empty(kv_));
    return State::kLoading;
  }
  if (next_ < snapshot_.parts.size()) {
    KvBatch batch;
    batch.lasting = true;
    if (const auto unpacked = Unpack(next_, batch); !unpacked) {
      trouble_ = unpacked.error().message;
      return State::kUnusable;
    }
    MAILY_TRY_VOID(kv_.Write(batch));
    ++next_;
    return State::kLoading;
  }
  if (entries_ != snapshot_.entries || digest_.sum() != snapshot_.digest) {
    trouble_ = "its entries have another digest than its manifest says";
    return State::kUnusable;
  }
  MAILY_TRY_VOID(Describe(kv_, place_.log_id(), place_.partition(), snapshot_.fold_version, &snapshot_.position));
  return State::kComplete;
}

}  // namespace maily::state
