// See asset_store.h.
#include "schemas/asset_store.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "schemas/sealed.h"
#include "streams/keyring/cipher.h"

namespace maily::schema {
namespace {

constexpr std::string_view kFolder = "assets/";
constexpr std::string_view kSubject = "assets";  // whose key it is
constexpr size_t kIdDigits = 64;
constexpr size_t kStampDigits = 12;
constexpr size_t kRandomBytes = 10;
constexpr size_t kCopiesMax = 16;  // looked at for one asset
constexpr size_t kNameMax = 100;

std::string ToHex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kHex[static_cast<uint8_t>(c) & 15]);
  }
  return hex;
}

bool IsHex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string Prefix(TenantId tenant, std::string_view id) { return fmt::format("{}t{}/{}/", kFolder, tenant.value(), id); }
std::string FieldId(std::string_view id) { return "asset:" + std::string(id); }

template <class Number>
bool Read(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

// False: it is the name of no copy.
bool ReadName(const std::string& blob, AssetStore::Copy& copy) {
  std::string_view rest = blob;
  if (!rest.starts_with(kFolder)) return false;
  rest.remove_prefix(kFolder.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.starts_with('t') ||
      rest.size() != slash + 1 + kIdDigits + 1 + kStampDigits + kRandomBytes * 2)
    return false;
  uint32_t tenant = 0;
  int64_t ms = 0;
  const std::string_view id = rest.substr(slash + 1, kIdDigits);
  const std::string_view name = rest.substr(slash + 1 + kIdDigits + 1);
  if (!Read(rest.substr(1, slash - 1), tenant, 10) || !IsAssetId(id) || !IsHex(name) || !Read(name.substr(0, kStampDigits), ms, 16))
    return false;
  copy = {.blob = blob, .tenant = TenantId(tenant), .id = std::string(id), .uploaded_at = {ms * 1000}};
  return true;
}

}  // namespace

std::string AssetId(std::string_view bytes) { return ToHex(keyring::View(keyring::Sha256(bytes))); }

bool IsAssetId(std::string_view id) { return id.size() == kIdDigits && IsHex(id); }

std::string AssetDigest(std::string_view id) {
  MAILY_CHECK(IsAssetId(id), "no id of an asset");
  std::string digest;
  for (size_t i = 0; i < id.size(); i += 2) {
    uint8_t byte = 0;
    Read(id.substr(i, 2), byte, 16);
    digest.push_back(static_cast<char>(byte));
  }
  return digest;
}

std::string AssetIdOf(std::string_view digest) { return ToHex(digest); }

bool IsAssetName(std::string_view name) {
  const auto alnum = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= kNameMax && alnum(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return alnum(c) || c == '.' || c == '-' || c == '_'; });
}

std::string HostedAddress(std::string_view base_url, TenantId tenant, std::string_view id) {
  return fmt::format("{}/a/{}/{}", base_url, tenant.value(), id);
}

Result<std::string> AssetStore::Put(TenantId tenant, std::string_view content_type, std::string_view bytes) {
  if (bytes.size() > kBytesMax) return Fail(Code::kInvalid, "an asset has at most {} bytes", kBytesMax);
  const std::string id = AssetId(bytes);
  MAILY_TRY(const keyring::SubjectKey key, keyring_.GetOrCreate(tenant, kSubject));
  std::string plain;
  plain.reserve(content_type.size() + 1 + bytes.size());
  plain.append(content_type).append(1, '\0').append(bytes);
  std::array<uint8_t, kRandomBytes> random{};
  entropy_.Fill(random);
  std::string blob = Prefix(tenant, id) + fmt::format("{:012x}", clock_.Now().us / 1000) +
                     ToHex({reinterpret_cast<const char*>(random.data()), random.size()});
  MAILY_TRY_VOID(blobs_.Put(blob, Seal(tenant, key, FieldId(id), plain, entropy_)));
  return blob;
}

Result<AssetStore::Stored> AssetStore::Get(TenantId tenant, std::string_view id) {
  if (!IsAssetId(id)) return Fail(Code::kNotFound, "no id of an asset");
  MAILY_TRY(const std::vector<BlobEntry> entries, blobs_.List(Prefix(tenant, id), "", kCopiesMax));
  std::string trouble;
  for (const BlobEntry& entry : entries) {
    auto box = blobs_.Get(entry.name, 0, kBytesMax + kBoxOverhead + 1024);
    if (!box) {
      if (box.error().code == Code::kNotFound) continue;  // removed meanwhile
      return box.error();
    }
    auto plain = Open(keyring_, tenant, FieldId(id), *box);
    if (!plain && plain.error().code == Code::kNotFound) return plain.error();
    const size_t end = plain ? plain->find('\0') : std::string::npos;
    if (end != std::string::npos) {
      Stored stored{plain->substr(0, end), plain->substr(end + 1)};
      if (AssetId(stored.bytes) == id) return stored;
    }
    trouble = entry.name;
  }
  if (!trouble.empty()) return Fail(Code::kCorrupt, "{}/{}: it is damaged", blobs_.place(), trouble);
  return Fail(Code::kNotFound, "there is no blob of this asset in {}", blobs_.place());
}

Result<void> AssetStore::Remove(const std::string& blob) {
  Copy copy;
  MAILY_CHECK(ReadName(blob, copy), "{} is no asset", blob);
  return blobs_.Delete(blob);
}

Result<AssetStore::Page> AssetStore::List(const std::string& after, size_t count_max) {
  MAILY_TRY(const std::vector<BlobEntry> entries, blobs_.List(std::string(kFolder), after, count_max));
  Page page{.copies = {}, .last = entries.empty() ? after : entries.back().name, .end = entries.size() < count_max};
  for (const BlobEntry& entry : entries) {
    Copy copy;
    if (ReadName(entry.name, copy)) page.copies.push_back(std::move(copy));
  }
  return page;
}

}  // namespace maily::schema
