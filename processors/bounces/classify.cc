// See classify.h.
#include "processors/bounces/classify.h"

#include <algorithm>
#include <vector>

#include "processors/bounces/rules.h"
#include "processors/bounces/text.h"

namespace maily::bounces {
namespace {

constexpr size_t kTextBytesMax = 4096;
constexpr size_t kGapBytesMax = 60;
constexpr size_t kNearBytesMax = 40;  // between the two halves of a concept: half a line
constexpr size_t kSpansMax = 64;      // occurrences of either half that are looked at

constexpr std::string_view kApostrophe = "\xe2\x80\x99";  // U+2019, as word processors write it

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWord(char c) { return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'z'); }

// The length of "5.1.1" at the front, 0 if there is none. The same digits inside an address of a host are none.
size_t EnhancedAt(std::string_view text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return 0;
  size_t at = 1;
  for (int part = 0; part < 2; ++part) {
    if (at >= text.size() || text[at] != '.') return 0;
    const size_t begin = ++at;
    while (at < text.size() && IsDigit(text[at]) && at - begin < 4) ++at;
    if (at == begin || at - begin > 3) return 0;
  }
  if (at < text.size() && (IsWord(text[at]) || text[at] == '_')) return 0;
  if (at + 1 < text.size() && (text[at] == '.' || text[at] == '-') && IsDigit(text[at + 1])) return 0;
  return at;
}

// "<a@b.example>...user": the address becomes "<>"; what is glued to it stays, as a word of its own. A colon behind a closed address parts
// words ("<>:").
std::string WithoutAddress(std::string_view word) {
  const std::string_view address = FindAddress(word);
  if (address.empty()) return "<>";
  const auto begin = static_cast<size_t>(address.data() - word.data());
  // A domain ends before two dots.
  const size_t end = begin + std::min(address.find(".."), address.size());
  std::string_view before = word.substr(0, begin);
  std::string_view after = word.substr(end);
  while (!before.empty() && !IsWord(before.back())) before.remove_suffix(1);
  bool colon = false;
  while (!after.empty() && !IsWord(after.front()) && static_cast<uint8_t>(after.front()) < 0x80) {
    colon = colon || after.front() == ':';
    after.remove_prefix(1);
  }
  std::string out(before);
  out += before.empty() ? "<>" : " <>";
  if (colon) out.push_back(':');
  if (after.size() > 1) out.append(" ").append(after);
  return out;
}

// The text in the form that phrases are written for: lower case, single spaces, without basic and enhanced codes but for the first basic
// one, without addresses and URLs, and without what looks like a host name. Names that Exchange gives its errors ("resolver.adr…") stay.
std::string Plain(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  bool had_code = false;
  while (!text.empty()) {
    const size_t begin = text.find_first_not_of(" \t\r\n\v\f");
    if (begin == text.npos) break;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(" \t\r\n\v\f"), text.size());
    std::string word = ToLower(text.substr(0, end));
    text.remove_prefix(end);
    // "550-5.7.1" and "550" after the first, "5.7.1", "(#5.7.1)"
    std::string_view bare = word;
    while (!bare.empty() && (bare.front() == '(' || bare.front() == '#' || bare.front() == '[')) bare.remove_prefix(1);
    if (bare.size() >= 3 && (bare[0] == '4' || bare[0] == '5') && IsDigit(bare[1]) && IsDigit(bare[2]) &&
        (bare.size() == 3 || bare[3] == '-' || bare[3] == ':')) {
      const bool first = !had_code;
      had_code = true;
      // "550-No such user": what is glued to a code is a word, if it is no enhanced code.
      std::string_view glued = bare.substr(std::min(bare.size(), size_t{4}));
      if (EnhancedAt(glued) != 0 || glued.find('@') != glued.npos) glued = {};
      if (bare.size() > 3 && bare[3] == ':' && glued.empty()) glued = ":";
      std::string kept = first ? word.substr(0, 3) : std::string();
      if (!glued.empty()) kept.append(kept.empty() || glued == ":" ? "" : " ").append(glued);
      word = std::move(kept);
    } else if (const size_t code = EnhancedAt(bare); code != 0) {
      word.clear();
    } else if (word.find("://") != word.npos) {
      word = "<>";
    } else if (word.find('@') != word.npos) {
      word = WithoutAddress(word);
    } else {
      const size_t dot = word.find('.');
      const bool host = dot != word.npos && dot > 0 && dot + 1 < word.size() && IsWord(word[dot - 1]) && IsWord(word[dot + 1]) &&
                        !bare.starts_with("resolver.") && !bare.starts_with("smtpsend.") && !bare.starts_with("storedrv.");
      if (host) word = "<>";
    }
    if (word.empty()) continue;
    if (!plain.empty()) plain.push_back(' ');
    plain += word;
  }
  std::ranges::replace(plain, '_', ' ');  // "bad_recipient"
  for (size_t at = plain.find(kApostrophe); at != plain.npos; at = plain.find(kApostrophe, at + 1)) {
    plain.replace(at, kApostrophe.size(), "'");
  }
  return plain;
}

