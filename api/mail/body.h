// The body of one mail as it comes in: lines up to the final dot after DATA (RFC 5321 §4.1.1.4, §4.5.2), or chunks of a told size after
// BDAT (RFC 3030).
//
// Of DATA, CR LF "." CR LF is the end, and nothing else is: a server that takes LF "." LF or CR "." CR for one can be made to see two
// mails where the one before it saw one ("SMTP smuggling", CVE-2023-51764 to -51766). RFC 5321 §2.3.8 forbids to send a CR or LF of its
// own, so a mail with one is read to its end and refused. In a chunk they cannot end anything, and large senders use BDAT for just such
// mails: there they are kept.
#pragma once

#include <string>
#include <string_view>

#include "api/mail/budget.h"

namespace maily::mail {

class Body {
 public:
  static constexpr size_t kLineBytesMax = 64 * 1024;  // of DATA, CR LF apart; RFC 5321 §4.5.3.1.6 asks for 998

  enum class Fault { kNone, kTooLarge, kBareNewline, kLongLine, kNoRoom };

  Body() = default;
  // Holds at most `bytes_max`, and never more than `room` gives: growing takes the old and the new memory for a moment, and both count.
  Body(size_t bytes_max, Room room) : bytes_max_(bytes_max), room_(std::move(room)) {}

  // Takes lines off the front of `bytes`, without the dots that were put before dots. True: the final dot was there.
  bool TakeLines(std::string_view& bytes);
  // Takes the bytes of a chunk.
  void TakeChunk(std::string_view bytes) { Append(bytes); }

  // What speaks against the mail so far; it does not depend on how the bytes were cut. From the first fault on nothing is held: what
  // comes is counted only.
  Fault fault() const;
  // Bytes of the mail so far, held or not.
  uint64_t size() const { return size_; }
  // CHECK: fault() is kNone. The body is empty afterwards.
  std::string TakeData();
  Room TakeRoom() { return std::move(room_); }

 private:
  // Where in a line the next byte stands.
  enum class At { kLineStart, kDot, kDotCr, kText, kCr };
  void AppendText(std::string_view text);
  void Append(std::string_view bytes);
  bool Reserve(size_t bytes);
  void Drop();

  size_t bytes_max_ = 0;
  Room room_;
  std::string data_;
  uint64_t size_ = 0;
  size_t line_bytes_ = 0;
  At at_ = At::kLineStart;
  bool bare_newline_ = false;
  bool long_line_ = false;
  bool no_room_ = false;
};

}  // namespace maily::mail
