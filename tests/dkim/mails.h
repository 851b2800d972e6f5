// Mails that are legal on the wire and as unpleasant as they can be, for signing. The same seed gives the same mails.
#pragma once

#include <random>
#include <string>

namespace maily::test {

// CRLF only, lines of at most 998 bytes, one empty line between header and body; no NUL in the header, and no vertical tab or form feed:
// these two are white space for both verifiers (dkimpy at the ends of a value, OpenDKIM anywhere), and are not for RFC 6376. What is
// hostile: control characters, bytes that are no UTF-8, text from right to left, long lines, folded lines (of white space only, too), white
// space everywhere, dots, empty and doubled fields, fields in any case and order; bodies that are empty, of empty lines, without a last
// CRLF or with many of them.
std::string HostileMail(std::mt19937& random);

}  // namespace maily::test
