// The verdict on a bounce or a delay: what the receiving server said, else what the provider makes of it.
#pragma once

#include <span>
#include <string_view>

#include "api/esp/notice.h"

namespace maily::esp {

// A class of a provider and what it says of the address. An empty subclass fits any.
struct ProviderClass {
  std::string_view cls;
  std::string_view subclass;
  bounces::Verdict verdict;
};
// The first row that fits, whatever the case of ASCII letters; else `none`.
bounces::Verdict Find(std::span<const ProviderClass> table, std::string_view cls, std::string_view subclass, const bounces::Verdict& none);

bool SameName(std::string_view a, std::string_view b);  // but for the case of ASCII letters

// Completes code and status from the diagnostic text and sets the verdict. The rules over the text decide, unless they found nothing but a
// bare refusal: then `by_provider` does. A provider's "permanent" may be said of spam, so it is the second to be asked.
void Judge(Notice& notice, const bounces::Verdict& by_provider);

}  // namespace maily::esp
