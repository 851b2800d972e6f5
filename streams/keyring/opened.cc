// See opened.h.
#include "streams/keyring/opened.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "streams/base/hash.h"

namespace maily::keyring {
namespace {

// Tenant and bytes as one hash.
uint64_t HashOf(TenantId tenant, std::string_view bytes) { return Xxh3_64(bytes) ^ (tenant.value() * 0x9E3779B97F4A7C15ULL); }
std::string_view View(const KeyId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

// Zeroed, and not touched: the system gives the pages when they are used.
template <class T>
T* Zeroed(size_t count) {
  void* memory = std::calloc(count, sizeof(T));
  MAILY_CHECK(memory != nullptr, "out of memory: {} bytes", count * sizeof(T));
  return static_cast<T*>(memory);
}

}  // namespace

// All zero = empty.
struct Opened::Keys {
  KeyId ids[kWays];
  uint32_t tenants[kWays];
  bool used[kWays];
  uint8_t next;  // to be replaced
  std::array<uint8_t, kKeyBytes> keys[kWays];

  int Find(TenantId tenant, const KeyId& id) const {
    for (size_t i = 0; i < kWays; ++i) {
      if (used[i] && ids[i] == id && tenants[i] == tenant.value()) return static_cast<int>(i);
    }
    return -1;
  }
};

struct Opened::Subjects {
  char subjects[kWays][kSubjectBytesMax];
  uint8_t sizes[kWays];  // zero = empty
  uint32_t tenants[kWays];
  KeyId ids[kWays];
  uint8_t next;

  int Find(TenantId tenant, std::string_view subject) const {
    for (size_t i = 0; i < kWays; ++i) {
      if (sizes[i] == subject.size() && tenants[i] == tenant.value() && std::memcmp(subjects[i], subject.data(), subject.size()) == 0) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }
};

Opened::Opened(size_t bytes_max) {
  const size_t buckets = std::bit_floor(std::max<size_t>(1, bytes_max / (sizeof(Keys) + sizeof(Subjects))));
  mask_ = buckets - 1;
  keys_ = Zeroed<Keys>(buckets);
  subjects_ = Zeroed<Subjects>(buckets);
}

Opened::~Opened() {
  for (size_t i = 0; i <= mask_; ++i) {
    for (size_t way = 0; way < kWays; ++way) {
      if (keys_[i].used[way]) explicit_bzero(keys_[i].keys[way].data(), kKeyBytes);
    }
  }
  std::free(keys_);
  std::free(subjects_);
}

Opened::Keys& Opened::BucketOf(TenantId tenant, const KeyId& id) const { return keys_[HashOf(tenant, View(id)) & mask_]; }
Opened::Subjects& Opened::BucketOf(TenantId tenant, std::string_view subject) const { return subjects_[HashOf(tenant, subject) & mask_]; }

bool Opened::FindById(TenantId tenant, const KeyId& id, SubjectKey& out) const {
  const Keys& bucket = BucketOf(tenant, id);
  const int at = bucket.Find(tenant, id);
  if (at < 0) return false;
  out.key_id = id;
  out.key.bytes = bucket.keys[at];
  return true;
}

bool Opened::FindBySubject(TenantId tenant, std::string_view subject, SubjectKey& out) const {
  if (subject.empty() || subject.size() > kSubjectBytesMax) return false;
  const Subjects& bucket = BucketOf(tenant, subject);
  const int at = bucket.Find(tenant, subject);
  return at >= 0 && FindById(tenant, bucket.ids[at], out);
}

void Opened::Put(TenantId tenant, const SubjectKey& key, std::string_view subject) {
  Keys& bucket = BucketOf(tenant, key.key_id);
  int at = bucket.Find(tenant, key.key_id);
  if (at < 0) {
    at = bucket.next;
    bucket.next = static_cast<uint8_t>((bucket.next + 1U) % kWays);
  }
  bucket.ids[at] = key.key_id;
  bucket.tenants[at] = tenant.value();
  bucket.used[at] = true;
  bucket.keys[at] = key.key.bytes;
  if (subject.empty() || subject.size() > kSubjectBytesMax) return;
  Subjects& names = BucketOf(tenant, subject);
  int name = names.Find(tenant, subject);
  if (name < 0) {
    name = names.next;
    names.next = static_cast<uint8_t>((names.next + 1U) % kWays);
  }
  std::memcpy(names.subjects[name], subject.data(), subject.size());
  names.sizes[name] = static_cast<uint8_t>(subject.size());
  names.tenants[name] = tenant.value();
  names.ids[name] = key.key_id;
}

void Opened::Remove(TenantId tenant, const KeyId& id) {
  Keys& bucket = BucketOf(tenant, id);
  const int at = bucket.Find(tenant, id);
  if (at < 0) return;
  explicit_bzero(bucket.keys[at].data(), kKeyBytes);
  bucket.used[at] = false;
}

void Opened::RemoveSubject(TenantId tenant, std::string_view subject) {
  if (subject.empty() || subject.size() > kSubjectBytesMax) return;
  Subjects& bucket = BucketOf(tenant, subject);
  const int at = bucket.Find(tenant, subject);
  if (at >= 0) bucket.sizes[at] = 0;
}

}  // namespace maily::keyring
