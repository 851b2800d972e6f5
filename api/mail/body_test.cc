// The end of data and the dots before it, held against a plain reading of RFC 5321 over every short text; limits and memory.
#include "api/mail/body.h"

#include <gtest/gtest.h>

namespace maily::mail {
namespace {

struct Outcome {
  bool ended = false;
  Body::Fault fault = Body::Fault::kNone;
  std::string data;  // of a mail that ended and is not at fault
  std::string rest;  // what came behind it
  bool operator==(const Outcome&) const = default;
};

Outcome Read(std::string_view text, size_t piece, size_t bytes_max = 1000) {
  Body body(bytes_max, Room(std::make_shared<Budget>(1 << 20)));
  Outcome outcome;
  while (!text.empty() && !outcome.ended) {
    std::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    outcome.ended = body.TakeLines(part);
    if (outcome.ended) outcome.rest = std::string(part) + std::string(text);
  }
  outcome.fault = body.fault();
  if (outcome.ended && outcome.fault == Body::Fault::kNone) outcome.data = body.TakeData();
  return outcome;
}

// RFC 5321 §4.1.1.4 and §4.5.2, to the letter: the text after the CR LF of DATA up to CR LF . CR LF; of lines that begin with a dot it
// goes.
Outcome Expected(const std::string& text) {
  const std::string with_end_of_command = "\r\n" + text;
  const size_t end = with_end_of_command.find("\r\n.\r\n");
  Outcome outcome;
  outcome.ended = end != std::string::npos;
  std::string lines = outcome.ended ? with_end_of_command.substr(2, end) : text;
  if (outcome.ended) outcome.rest = with_end_of_command.substr(end + 5);
  for (size_t at = 0; at < lines.size(); ++at) {
    const bool paired_cr = lines[at] == '\r' && at + 1 < lines.size() && lines[at + 1] == '\n';
    const bool paired_lf = lines[at] == '\n' && at > 0 && lines[at - 1] == '\r';
    const bool open_cr = !outcome.ended && lines[at] == '\r' && at + 1 == lines.size();
    if ((lines[at] == '\r' && !paired_cr && !open_cr) || (lines[at] == '\n' && !paired_lf)) outcome.fault = Body::Fault::kBareNewline;
  }
  if (!outcome.ended || outcome.fault != Body::Fault::kNone) return outcome;
  for (size_t at = 0; at < lines.size();) {
    const size_t next = lines.find("\r\n", at) + 2;
    outcome.data += lines.substr(at + (lines[at] == '.' ? 1 : 0), next - at - (lines[at] == '.' ? 1 : 0));
    at = next;
  }
  return outcome;
}

std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text) shown += c == '\r' ? "\\r" : c == '\n' ? "\\n" : std::string(1, c);
  return shown;
}

TEST(Body, EveryTextOfUpToEightBytesEndsWhereItMustAndNowhereElse) {
  constexpr std::string_view kAlphabet = "\r\n.x";
  for (size_t size = 0; size <= 8; ++size) {
    for (size_t number = 0; number < (size_t{1} << (2 * size)); ++number) {
      std::string text;
      for (size_t at = 0; at < size; ++at) text.push_back(kAlphabet[(number >> (2 * at)) % 4]);
      const Outcome expected = Expected(text);
      ASSERT_EQ(Read(text, SIZE_MAX), expected) << Shown(text);
      ASSERT_EQ(Read(text, 1), expected) << Shown(text);
    }
  }
}

TEST(Body, TakesItsMemoryFromTheBudgetAndGivesItBack) {
  const auto budget = std::make_shared<Budget>(300'000);
  {
    Body body(1'000'000, Room(budget));
    for (int line = 0; line < 2000; ++line) {
      std::string_view text = "fifty bytes of text in a line of a mail that grows\r\n";
      body.TakeLines(text);
    }
    EXPECT_EQ(body.fault(), Body::Fault::kNone);
    EXPECT_GE(budget->used(), body.size());
    EXPECT_LE(budget->used(), 2 * body.size());
    const size_t before = budget->used();
    const std::string data = body.TakeData();
    const Room room = body.TakeRoom();
    EXPECT_LE(data.capacity(), room.bytes());
    EXPECT_EQ(budget->used(), before);
  }
  EXPECT_EQ(budget->used(), 0u);
  Body body(1'000'000, Room(budget));
  const std::string much(200'000, 'x');
  body.TakeChunk(much);
  EXPECT_EQ(body.fault(), Body::Fault::kNone);
  body.TakeChunk(much);
  EXPECT_EQ(body.fault(), Body::Fault::kNoRoom);
  EXPECT_EQ(budget->used(), 0u);
}

TEST(Body, BeyondItsSizeNothingIsHeldAndTheEndIsStillFound) {
  const std::string fits = std::string(98, 'x') + "\r\n";
  EXPECT_EQ(Read(fits + ".\r\n", 7, 100).data, fits);
  EXPECT_EQ(Read("x" + fits + ".\r\nQUIT", 7, 100), (Outcome{true, Body::Fault::kTooLarge, "", "QUIT"}));
  // Dots that are taken away do not count (RFC 1870 §4).
  EXPECT_EQ(Read("..\r\n.\r\n", SIZE_MAX, 3).data, ".\r\n");
}

TEST(Body, LinesOf64KiBPassAndLongerOnesAreAFault) {
  const std::string longest(Body::kLineBytesMax, 'x');
  EXPECT_EQ(Read(longest + "\r\n" + longest + "\r\n.\r\n", 1000, 1 << 20).fault, Body::Fault::kNone);
  EXPECT_EQ(Read(longest + "x\r\n.\r\n", 1000, 1 << 20).fault, Body::Fault::kLongLine);
}

}  // namespace
}  // namespace maily::mail