struct Span {
  size_t begin = std::string_view::npos;  // npos: it is not there
  size_t end = 0;
};

// Where one alternative stands in `text`, at or after `from`, from a word's beginning to a word's end; a '*' at its end leaves the end
// open.
Span FindPhrase(std::string_view text, std::string_view phrase, size_t from = 0) {
  if (phrase.ends_with('$')) {
    phrase.remove_suffix(1);
    return text.ends_with(phrase) ? Span{.begin = text.size() - phrase.size(), .end = text.size()} : Span{};
  }
  std::string_view rest = phrase;
  const bool open_end = rest.ends_with('*');
  const std::string_view head = rest.substr(0, rest.find('*'));
  std::string_view first = head;
  const bool gap = head.size() < phrase.size() && head.size() + 1 < phrase.size();
  while (!first.empty() && gap && first.back() == ' ') first.remove_suffix(1);
  for (size_t at = text.find(first, from); at != text.npos; at = text.find(first, at + 1)) {
    if (at > 0 && IsWord(text[at - 1]) && IsWord(text[at])) continue;
    size_t end = at + first.size();
    bool found = true;
    rest = phrase.substr(std::min(head.size() + 1, phrase.size()));
    while (gap && !rest.empty() && found) {
      std::string_view part = rest.substr(0, rest.find('*'));
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
      while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
      while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
      const size_t next = text.substr(0, std::min(text.size(), end + kGapBytesMax + part.size())).find(part, end);
      found = next != text.npos;
      if (found) end = next + part.size();
    }
    if (!found) continue;
    if (!open_end && end < text.size() && IsWord(text[end]) && IsWord(text[end - 1])) continue;
    return {.begin = at, .end = end};
  }
  return {};
}

bool HasPhrase(std::string_view text, std::string_view phrase) { return FindPhrase(text, phrase).begin != text.npos; }

// Calls `fits` with each alternative of "a|b|c" until it agrees.
template <class Fits>
bool AnyOf(std::string_view alternatives, Fits fits) {
  while (!alternatives.empty()) {
    const std::string_view one = alternatives.substr(0, alternatives.find('|'));
    alternatives.remove_prefix(std::min(one.size() + 1, alternatives.size()));
    if (fits(one)) return true;
  }
  return false;
}

// Where the alternatives stand, at most kSpansMax places.
std::vector<Span> SpansOf(std::string_view text, std::string_view alternatives) {
  std::vector<Span> spans;
  AnyOf(alternatives, [&](std::string_view one) {
    for (Span span = FindPhrase(text, one); span.begin != text.npos && spans.size() < kSpansMax;
         span = FindPhrase(text, one, span.begin + 1)) {
      spans.push_back(span);
      if (one.ends_with('$')) break;
    }
    return spans.size() >= kSpansMax;
  });
  return spans;
}

bool EndsSentence(std::string_view between) {
  for (size_t i = 0; i < between.size(); ++i) {
    const char c = between[i];
    if ((c == '.' || c == ';' || c == '!' || c == '?') && (i + 1 == between.size() || between[i + 1] == ' ')) return true;
  }
  return false;
}

// Whether one of `subjects` and one of `predicates` stand near each other in one sentence.
bool HasConcept(std::string_view text, std::string_view subjects, std::string_view predicates) {
  const std::vector<Span> said = SpansOf(text, predicates);
  if (said.empty()) return false;
  const std::vector<Span> spoken_of = SpansOf(text, subjects);
  for (const Span& a : said) {
    for (const Span& b : spoken_of) {
      const Span& first = a.begin <= b.begin ? a : b;
      const Span& second = a.begin <= b.begin ? b : a;
      if (second.begin < first.end) continue;  // a word is not said of itself
      if (second.begin - first.end <= kNearBytesMax && !EndsSentence(text.substr(first.end, second.begin - first.end))) return true;
    }
  }
  return false;
}

