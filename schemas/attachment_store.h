// The files that a message brings along, in blobs: sealed under the key of its address, so that they are gone with its owner. [format]
//
//   attachments/d<day of upload, 6 digits>/t<tenant>/p<partition>/<time of upload, ms, 12 hex><SHA-256 of the box, 64 hex>
//   box (sealed.h) of the bytes, field id "attachment"
//
// The name says what is stored and nothing of what was sealed, so it needs no seal. Every box has a nonce of its own: each upload is a blob
// of its own, and a removal can never meet a later one. Calls block, as those of Blobs do. Thread: any.
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

class AttachmentStore {
 public:
  static constexpr size_t kBytesMax = 16 << 20;  // of one file

  struct Copy {
    std::string blob;
    TenantId tenant;
    PartitionId partition;  // of the message
    Instant uploaded_at;
  };

  // All of it outlives the store.
  AttachmentStore(Blobs& blobs, keyring::Keyring& keyring, Clock& clock, Entropy& entropy)
      : blobs_(blobs), keyring_(keyring), clock_(clock), entropy_(entropy) {}

  // The name of the blob that has them now. kInvalid: more than kBytesMax.
  Result<std::string> Put(TenantId tenant, PartitionId partition, const keyring::SubjectKey& key, std::string_view bytes);
  // kNotFound: its key is gone. kRetry: it is not there. kCorrupt: it is not what was stored, or of another tenant.
  Result<std::string> Get(TenantId tenant, const std::string& blob);
  // kInvalid: not a name that Put gave.
  Result<void> Remove(const std::string& blob);
  // As AssetStore::List. The days are in their order.
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
