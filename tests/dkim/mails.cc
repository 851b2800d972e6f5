// See mails.h.
#include "tests/dkim/mails.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace maily::test {
namespace {

constexpr size_t kLineMax = 998;

template <size_t n>
std::string_view Any(const std::string_view (&choices)[n], std::mt19937& random) {
  return choices[random() % n];
}

enum class Place { kHeader, kBody };

// Any bytes but CR and LF; in a header no NUL either, and no vertical tab or form feed (mails.h says why).
std::string Noise(size_t size, Place place, std::mt19937& random) {
  std::string out;
  while (out.size() < size) {
    const char c = static_cast<char>(random() % 256);
    if (c == '\r' || c == '\n') continue;
    if (place == Place::kBody || (c != '\0' && c != '\v' && c != '\f')) out.push_back(c);
  }
  return out;
}

std::string Word(std::mt19937& random) {
  static constexpr std::string_view kWords[] = {"hello",
                                                "=?utf-8?B?w7w=?=",
                                                "\xC3\xBC\xC3\xB6",
                                                "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D",
                                                "\xE2\x80\xAE"
                                                "desrever",
                                                "\xF0\x9F\x98\x80",
                                                "a;b=c",
                                                "b=",
                                                "bh=x;",
                                                "h=from:",
                                                ":",
                                                "From:",
                                                "<x@y.example>",
                                                "\"quoted \\\" text\"",
                                                "(comment)",
                                                "\\",
                                                "--",
                                                ".",
                                                "..",
                                                "=3D",
                                                "%00"};
  switch (random() % 12) {
    case 0:
      return Noise(1 + random() % 12, Place::kHeader, random);
    case 1:
      return std::string(1 + random() % 400, static_cast<char>('a' + random() % 26));
    case 2:
      return std::string("\x01\x02\x7F\x1B", 4);
    default:
      return std::string(Any(kWords, random));
  }
}

// The value with its line end. No line of it is longer than it may be.
std::string Value(size_t name_size, std::mt19937& random) {
  static constexpr std::string_view kSpaces[] = {" ", "  ", "\t", " \t ", "\r\n ", "\r\n\t", " \r\n  ", "\r\n \t\r\n "};
  std::string out;
  size_t line = name_size + 1;  // bytes on the present line
  for (auto n = random() % 9; n > 0; --n) {
    const std::string space(random() % 4 ? std::string_view(" ") : Any(kSpaces, random));
    std::string word = Word(random);
    const size_t fold = space.rfind('\n');
    line = fold == std::string::npos ? line + space.size() : space.size() - fold - 1;
    out += space;
    if (line + word.size() > kLineMax - 10) {
      out += "\r\n ";
      line = 1;
    }
    out += word;
    line += word.size();
  }
  if (random() % 6 == 0) out += Any({" ", "\t", " \t  "}, random);
  return out + "\r\n";
}

std::string Header(std::mt19937& random) {
  static constexpr std::string_view kNames[] = {"To",
                                                "Cc",
                                                "Subject",
                                                "Date",
                                                "Message-ID",
                                                "Reply-To",
                                                "Sender",
                                                "In-Reply-To",
                                                "References",
                                                "MIME-Version",
                                                "Content-Type",
                                                "Content-Transfer-Encoding",
                                                "List-ID",
                                                "List-Unsubscribe",
                                                "List-Unsubscribe-Post",
                                                "Feedback-ID",
                                                "List-Help",
                                                "Received",
                                                "X-Other",
                                                "X-Maily-Trace",
                                                "Resent-To",
                                                "Precedence",
                                                "Auto-Submitted",
                                                "subject",
                                                "LIST-UNSUBSCRIBE",
                                                "x-1_2!#$%&'*+.^`|~"};
  std::vector<std::string> fields = {"From: Shop <news@shop.example>\r\n"};
  if (random() % 3 == 0) {
    std::string name = Noise(random() % 6, Place::kHeader, random);
    std::erase_if(name, [](char c) { return c == '"' || c == '\\'; });
    fields[0] = "fROM:\r\n \"" + name + "\xC3\xBC\" <news@shop.example> \r\n";
  }
  if (random() % 16 == 0) fields.push_back("From: \"another\"\r\n\t<news@shop.example>\r\n");
  for (auto n = random() % 20; n > 0; --n) {
    const std::string name(Any(kNames, random));
    fields.push_back(name + ":" + Value(name.size(), random));
    if (random() % 8 == 0) fields.push_back(fields.back());  // twice the same
  }
  std::shuffle(fields.begin(), fields.end(), random);
  std::string out;
  for (const std::string& field : fields) out += field;
  return out;
}

std::string Body(std::mt19937& random) {
  static constexpr std::string_view kEnds[] = {"", "\r\n", "\r\n\r\n\r\n\r\n", " \r\n\t\r\n", "\r\n \t\r\n", "  \t\r\n", " \t"};
  std::string out;
  switch (random() % 10) {
    case 0:
      break;
    case 1:
      for (auto n = 1 + random() % 40; n > 0; --n) out += "\r\n";
      return out;
    case 2:
      for (auto n = random() % 6; n > 0; --n) out += Any({" \r\n", "\t\t\r\n", "\r\n", " ", "\t"}, random);
      return out;
    default:
      for (auto lines = random() % 30; lines > 0; --lines) {
        switch (random() % 8) {
          case 0:
            out += Noise(random() % 200, Place::kBody, random);
            break;
          case 1:
            out += std::string(random() % kLineMax, random() % 3 ? 'x' : ' ');
            break;
          case 2:
            out += Any({".", "..", ".\t", " .", "From ", ">From x", "--=_b--"}, random);
            break;
          case 3:
            break;
          default:
            for (auto words = random() % 8; words > 0; --words) {
              out += std::string(Any({" ", "  ", "\t", " \t", ""}, random));
              if (const std::string word = Word(random); word.size() < 100) out += word;
            }
        }
        if (random() % 5 == 0) out += Any({" ", "\t", "   ", " \t "}, random);
        out += "\r\n";
      }
      if (random() % 2) out += Word(random);
  }
  return out + std::string(Any(kEnds, random));
}

}  // namespace

std::string HostileMail(std::mt19937& random) { return Header(random) + "\r\n" + Body(random); }

}  // namespace maily::test
