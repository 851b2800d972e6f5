// The text part of a mail, made from its HTML. Pure; thread: any; linear in the size of the source.
//
// A tolerant pass over tags, not a tree: what stands between {{ }} and {% %} is copied as it is wherever it stands, and a tree builder
// would move it (HTML "foster-parents" text that stands between table rows). Nothing is a reason to refuse.
//   headings        a line of their own; h1 and h2 underlined
//   links           "name <target>"; the target alone where it is the name; nothing for anchors (#…) and scripts
//   lists           "* " and "1. ", indented by two spaces a level
//   tables          a line a row, cells divided by " | "; cells of role="presentation" are lines of their own
//   images          their alt
//   quotes          "> " in front of each line
//   left out        script, style, head, comments, what is hidden or display:none, soft hyphens and zero-width characters
#pragma once

#include <string>
#include <string_view>

namespace maily::personalization {

// Lines ended by \n, no blank at their ends, at most one empty line between two others. Empty only if there is neither text, nor an image
// with an alt, nor a link, nor a title.
std::string TextFromHtml(std::string_view html);

}  // namespace maily::personalization
