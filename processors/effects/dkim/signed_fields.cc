// See signed_fields.h.
#include "processors/effects/dkim/signed_fields.h"

#include <algorithm>
#include <array>

#include "processors/effects/dkim/canonical.h"

namespace maily::dkim {
namespace {

// The order is that of h=; signed_fields.h says why these.
constexpr auto kNames = std::to_array<std::string_view>({
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",  // to here: once more than present
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Date",
    "Resent-Message-ID",
    "List-Help",
    "List-Subscribe",
    "List-Owner",
    "List-Post",
    "List-Archive",
    "Content-Disposition",
    "Content-Language",
    "Content-ID",
    "Content-Description",
    "Auto-Submitted",
    "Precedence",
    "X-Maily-Trace",
});
constexpr size_t kOversigned = 17;
static_assert(kNames[kOversigned - 1] == "Feedback-ID");

bool SameName(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

Selection SelectFields(std::string_view section) {
  struct Present {
    size_t name;  // index into kNames
    std::string_view field;
  };
  std::vector<Present> present;
  present.reserve(32);
  const size_t section_bytes = section.size();
  while (!section.empty()) {
    const std::string_view field = TakeField(section);
    const std::string_view name = FieldName(field);
    const auto known = std::ranges::find_if(kNames, [&](std::string_view candidate) { return SameName(candidate, name); });
    if (known != kNames.end()) present.push_back({static_cast<size_t>(known - kNames.begin()), field});
  }
  Selection selection;
  selection.names.reserve(present.size() + kOversigned);
  selection.canonical.reserve(section_bytes);
  for (size_t name = 0; name < kNames.size(); ++name) {
    // From the bottom up, as a verifier takes them (RFC 6376 §5.4.2).
    for (size_t i = present.size(); i-- > 0;) {
      if (present[i].name != name) continue;
      selection.names.push_back(kNames[name]);
      RelaxField(present[i].field, selection.canonical);
    }
    if (name < kOversigned) selection.names.push_back(kNames[name]);
  }
  return selection;
}

}  // namespace maily::dkim
