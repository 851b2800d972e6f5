// Finds the http and https links of a mail that are to be tracked. Pure; thread: any.
//
// Not tracked, and left as they are: every other scheme, anchors, <a data-track="false">, links that hold a placeholder (so {{
// unsubscribe_url }} too), and targets that no redirect can carry (white space or control characters inside, or longer than
// kTargetBytesMax).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maily::personalization {

inline constexpr size_t kTargetBytesMax = 4096;
inline constexpr size_t kLinksMax = 1000;  // distinct targets of one template; further ones are not tracked

// One appearance of a link.
struct LinkPlace {
  uint32_t offset = 0;  // of the target as spelled, in the part's source
  uint32_t size = 0;
  std::string target;  // exact bytes; in HTML with &amp; (&#38;, &#x26;) decoded, once
};

// The href of every <a>, outside of comments, <script> and <style>; attribute values double-quoted, single-quoted or bare.
std::vector<LinkPlace> FindLinksInHtml(std::string_view html);
// Bare URLs. Closing punctuation after one is not part of it, nor is a closing bracket that was opened before it.
std::vector<LinkPlace> FindLinksInText(std::string_view text);

// Whether <html> or <body> says data-track="false": then nothing of the mail is tracked, neither links of its parts nor its opening.
bool IsUntracked(std::string_view html);

// The distinct targets in order of first appearance, HTML first: a link's index in tracked URLs. Stored with the template's version. Empty
// if the mail is untracked. `more_html`, `more_text`: sources of partials, after the part that takes them in.
std::vector<std::string> LinkTable(std::string_view html, std::string_view text, std::span<const std::string_view> more_html = {},
                                   std::span<const std::string_view> more_text = {});

}  // namespace maily::personalization
