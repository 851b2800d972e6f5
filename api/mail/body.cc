// See body.h.
#include "api/mail/body.h"

#include <algorithm>

#include "streams/base/result.h"

namespace maily::mail {
namespace {

constexpr size_t kFirstBytes = 16 * 1024;  // most bounces fit

}  // namespace

bool Body::TakeLines(std::string_view& bytes) {
  while (!bytes.empty()) {
    const char c = bytes.front();
    switch (at_) {
      case At::kLineStart:
        at_ = c == '.' ? At::kDot : At::kText;
        if (c == '.') bytes.remove_prefix(1);
        break;
      case At::kDot:  // it goes, whatever follows
        at_ = c == '\r' ? At::kDotCr : At::kText;
        if (c == '\r') bytes.remove_prefix(1);
        break;
      case At::kDotCr:
        if (c == '\n') {
          bytes.remove_prefix(1);
          at_ = At::kLineStart;
          return true;
        }
        bare_newline_ = true;
        AppendText("\r");
        at_ = At::kText;
        break;
      case At::kText: {
        const size_t run = std::min(bytes.find_first_of("\r\n"), bytes.size());
        AppendText(bytes.substr(0, run));
        bytes.remove_prefix(run);
        if (bytes.empty()) break;
        if (bytes.front() == '\r') {
          at_ = At::kCr;
        } else {
          bare_newline_ = true;
          AppendText("\n");
        }
        bytes.remove_prefix(1);
        break;
      }
      case At::kCr:
        if (c == '\n') {
          Append("\r\n");
          bytes.remove_prefix(1);
          line_bytes_ = 0;
          at_ = At::kLineStart;
        } else {
          bare_newline_ = true;
          AppendText("\r");
          at_ = At::kText;
        }
        break;
    }
  }
  if (fault() != Fault::kNone) Drop();
  return false;
}

Body::Fault Body::fault() const {
  if (size_ > bytes_max_) return Fault::kTooLarge;
  if (bare_newline_) return Fault::kBareNewline;
  if (long_line_) return Fault::kLongLine;
  return no_room_ ? Fault::kNoRoom : Fault::kNone;
}

std::string Body::TakeData() {
  MAILY_CHECK(fault() == Fault::kNone, "the data of a mail that is refused");
  return std::move(data_);
}

void Body::AppendText(std::string_view text) {
  line_bytes_ += text.size();
  long_line_ = long_line_ || line_bytes_ > kLineBytesMax;
  Append(text);
}

void Body::Append(std::string_view bytes) {
  size_ += bytes.size();
  if (fault() != Fault::kNone) return Drop();
  if (data_.size() + bytes.size() > room_.bytes() && !Reserve(data_.size() + bytes.size())) {
    no_room_ = true;
    return Drop();
  }
  data_.append(bytes);
}

// Exactly as much as the room counts: a string that grows by itself takes what it likes.
bool Body::Reserve(size_t bytes) {
  const size_t old = room_.bytes();
  const size_t wanted = std::max(bytes, std::min(bytes_max_, std::max(kFirstBytes, 2 * old)));
  if (!room_.Grow(old + wanted)) return false;
  std::string larger;
  larger.reserve(wanted);
  larger.append(data_);
  data_ = std::move(larger);
  room_.Shrink(wanted);
  return true;
}

void Body::Drop() {
  data_ = std::string();
  room_.Shrink(0);
}

}  // namespace maily::mail
