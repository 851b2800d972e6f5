// See sim_blobs.h.
#include "streams/adapters/sim/sim_blobs.h"

namespace maily::sim {
namespace {

Error Told(const char* what) { return Fail(Code::kRetry, "{}: the simulated place cannot be reached", what); }

}  // namespace

Result<void> SimBlobs::Put(const std::string& name, std::string_view bytes) {
  MAILY_TRY_VOID(CheckBlobName(name));
  if (bytes.size() > kBytesMax) return Fail(Code::kInvalid, "the blob {} has {} bytes, of at most {}", name, bytes.size(), kBytesMax);
  if (scheduler_.Chance(faults_.put_fails)) return Told("put");
  content_[name] = bytes;
  if (scheduler_.Chance(faults_.put_fails_and_lands)) return Told("put");
  return Ok();
}

Result<std::string> SimBlobs::Get(const std::string& name, uint64_t offset, size_t bytes_max) {
  MAILY_TRY_VOID(CheckBlobName(name));
  if (scheduler_.Chance(faults_.get_fails)) return Told("get");
  const auto found = content_.find(name);
  if (found == content_.end()) return Fail(Code::kNotFound, "there is no blob {}", name);
  if (offset >= found->second.size()) return std::string();
  return found->second.substr(offset, bytes_max);
}

Result<std::vector<BlobEntry>> SimBlobs::List(const std::string& prefix, const std::string& after, size_t count_max) {
  MAILY_TRY_VOID(CheckBlobPrefix(prefix));
  if (scheduler_.Chance(faults_.list_fails)) return Told("list");
  std::vector<BlobEntry> entries;
  for (auto each = content_.lower_bound(std::max(prefix, after)); each != content_.end() && entries.size() < count_max; ++each) {
    if (!each->first.starts_with(prefix)) break;
    if (each->first > after) entries.push_back({each->first, each->second.size()});
  }
  return entries;
}

Result<void> SimBlobs::Delete(const std::string& name) {
  MAILY_TRY_VOID(CheckBlobName(name));
  if (scheduler_.Chance(faults_.delete_fails)) return Told("delete");
  content_.erase(name);
  return Ok();
}

}  // namespace maily::sim
