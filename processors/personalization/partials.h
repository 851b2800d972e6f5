// What a template takes in by {% render 'name' %} and {% include 'name' %}: found before it is compiled, so that a version holds all of it.
// Pure; thread: any.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/template.h"

namespace maily::personalization {

inline constexpr size_t kPartialsMax = 64;      // that one template takes in, with those that these take in
inline constexpr size_t kPartialDepthMax = 16;  // of partials in partials

// 1 to 64 lower-case letters, digits, hyphens, underscores and dots, a letter or digit in front.
bool IsPartialName(std::string_view name);

struct PartialTexts {
  std::string_view html;
  std::string_view text;
};
// Null: there is none of that name.
using FindPartial = std::function<std::optional<PartialTexts>(std::string_view name)>;

// Those that the parts take in, and that these do, each once, in order of first appearance; what does not exist is left out, since
// compiling finds it. Violations: a name that is computed, a circle, too deep, too many; codes "computed_partial", "circular_partial",
// "too_many_partials". A part that does not parse has none.
std::vector<std::string> PartialsOf(const Source& source, const FindPartial& find, std::vector<Violation>& violations);
// The same of a partial itself, so that `name` in what it takes in is a circle.
std::vector<std::string> PartialsOfPartial(std::string_view name, const PartialTexts& texts, const FindPartial& find,
                                           std::vector<Violation>& violations);

}  // namespace maily::personalization
