// SHA-256 over what comes in pieces.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace maily::dkim {

using Digest = std::array<uint8_t, 32>;
inline std::string_view View(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

// One hash, once: Finish ends it. Thread: one at a time.
class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace maily::dkim
