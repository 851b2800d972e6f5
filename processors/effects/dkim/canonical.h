// The relaxed canonical forms of RFC 6376: what a relay may do to white space does not break a signature. Pure; thread: any.
//
// White space here is space and tab; a line ends with CRLF. A CR or LF alone is a byte like any other: no mail of ours has one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace maily::dkim {

// Where the body begins: behind the first empty line. Without one the message is all header.
size_t BodyOffset(std::string_view message);

// The first field of `section` with its folded lines and last CRLF, taken off its front. Empty only if `section` is.
std::string_view TakeField(std::string_view& section);
// Its name as spelled, without white space before the colon; empty if there is no colon in it.
std::string_view FieldName(std::string_view field);

// §3.4.2: appends "name:value\r\n" with the name in lower case, unfolded, runs of white space one space, none around the value.
// `field` may end with CRLF or not.
void RelaxField(std::string_view field, std::string& out);

// §3.4.4: gives `sink` the canonical body in pieces, mostly slices of `body`: runs of white space are one space, none at the ends of lines,
// no empty lines at the end; each line ends with CRLF, the last one too. A body of nothing but empty lines is empty.
void RelaxBody(std::string_view body, const std::function<void(std::string_view)>& sink);

}  // namespace maily::dkim
