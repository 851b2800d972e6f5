// Where the HTML of a mail names assets: "cid:NAME", enclosed in the mail, and "asset:NAME", hosted. Pure; thread: any.
//
// A place counts where a value begins: behind ", ', = or ( (an attribute, or url(…) of a style); it goes up to the closing quote, or to a
// quote, ), > or white space. So src="cid:logo.png" and background:url(asset:sky.jpg) do, and "see cid:logo.png" in a text does not.
// Schemes in any case.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace maily::personalization {

struct AssetRef {
  enum class Kind : uint8_t { kEnclosed, kHosted };
  Kind kind = Kind::kEnclosed;
  std::string_view name;  // as spelled, in the source; perhaps empty, or with letters that no name has
  size_t offset = 0;      // of the scheme
  size_t size = 0;        // with the scheme
  bool operator==(const AssetRef&) const = default;
};

// In their order. Those whose name holds a placeholder are there too: as no asset has such a name, they are told from others by looking.
std::vector<AssetRef> FindAssetRefs(std::string_view html);

// The HTML with what `with` gives in place of each; empty = as it stands.
std::string ReplaceAssetRefs(std::string_view html, const std::function<std::string(const AssetRef&)>& with);

// The ids (64 hexadecimal digits) of hosted assets whose address stands there: "/a/<tenant>/<id>". Each once.
std::vector<std::string> FindHostedIds(std::string_view text, uint32_t tenant);

}  // namespace maily::personalization
