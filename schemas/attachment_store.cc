// See attachment_store.h.
#include "schemas/attachment_store.h"

#include <algorithm>
#include <charconv>

#include "schemas/asset_store.h"
#include "schemas/sealed.h"

namespace maily::schema {
namespace {

constexpr std::string_view kFolder = "attachments/";
constexpr std::string_view kFieldId = "attachment";
constexpr size_t kStampDigits = 12;
constexpr size_t kHashDigits = 64;
constexpr int64_t kDayMs = 86'400'000;

template <class Number>
bool Read(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

// "<mark><number>/", taken from the front.
template <class Number>
bool TakeFolder(std::string_view& rest, char mark, Number& number) {
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.starts_with(mark) || !Read(rest.substr(1, slash - 1), number, 10)) return false;
  rest.remove_prefix(slash + 1);
  return true;
}

// False: it is the name of no attachment. `hash`: of the box.
bool ReadName(const std::string& blob, AttachmentStore::Copy& copy, std::string& hash) {
  std::string_view rest = blob;
  if (!rest.starts_with(kFolder)) return false;
  rest.remove_prefix(kFolder.size());
  uint32_t day = 0;
  uint32_t tenant = 0;
  uint16_t partition = 0;
  int64_t ms = 0;
  if (!TakeFolder(rest, 'd', day) || !TakeFolder(rest, 't', tenant) || !TakeFolder(rest, 'p', partition)) return false;
  if (rest.size() != kStampDigits + kHashDigits || !Read(rest.substr(0, kStampDigits), ms, 16)) return false;
  hash = rest.substr(kStampDigits);
  if (!IsAssetId(hash)) return false;
  copy = {.blob = blob, .tenant = TenantId(tenant), .partition = PartitionId(partition), .uploaded_at = {ms * 1000}};
  return true;
}

}  // namespace

Result<std::string> AttachmentStore::Put(TenantId tenant, PartitionId partition, const keyring::SubjectKey& key, std::string_view bytes) {
  if (bytes.size() > kBytesMax) return Fail(Code::kInvalid, "an attachment has at most {} bytes", kBytesMax);
  const std::string box = Seal(tenant, key, kFieldId, bytes, entropy_);
  const int64_t ms = clock_.Now().us / 1000;
  std::string blob = fmt::format("{}d{:06}/t{}/p{}/{:012x}{}", kFolder, ms / kDayMs, tenant.value(), partition.value(), ms, AssetId(box));
  MAILY_TRY_VOID(blobs_.Put(blob, box));
  return blob;
}

Result<std::string> AttachmentStore::Get(TenantId tenant, const std::string& blob) {
  Copy copy;
  std::string hash;
  if (!ReadName(blob, copy, hash) || copy.tenant != tenant)
    return Fail(Code::kCorrupt, "{} is no attachment of tenant {}", blob, tenant.value());
  auto box = blobs_.Get(blob, 0, kBytesMax + kBoxOverhead);
  if (!box && box.error().code == Code::kNotFound) return Fail(Code::kRetry, "{}/{}: it is not there", blobs_.place(), blob);
  if (!box) return box.error();
  if (AssetId(*box) != hash) return Fail(Code::kCorrupt, "{}/{}: it is damaged", blobs_.place(), blob);
  auto bytes = Open(keyring_, tenant, kFieldId, *box);
  if (!bytes && bytes.error().code == Code::kInvalid) return Fail(Code::kCorrupt, "{}/{}: {}", blobs_.place(), blob, bytes.error().message);
  return bytes;
}

Result<void> AttachmentStore::Remove(const std::string& blob) {
  Copy copy;
  std::string hash;
  if (!ReadName(blob, copy, hash)) return Fail(Code::kInvalid, "{} is no attachment", blob);
  return blobs_.Delete(blob);
}

Result<AttachmentStore::Page> AttachmentStore::List(const std::string& after, size_t count_max) {
  MAILY_TRY(const std::vector<BlobEntry> entries, blobs_.List(std::string(kFolder), after, count_max));
  Page page{.copies = {}, .last = entries.empty() ? after : entries.back().name, .end = entries.size() < count_max};
  for (const BlobEntry& entry : entries) {
    Copy copy;
    std::string hash;
    if (ReadName(entry.name, copy, hash)) page.copies.push_back(std::move(copy));
  }
  return page;
}

}  // namespace maily::schema
