// Assets over HTTP: uploads, and the public address that mails point at.
//
//   GET /a/{tenant}/{id}   the bytes; no key: who knows the SHA-256 knows the bytes. Never changes, so caches may keep it for ever; needs
//   no
//                          read model. An image is shown, anything else is offered as a file; nothing of it can run as a page of ours.
// What was read and opened is kept for a minute, kHostedBytesMax together.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/problem.h"
#include "api/http/router.h"
#include "schemas/asset_store.h"
#include "streams/port/env.h"

namespace maily::api {

struct Call;
struct Shared;

inline constexpr size_t kHostedBytesMax = 32 << 20;
inline constexpr Duration kHostedFresh = Seconds(60);

// Of a process. Thread: any.
class HostedAssets {
 public:
  using Stored = std::shared_ptr<const schema::AssetStore::Stored>;
  // Null: not here, or not looked at for too long.
  Stored Find(TenantId tenant, const std::string& id, Duration now);
  void Keep(TenantId tenant, const std::string& id, const Stored& stored, Duration now);
  void Forget(TenantId tenant, const std::string& id);

 private:
  using Key = std::pair<TenantId, std::string>;
  struct Entry {
    Key key;
    Stored stored;
    Duration until;
  };
  void Drop(std::map<Key, std::list<Entry>::iterator>::iterator at);  // with the mutex

  std::mutex mutex_;
  std::list<Entry> entries_;  // the newest is the first
  std::map<Key, std::list<Entry>::iterator> places_;
  size_t bytes_ = 0;
};

std::vector<http::Route> HostedRoutes(std::shared_ptr<Shared> api);

// Whether bytes that begin so can be of that type, as far as its signature is known here (PNG, JPEG, GIF, WebP, PDF).
bool LooksLike(std::string_view content_type, std::string_view bytes);

// By the scanner of the operator, if there is one. A problem: it is not clean, or nobody knows, and it is refused before it is stored.
// Where there is a scanner it blocks, on its executor.
std::optional<http::Problem> ScanFile(const Call& call, std::string_view bytes);

}  // namespace maily::api