// "5.1.1" fits "x.1.1", "x.1.*", "5.1.1", "x.7.50*".
bool FitsCode(std::string_view code, std::string_view pattern) {
  size_t i = 0;
  for (; i < pattern.size(); ++i) {
    if (pattern[i] == '*') return true;
    if (i >= code.size() || (pattern[i] != code[i] && !(pattern[i] == 'x' && IsDigit(code[i])))) return false;
  }
  return i == code.size();
}

struct Known {
  int code;
  std::string basic;     // as digits; empty if there is none
  std::string enhanced;  // empty if there is none, or X.0.0
  std::string plain;
  bool code_said = false;  // the server said `enhanced`
  uint16_t conditions = 0;
};

// Whether any enhanced code of the text is X.7.x: servers quote each other, and the inner one may be the true one.
bool HasPolicyCode(std::string_view text) {
  for (size_t i = text.find(".7."); i != text.npos; i = text.find(".7.", i + 1)) {
    if (i > 0 && (i < 2 || (!IsWord(text[i - 2]) && text[i - 2] != '.')) && EnhancedAt(text.substr(i - 1, 13)) != 0) return true;
  }
  return false;
}

uint16_t ConditionsOf(const Known& known, const Reply& reply, std::string_view text) {
  uint16_t conditions = 0;
  const char digit = !known.enhanced.empty() ? known.enhanced[0] : !known.basic.empty() ? known.basic[0] : '\0';
  if (digit != '4') conditions |= kPermanent;
  const bool coded = digit == '5' && (!known.basic.empty() || !known.enhanced.ends_with(".0.0"));
  // X.2.x says that the mailbox is there.
  const bool policy = (known.enhanced.size() > 2 && (known.enhanced[2] == '7' || known.enhanced[2] == '2')) || HasPolicyCode(text);
  if (!policy || reply.command == Command::kRcpt) conditions |= kNoPolicy;
  // Prose that does not say at which command it was said may tell of a filter.
  const bool hearsay = reply.command == Command::kData || (reply.command == Command::kUnknown && SameText(reply.diagnostic_type, "prose"));
  if (coded && !hearsay && (conditions & kNoPolicy) != 0) conditions |= kOfAddress;
  if (reply.command == Command::kConnect || reply.command == Command::kHello || reply.command == Command::kMail) conditions |= kOfSender;
  if (SameText(reply.diagnostic_type, "x-unix")) conditions |= kProgram;
  if (known.code_said) conditions |= kCodeSaid;
  if (known.basic.empty()) conditions |= kUncoded;
  if (reply.command != Command::kData) conditions |= kNotOfMail;
  if (reply.command == Command::kRcpt) conditions |= kAtRcpt;
  return conditions;
}

bool Fits(const Rule& rule, const Known& known, const Reply& reply) {
  if ((rule.when & known.conditions) != rule.when) return false;
  if (!rule.enhanced.empty() && !AnyOf(rule.enhanced, [&](std::string_view one) { return FitsCode(known.enhanced, one); })) return false;
  if (!rule.basic.empty() && !AnyOf(rule.basic, [&](std::string_view one) { return FitsCode(known.basic, one); })) return false;
  const auto speaks = [&](std::string_view one) {
    return Contains(reply.remote_mta, one) || Contains(reply.text.substr(0, kTextBytesMax), one);
  };
  if (!rule.provider.empty() && !AnyOf(rule.provider, speaks)) return false;
  if (rule.phrases.empty() && rule.subjects.empty()) return true;
  return AnyOf(rule.phrases, [&](std::string_view one) { return HasPhrase(known.plain, one); }) ||
         (!rule.subjects.empty() && HasConcept(known.plain, rule.subjects, rule.predicates));
}

}  // namespace

namespace {

bool IsBasicAt(std::string_view text, size_t i) {
  if (i + 3 > text.size() || !IsDigit(text[i]) || !IsDigit(text[i + 1]) || !IsDigit(text[i + 2])) return false;
  if (i > 0 && (IsWord(text[i - 1]) || text[i - 1] == '.' || text[i - 1] == '-' || text[i - 1] == '/')) return false;
  if (text[i + 1] > '5') return false;  // RFC 5321 has second digits up to 5
  static constexpr std::string_view kAfter = " -:,\r\n\t";
  return i + 3 == text.size() || kAfter.find(text[i + 3]) != kAfter.npos;
}

}  // namespace

