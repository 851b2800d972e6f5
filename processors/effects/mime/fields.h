// The fields of a part that is enclosed in a mail, and its bytes in base64. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

#include "schemas/media.h"

namespace maily::mime {

using schema::FileName;
using schema::MediaType;

// Appends "; filename=…", folded: a token or quoted string of ASCII that fits a line, else by RFC 2231 §3 and §4, in pieces of at most 76
// characters, of which none cuts a %XX.
void AppendFileName(const FileName& name, std::string& out);

// Appends base64 in lines of 76 characters, each ended by CRLF (RFC 2045 §6.8). Nothing for no bytes.
void AppendBase64Lines(std::string_view bytes, std::string& out);
// How many bytes that are.
constexpr size_t Base64LinesSize(size_t bytes) {
  const size_t letters = (bytes + 2) / 3 * 4;
  return letters + (letters + 75) / 76 * 2;
}

}  // namespace maily::mime
