// See auth.h.
#include "api/gateway/auth.h"

#include <mutex>
#include <unordered_map>

namespace maily::gateway {
namespace {

constexpr size_t kCachedMax = 10'000;  // keys, those that do not exist included: outsiders cannot fill memory
constexpr std::string_view kPrefix = "mk_";
constexpr char kAlphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";  // 32 without the look-alikes l, o, 0, 1

std::string Random(Entropy& entropy, size_t size) {
  std::string text(size, 0);
  std::vector<uint8_t> bytes(size);
  entropy.Fill(bytes);
  for (size_t i = 0; i < size; ++i) text[i] = kAlphabet[bytes[i] & 31];
  return text;
}

// Bytes that follow from a secret and a request: HMACs of a counter.
class Derived final : public Entropy {
 public:
  Derived(const keyring::Key& secret, std::string_view request) : secret_(secret), request_(request) {}
  void Fill(std::span<uint8_t> bytes) override {
    for (size_t at = 0; at < bytes.size();) {
      const keyring::Digest block = keyring::HmacSha256(secret_, {"api key", std::to_string(block_++), "\n", request_});
      for (size_t i = 0; i < block.size() && at < bytes.size(); ++i) bytes[at++] = static_cast<uint8_t>(block[i]);
    }
  }

 private:
  const keyring::Key& secret_;
  const std::string_view request_;
  uint64_t block_ = 0;
};

// The key in "Bearer <key>", or nothing.
std::string_view KeyIn(std::string_view authorization) {
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() < kBearer.size() || authorization.size() > 200) return {};
  for (size_t i = 0; i < kBearer.size(); ++i) {
    if ((authorization[i] | 0x20) != (kBearer[i] | 0x20)) return {};
  }
  std::string_view key = authorization.substr(kBearer.size());
  while (key.starts_with(' ')) key.remove_prefix(1);
  return key.starts_with(kPrefix) ? key : std::string_view();
}

}  // namespace

std::string_view ScopeName(Scope scope) {
  switch (scope) {
    case Scope::kNone:
      return "none";
    case Scope::kRead:
      return "read";
    case Scope::kWrite:
      return "write";
    case Scope::kIngest:
      return "ingest";
    case Scope::kAdmin:
      return "admin";
  }
  return "none";
}

uint8_t ScopesOf(const std::vector<std::string>& names) {
  uint8_t scopes = 0;
  for (const Scope scope : {Scope::kRead, Scope::kWrite, Scope::kIngest, Scope::kAdmin}) {
    for (const std::string& name : names) {
      if (name == ScopeName(scope)) scopes = static_cast<uint8_t>(scopes | static_cast<uint8_t>(scope));
    }
  }
  return scopes;
}

bool Caller::May(Scope scope) const {
  const auto has = [this](Scope one) { return (scopes & static_cast<uint8_t>(one)) != 0; };
  return scope == Scope::kNone || has(Scope::kAdmin) || has(scope) || (scope == Scope::kRead && has(Scope::kWrite));
}

NewApiKey MakeApiKey(Entropy& entropy) {
  NewApiKey key;
  key.key_id = Random(entropy, 12);
  key.text = std::string(kPrefix) + key.key_id + "_" + Random(entropy, 40);  // 200 bits
  key.hash = keyring::Sha256(key.text);
  return key;
}

NewApiKey MakeApiKey(const keyring::Key& secret, std::string_view request) {
  Derived derived(secret, request);
  return MakeApiKey(derived);
}

