// See variants.h.
#include "processors/personalization/variants.h"

#include <vector>

#include "processors/personalization/locales.h"

namespace maily::personalization {

int VariantOf(std::span<const std::string_view> locales, const Attributes& attributes) {
  if (locales.empty()) return -1;
  for (const std::string_view name : kLocaleAttributes) {
    for (const auto& attribute : attributes) {
      if (attribute.name() != name || attribute.value_case() != contacts::v1::Attribute::kText || attribute.text().empty()) continue;
      const auto chosen = ChooseLocale(locales, attribute.text());
      return chosen ? static_cast<int>(*chosen) : -1;
    }
  }
  return -1;
}

std::string LocaleOf(const templates::v1::TemplateVersion& version, const Attributes& attributes) {
  std::vector<std::string_view> locales;
  for (const auto& variant : version.variants()) locales.push_back(variant.locale());
  const int variant = VariantOf(locales, attributes);
  return variant < 0 ? version.locale() : version.variants(variant).locale();
}

}  // namespace maily::personalization
