// See partials.h.
#include "processors/personalization/partials.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "processors/personalization/liquid/template.h"

namespace maily::personalization {
namespace {

bool IsLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Walks into what is taken in, once for the HTML and once for the texts.
class Walk {
 public:
  Walk(const FindPartial& find, std::vector<Violation>& violations) : find_(find), violations_(violations) {}

  void Into(Part part, std::string_view source, const std::string& partial) {
    std::vector<liquid::PartialCall> calls;
    std::vector<liquid::Problem> problems;
    liquid::Template::Compile(source, {.strict = true, .partials = {}, .splices = {}, .calls = &calls}, problems);
    if (!partial.empty()) path_.push_back(partial);
    for (const liquid::PartialCall& call : calls) {
      const auto wrong = [&](const char* code, std::string message) {
        violations_.push_back({code, part, call.line, call.column, std::move(message), partial});
      };
      if (call.name.empty()) {
        wrong("computed_partial", "A partial is named in quotes: {% render 'footer' %}; what is computed could be any.");
        continue;
      }
      if (std::ranges::find(path_, call.name) != path_.end()) {
        std::string circle;
        for (auto at = std::ranges::find(path_, call.name); at != path_.end(); ++at) circle += *at + " takes in ";
        wrong("circular_partial", fmt::format("A circle: {}{}.", circle, call.name));
        continue;
      }
      if (path_.size() >= kPartialDepthMax) {
        wrong("too_many_partials", fmt::format("Partials stand in partials deeper than {}.", kPartialDepthMax));
        continue;
      }
      const auto texts = find_(call.name);
      if (!texts || !visited_.emplace(part == Part::kHtml, call.name).second) continue;
      if (std::ranges::find(names_, call.name) == names_.end()) names_.push_back(call.name);
      if (names_.size() > kPartialsMax) {
        wrong("too_many_partials", fmt::format("A template takes in at most {} partials.", kPartialsMax));
        break;
      }
      Into(part, part == Part::kHtml ? texts->html : texts->text, call.name);
    }
    if (!partial.empty()) path_.pop_back();
  }
  std::vector<std::string> TakeNames() { return std::move(names_); }

 private:
  const FindPartial& find_;
  std::vector<Violation>& violations_;
  std::vector<std::string> names_;
  std::vector<std::string> path_;
  std::set<std::pair<bool, std::string>> visited_;
};

}  // namespace

bool IsPartialName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && IsLetterOrDigit(name.front()) &&
         std::ranges::all_of(name, [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '_' || c == '.'; });
}

std::vector<std::string> PartialsOf(const Source& source, const FindPartial& find, std::vector<Violation>& violations) {
  Walk walk(find, violations);
  walk.Into(Part::kSubject, source.subject, {});
  walk.Into(Part::kHtml, source.html, {});
  walk.Into(Part::kText, source.text, {});
  walk.Into(Part::kPreheader, source.preheader, {});
  walk.Into(Part::kFromName, source.from_name, {});
  return walk.TakeNames();
}

std::vector<std::string> PartialsOfPartial(std::string_view name, const PartialTexts& texts, const FindPartial& find,
                                           std::vector<Violation>& violations) {
  Walk walk(find, violations);
  walk.Into(Part::kHtml, texts.html, std::string(name));
  walk.Into(Part::kText, texts.text, std::string(name));
  return walk.TakeNames();
}

}  // namespace maily::personalization
