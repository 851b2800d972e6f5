// The bytes of assets in blobs, sealed at rest under a key of the tenant. [format]
//
//   assets/t<tenant>/<SHA-256 of the bytes, hex>/<time of upload, ms, 12 hex><random, 20 hex>
//   box (sealed.h) of: content type ‖ NUL ‖ bytes, field id "asset:" ‖ SHA-256 in hex
//
// Each upload is a blob of its own, so that a removal can never meet a later upload of the same bytes. Every copy is as good: what was
// read is compared with its SHA-256. Calls block, as those of Blobs do. Thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/keyring/keyring.h"
#include "streams/port/blobs.h"
#include "streams/port/env.h"

namespace maily::schema {

// 64 hexadecimal digits in lower case.
std::string AssetId(std::string_view bytes);
bool IsAssetId(std::string_view id);
// The 32 bytes of an id that IsAssetId, and back.
std::string AssetDigest(std::string_view id);
std::string AssetIdOf(std::string_view digest);
// What stands for an asset in HTML: 1 to 100 letters, digits, dots, hyphens and underscores, with a letter or digit in front.
bool IsAssetName(std::string_view name);

// Where it is served: "<base>/a/<tenant>/<id>".
std::string HostedAddress(std::string_view base_url, TenantId tenant, std::string_view id);

class AssetStore {
 public:
  static constexpr size_t kBytesMax = 16 << 20;  // of one asset

  struct Stored {
    std::string content_type;
    std::string bytes;
  };
  struct Copy {
    std::string blob;
    TenantId tenant;
    std::string id;
    Instant uploaded_at;
  };

  // All of it outlives the store.
  AssetStore(Blobs& blobs, keyring::Keyring& keyring, Clock& clock, Entropy& entropy)
      : blobs_(blobs), keyring_(keyring), clock_(clock), entropy_(entropy) {}

  // The name of the blob that has them now. kInvalid: more than kBytesMax.
  Result<std::string> Put(TenantId tenant, std::string_view content_type, std::string_view bytes);
  // kNotFound: there is none, or its key is gone. kCorrupt: there are copies, and none is sound.
  Result<Stored> Get(TenantId tenant, std::string_view id);
  // CHECK: a name that Put gave.
  Result<void> Remove(const std::string& blob);
  // At most `count_max` copies behind `after`, in the order of their names; what is no copy is passed over, so fewer does not mean the end:
  // `end` says so, and `last` is the next `after`.
  struct Page {
    std::vector<Copy> copies;
    std::string last;
    bool end = true;
  };
  Result<Page> List(const std::string& after, size_t count_max);

 private:
  Blobs& blobs_;
  keyring::Keyring& keyring_;
  Clock& clock_;
  Entropy& entropy_;
};

}  // namespace maily::schema