size_t FindRefusal(std::string_view text) {
  for (size_t i = 0; i + 3 <= text.size(); ++i) {
    if ((text[i] == '4' || text[i] == '5') && IsBasicAt(text, i)) return i;
  }
  return text.npos;
}

int FindBasicCode(std::string_view text) {
  size_t at = FindRefusal(text);
  if (at == text.npos && text.starts_with('2') && IsBasicAt(text, 0)) at = 0;
  return at == text.npos ? 0 : (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
}

bool SaysMailboxFull(std::string_view text) {
  const std::string plain = Plain(text.substr(0, kTextBytesMax));
  const Rule& full = Rules().front();
  return AnyOf(full.phrases, [&](std::string_view one) { return HasPhrase(plain, one); }) ||
         HasConcept(plain, full.subjects, full.predicates);
}

std::string FindEnhancedCode(std::string_view text) {
  std::string vague;
  for (size_t i = 0; i + 5 <= text.size(); ++i) {
    if (i > 0 && (IsWord(text[i - 1]) || text[i - 1] == '.' || (text[i - 1] == '-' && (i < 2 || !IsDigit(text[i - 2]))))) continue;
    const size_t size = EnhancedAt(text.substr(i, 13));
    if (size == 0) continue;
    const std::string_view code = text.substr(i, size);
    if (code.substr(1) != ".0.0" && code[0] != '2') return std::string(code);
    if (vague.empty() || vague[0] == '2') vague = code;
  }
  return vague;
}

Verdict Classify(const Reply& reply) {
  const std::string_view text = reply.text.substr(0, kTextBytesMax);
  Known known{.code = reply.code != 0 ? reply.code : FindBasicCode(text),
              .basic = {},
              .enhanced = std::string(Trim(reply.enhanced.substr(0, 16))),
              .plain = Plain(text)};
  const auto vague = [&] { return known.enhanced.empty() || known.enhanced.ends_with(".0.0"); };
  if (vague()) {
    if (std::string found = FindEnhancedCode(text); !found.empty()) known.enhanced = std::move(found);
  }
  known.code_said = !known.enhanced.empty();
  const std::string_view status = Trim(reply.status.substr(0, 16));
  if (vague() && status.size() >= 5 && (known.enhanced.empty() || !status.ends_with(".0.0"))) {
    known.enhanced = status;
    known.code_said = false;
  }
  // In prose, "2.0.12" is the version of something.
  if (known.enhanced.starts_with('2') && SameText(reply.diagnostic_type, "prose")) known.enhanced.clear();
  if (known.code >= 200 && known.code < 600) known.basic = std::to_string(known.code);
  if (known.code / 100 == 2 || (known.enhanced.starts_with("2.") && known.code == 0)) {
    return {.cls = Class::kDelivered, .reason = Reason::kNone, .rule = "delivered"};
  }
  // Cisco's gateway says this of any refusal that it quotes after it.
  static constexpr std::string_view kWrapper = "unknown address error ";
  if (const size_t at = known.plain.find(kWrapper); at != std::string::npos) known.plain.erase(at, kWrapper.size());
  known.conditions = ConditionsOf(known, reply, text);
  for (const Rule& rule : Rules()) {
    if (Fits(rule, known, reply)) return {.cls = rule.cls, .reason = rule.reason, .rule = rule.id};
  }
  return {};
}

Command CommandOfStage(std::string_view stage) {
  if (stage == "greeting") return Command::kConnect;
  if (stage == "ehlo") return Command::kHello;
  if (stage == "mail") return Command::kMail;
  if (stage == "rcpt") return Command::kRcpt;
  if (stage == "data" || stage == "body" || stage == "dot") return Command::kData;
  return Command::kUnknown;
}

const char* ClassName(Class value) {
  static constexpr const char* kNames[] = {"delivered", "hard", "soft", "complaint", "auto_reply", "none"};
  return kNames[static_cast<size_t>(value)];
}

const char* ReasonName(Reason value) {
  static constexpr const char* kNames[] = {"none",         "invalid_address", "bad_domain", "no_mail",      "moved",      "inactive",
                                           "mailbox_full", "filtered",        "sender",     "auth_failure", "reputation", "policy",
                                           "relay",        "content",         "size",       "rate",         "routing",    "expired",
                                           "system",       "protocol",        "complaint",  "opt_out",      "auto_reply", "undetermined"};
  static_assert(std::size(kNames) == static_cast<size_t>(Reason::kUndetermined) + 1);
  return kNames[static_cast<size_t>(value)];
}

}  // namespace maily::bounces