FindKey KeysFromViews(projections::Views& views) {
  return [&views](const std::string& key_id) -> Result<StoredKey> {
    MAILY_TRY(const projections::Rows rows, views.Query("api_key", {{"key_id", sql::Value::Text(key_id)}}));
    if (rows.empty()) return Fail(Code::kNotFound, "there is no such API key");
    StoredKey key;
    key.tenant = TenantId(static_cast<uint32_t>(rows.at(0, "tenant").integer));
    key.secret_hash = rows.at(0, "secret_hash").bytes;
    key.revoked = rows.at(0, "revoked_at_us").type != sql::Type::kNull;
    std::vector<std::string> names(1);
    for (const char c : rows.at(0, "scopes").bytes) {  // words of letters, whatever stands between them
      if (c >= 'a' && c <= 'z') {
        names.back().push_back(c);
      } else {
        names.emplace_back();
      }
    }
    key.scopes = ScopesOf(names);
    return key;
  };
}

struct Auth::Impl {
  struct Cached {
    Result<StoredKey> key = Fail(Code::kNotFound, "");
    Duration read_at;
  };

  // The answer, if what is known is fresh.
  std::optional<Result<Caller>> Known(const std::string& key_id, const keyring::Digest& hash) {
    const std::lock_guard lock(mutex);
    const auto found = cache.find(key_id);
    if (found == cache.end() || clock.Steady() - found->second.read_at > kStaleMax) return std::nullopt;
    return Check(key_id, found->second.key, hash);
  }

  static Result<Caller> Check(const std::string& key_id, const Result<StoredKey>& key, const keyring::Digest& hash) {
    const Error wrong = Fail(Code::kInvalid, "the API key is unknown, wrong or revoked");
    if (!key)
      return key.error().code == Code::kNotFound ? wrong : Fail(Code::kRetry, "API keys cannot be read now: {}", key.error().message);
    if (!keyring::ConstantTimeEqual(key->secret_hash, keyring::View(hash)) || key->revoked) return wrong;
    return Caller{.tenant = key->tenant, .actor = "key:" + key_id, .scopes = key->scopes};
  }

  FindKey find;
  Executor& blocking;
  Clock& clock;
  std::mutex mutex;
  std::unordered_map<std::string, Cached> cache;
};

Auth::Auth(FindKey find, Executor& blocking, Clock& clock) : impl_(new Impl{std::move(find), blocking, clock, {}, {}}) {}
Auth::~Auth() = default;

namespace {

struct Parsed {
  std::string key_id;
  keyring::Digest hash{};
};

Result<Parsed> Parse(std::string_view authorization) {
  const std::string_view key = KeyIn(authorization);
  const size_t end = key.find('_', kPrefix.size());
  if (key.empty() || end == std::string_view::npos) return Fail(Code::kInvalid, "give an API key: Authorization: Bearer mk_…");
  return Parsed{std::string(key.substr(kPrefix.size(), end - kPrefix.size())), keyring::Sha256(key)};
}

}  // namespace

std::optional<Result<Caller>> Auth::Known(std::string_view authorization) {
  const auto parsed = Parse(authorization);
  if (!parsed) return Result<Caller>(parsed.error());
  return impl_->Known(parsed->key_id, parsed->hash);
}

void Auth::Authenticate(std::string_view authorization, Done done) {
  auto parsed = Parse(authorization);
  if (!parsed) return done(parsed.error());
  if (auto known = impl_->Known(parsed->key_id, parsed->hash)) return done(std::move(*known));
  impl_->blocking.Post([impl = impl_, key_id = std::move(parsed->key_id), hash = parsed->hash, done = std::move(done)]() mutable {
    if (auto known = impl->Known(key_id, hash)) return done(std::move(*known));  // read by the one before in the queue
    const Duration now = impl->clock.Steady();
    Result<StoredKey> found = impl->find(key_id);
    auto answer = Impl::Check(key_id, found, hash);
    if (found || found.error().code == Code::kNotFound) {
      const std::lock_guard lock(impl->mutex);
      if (impl->cache.size() >= kCachedMax) impl->cache.clear();
      impl->cache.insert_or_assign(key_id, Impl::Cached{std::move(found), now});
    }
    done(std::move(answer));
  });
}

}  // namespace maily::gateway
