// See source.h.
#include "processors/effects/smtp/source.h"

#include <algorithm>

#include "streams/base/hash.h"

namespace maily::smtp {

Sources SourcesFor(const SourcePool* pool, TenantId tenant, std::string_view domain) {
  if (pool == nullptr) return {nullptr};
  Sources sources;
  std::string name(domain);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  const uint64_t hash = Xxh3_64Chain(tenant.value(), name, 0);
  for (; pool != nullptr; pool = pool->overflow.get()) {
    const size_t first = hash % pool->sources.size();
    for (size_t i = 0; i < pool->sources.size(); ++i) {
      const auto& source = pool->sources[(first + i) % pool->sources.size()];
      if (std::ranges::find(sources, source) == sources.end()) sources.push_back(source);
    }
  }
  return sources;
}

std::string SiteFrom(std::string_view site, const Source* source) {
  std::string name(site);
  if (source != nullptr) name.append("@").append(source->name);
  return name;
}

std::string_view SourceOf(std::string_view site) {
  const size_t at = site.rfind('@');
  return at == std::string_view::npos ? std::string_view() : site.substr(at + 1);
}

std::string_view SiteWithout(std::string_view site) { return site.substr(0, site.rfind('@')); }

}  // namespace maily::smtp
