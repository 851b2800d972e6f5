// See notice.h.
#include "processors/bounces/notice.h"

#include <algorithm>
#include <array>

namespace maily::bounces {
namespace {

constexpr size_t kDiagnosticBytesMax = 4096;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "smtp; 550 …": gives the type and takes it off; a value without a type stays as it is.
std::string TakeType(std::string_view& value) {
  const size_t semicolon = value.find(';');
  if (semicolon == value.npos || semicolon > 40) return {};
  const std::string_view type = Trim(value.substr(0, semicolon));
  if (type.empty() || type.find(' ') != type.npos) return {};
  value = Trim(value.substr(semicolon + 1));
  return ToLower(type);
}

// "5.1.1 (bad destination)": the code alone.
std::string StatusOf(std::string_view value) {
  return std::string(value.substr(0, std::min(value.find_first_not_of("0123456789."), size_t{12})));
}

std::string Collapse(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out.push_back(space ? ' ' : c);
    if (out.size() >= kDiagnosticBytesMax) break;
  }
  return out;
}

// Words that introduce the copy of the original mail, at the beginning of a line behind any dashes.
constexpr std::string_view kCopyMarks[] = {
    "below this line is a copy of",
    "this is a copy of",
    "original message follows",
    "original message headers",
    "original message",
    "original mail as follows",
    "original mail",
    "message headers follow",
    "the header of the original message",
    "the headers of the original message",
    "unsent message follows",
    "unsent message below",
    "below is a copy of the original",
    "included is a copy of",
    "message header follow",
    "message text follows",
    "returned message follows",
    "your original message",
    "your message follows",
    "header of the original",
    "headers follow",
    "start of returned message",
    "copy of your message",
    "copy of message",
    "a copy of the original message",
    "the following is a copy of",
    "the body of your original",
};

bool IsCopyMark(std::string_view line) {
  const size_t begin = line.find_first_not_of(" -=*>|#\t");
  if (begin == line.npos) return false;
  line.remove_prefix(begin);
  return std::ranges::any_of(kCopyMarks, [&](std::string_view mark) { return StartsWith(line, mark); });
}
bool IsFirstHeader(std::string_view line) {
  return StartsWith(line, "received:") || StartsWith(line, "return-path:") || StartsWith(line, "dkim-signature:") ||
         StartsWith(line, "x-google-smtp-source:");
}

bool IsOneOf(const std::vector<std::string>& addresses, std::string_view address) {
  return std::ranges::any_of(addresses, [&](const std::string& one) { return SameText(one, address); });
}

// The address that a line begins a paragraph with: "<a@b>:", "a@b", "Recipient: <a@b>", "550 <a@b>... User unknown". Empty if it does not.
std::string_view HeadAddress(std::string_view line) {
  line = Trim(line);
  for (const std::string_view lead : {"<<<", "(reason:", ">>>"}) {
    if (line.starts_with(lead)) return {};
  }
  for (const std::string_view lead :
       {"final-recipient:", "original-recipient:", "recipient address:", "recipient:", "addressed to:", "undeliverable to ",
        "could not be delivered to:", "did not reach the following recipient:", "failed recipient:", "invalid final delivery userid:",
        "unknown user:", "user mailbox exceeds allowed size:", "user:", "delivery to ", "rfc822;", "***"}) {
    if (StartsWith(line, lead)) {
      line = Trim(line.substr(lead.size()));
      break;
    }
  }
  if (line.size() > 4 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2]) && line[3] == ' ') line = Trim(line.substr(4));
  const std::string_view address = FindAddress(line.substr(0, 400));
  if (address.empty()) return {};
  const auto before = static_cast<size_t>(address.data() - line.data());
  if (line.substr(0, before).find_first_not_of(" <\"'[(*-") != line.npos) return {};
  return address;
}

}  // namespace

std::vector<Said> ReadStatus(std::string_view text) {
  std::vector<Said> all;
  Said now;
  bool open = false;
  std::string* last = nullptr;  // where a continuation goes
  const auto close = [&] {
    if (open && (!now.address.empty() || !now.action.empty()) && all.size() < kRecipientsMax) all.push_back(std::move(now));
    now = {};
    open = false;
    last = nullptr;
  };
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (!line.empty() && (line[0] == ' ' || line[0] == '\t')) {
      if (last != nullptr && last->size() < kDiagnosticBytesMax)
        last->append(" ").append(Trim(line).substr(0, kDiagnosticBytesMax - last->size()));
      continue;
    }
    last = nullptr;
    std::string_view value = line.substr(std::min(line.find(':') + 1, line.size()));
    value = Trim(value);
    if (StartsWith(line, "final-recipient:") || StartsWith(line, "original-recipient:")) {
      const bool final = line[0] == 'f' || line[0] == 'F';
      TakeType(value);
      std::string_view address = FindAddress(value);
      if (address.empty()) address = value.substr(0, 320);
      const bool repeats =
          open && !now.address.empty() && final && !now.action.empty() && !now.status.empty() && !SameText(now.address, address);
      if (repeats && !now.diagnostic.empty()) close();
      open = true;
      if (final || now.address.empty()) now.address = address;
    } else if (StartsWith(line, "action:")) {
      if (open && !now.action.empty()) close();
      open = true;
      now.action = ToLower(value.substr(0, std::min(value.find_first_of(" \t;("), value.size())));
    } else if (StartsWith(line, "status:")) {
      const std::string status = StatusOf(value);
      if (status.size() < 3) continue;
      open = true;
      now.status = status;
    } else if (StartsWith(line, "diagnostic-code:")) {
      open = true;
      now.diagnostic_type = TakeType(value);
      now.diagnostic = value.substr(0, kDiagnosticBytesMax);
      last = &now.diagnostic;
    } else if (StartsWith(line, "remote-mta:")) {
      TakeType(value);
      now.remote_mta = value.substr(0, 255);
    } else if (StartsWith(line, "x-powermta-bouncecategory:") && StartsWith(value, "bad-mailbox")) {
      now.command = Command::kRcpt;  // PowerMTA vouches that it was said of the address
    } else if (Trim(line).empty()) {
      // Some put an empty line inside a group: it ends with the next one that begins.
      if (open && !now.address.empty() && (!now.status.empty() || !now.diagnostic.empty())) close();
    }
  }
  close();
  return all;
}

std::string WithoutHeader(std::string_view prose) {
  static constexpr std::string_view kNames[] = {
      "subject:",      "cc:",      "sent:", "date:", "message-id:", "content-type:", "content-transfer-encoding:", "content-description:",
      "mime-version:", "x-mailer:"};
  std::string out;
  while (!prose.empty()) {
    const std::string_view line = TakeLine(prose);
    if (std::ranges::any_of(kNames, [&](std::string_view name) { return StartsWith(Trim(line), name); })) continue;
    out.append(line).push_back('\n');
  }
  return out;
}

std::string Unquoted(std::string_view text) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = TakeLine(rest);
    if (line.starts_with("> ")) {
      line.remove_prefix(2);
    } else if (line.starts_with(">")) {
      line.remove_prefix(1);
    }
    out.append(line).push_back('\n');
  }
  return out;
}

Notice SplitNotice(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const std::string_view line = TakeLine(rest);
    const auto at = static_cast<size_t>(before.data() - text.data());
    if (IsFirstHeader(line)) return {.prose = text.substr(0, at), .copy = before};
    if (!IsCopyMark(line)) continue;
    while (!rest.empty()) {  // up to its header, which may be indented or set off by empty lines
      const std::string_view header = rest;
      if (!Trim(TakeLine(rest)).empty()) return {.prose = text.substr(0, at), .copy = header};
    }
    return {.prose = text.substr(0, at), .copy = {}};
  }
  return {.prose = text, .copy = {}};
}

Command CommandIn(std::string_view text) {
  struct Words {
    std::string_view words;
    Command command;
  };
  // Precise ones first: a text about a reply to DATA may name RCPT as well.
  static constexpr Words kWords[] = {
      {"in reply to rcpt to", Command::kRcpt},
      {"in reply to end of data", Command::kData},
      {"in reply to data", Command::kData},
      {"in reply to mail from", Command::kMail},
      {"in reply to helo", Command::kHello},
      {"in reply to ehlo", Command::kHello},
      {"after end of data", Command::kData},
      {"after rcpt", Command::kRcpt},
      {"after mail from", Command::kMail},
      {"after data", Command::kData},
      {"after initial connection", Command::kConnect},
      {"after helo", Command::kHello},
      {"after ehlo", Command::kHello},
      {"after pipelined data", Command::kData},
      {"after pipelined rcpt", Command::kRcpt},
      {"for text command", Command::kData},
      {"for rcpt command", Command::kRcpt},
      {"for mail command", Command::kMail},
      {"did not like our rcpt to", Command::kRcpt},
      {"did not like our final data", Command::kData},
      {"did not like our data", Command::kData},
      {"did not like our mail from", Command::kMail},
      {"does not like recipient", Command::kRcpt},
      {"failed after i sent the message", Command::kData},
      {"failed on data command", Command::kData},
      {"but sender was rejected", Command::kMail},
      {"my name was rejected", Command::kHello},
      {"[rcpt_to]", Command::kRcpt},
      {"(state 14)", Command::kRcpt},
      {"(state 13)", Command::kMail},  // Gmail
      {"(state 15)", Command::kData},
      {"(state 17)", Command::kData},
      {"(state 18)", Command::kData},
      {"[body]", Command::kData},
      {"[data]", Command::kData},
      {"[connect]", Command::kConnect},
      {"[helo]", Command::kHello},
      {"[ehlo]", Command::kHello},
      {"smtp command rcpt", Command::kRcpt},
      {"smtp command mail", Command::kMail},
      {"[mail_from]", Command::kMail},
      {"in rcpt to", Command::kRcpt},
      {"in mail from", Command::kMail},
      {"in data", Command::kData},
      {"rejected during data", Command::kData},
      {"smtp command data", Command::kData},
      {"body of message generated response", Command::kData},
      {"mail from:<> response", Command::kMail},
      {"rcpt to generated", Command::kRcpt},
      {"mail from generated", Command::kMail},
      {"data generated", Command::kData},
      {"response to rcpt", Command::kRcpt},
      {"response to mail", Command::kMail},
      {"response to data", Command::kData},
      {"sending rcpt", Command::kRcpt},
      {"sending mail from", Command::kMail},
      {"sending end of data", Command::kData},
      {"sending message body", Command::kData},
      {"rcpt command", Command::kRcpt},
      {"rejected recipient", Command::kRcpt},
      {"following rcpt", Command::kRcpt},
      {"following data", Command::kData},
      {"after pipelined mail", Command::kMail},
  };
  for (const auto& [words, command] : kWords) {
    if (Contains(text, words)) return command;
  }
  return Command::kUnknown;
}

Command OnlyCommandIn(std::string_view text) {
  const bool others = Contains(text, "mail from") || Contains(text, "data") || Contains(text, "need rcpt");
  return !others && Contains(text, "rcpt") ? Command::kRcpt : Command::kUnknown;
}

Command CommandInTranscript(std::string_view prose, std::string_view diagnostic) {
  const std::string_view said = diagnostic.substr(0, 40);
  Command command = Command::kUnknown;
  Command first = Command::kUnknown;  // of the last reply that refuses, where none is the very one
  while (!prose.empty()) {
    std::string_view line = Trim(TakeLine(prose));
    // Some draw the arrows the other way round, and say what they mean.
    const bool told_sent = StartsWith(line, "sent <<<") || StartsWith(line, "sent >>>");
    const bool told_received = StartsWith(line, "received >>>") || StartsWith(line, "received <<<");
    if (told_sent || told_received) line = Trim(line.substr(line.find_first_of("<>")));
    if (told_sent || (line.starts_with(">>>") && !told_received)) {
      const std::string_view sent = Trim(line.substr(3));
      command = StartsWith(sent, "rcpt")                                              ? Command::kRcpt
                : StartsWith(sent, "mail")                                            ? Command::kMail
                : StartsWith(sent, "ehlo") || StartsWith(sent, "helo")                ? Command::kHello
                : StartsWith(sent, "data") || sent == "." || StartsWith(sent, "bdat") ? Command::kData
                                                                                      : Command::kUnknown;
    } else if (told_received || line.starts_with("<<<")) {
      const std::string_view reply = Trim(line.substr(3));
      if (!said.empty() && SameText(reply.substr(0, said.size()), said)) return command;
      if (first == Command::kUnknown && reply.starts_with("5")) first = command;
    }
  }
  return said.empty() ? first : Command::kUnknown;
}

namespace {

// "<<< 550 …" before "554 <a@b>... Remote protocol error": what the far server said belongs to the address that follows.
std::vector<Said> ReadTranscript(std::string_view prose) {
  std::vector<Said> all;
  Command command = Command::kUnknown;
  std::string heard;
  Command heard_at = Command::kUnknown;
  while (!prose.empty() && all.size() < kRecipientsMax) {
    const std::string_view line = Trim(TakeLine(prose));
    if (line.starts_with(">>>")) {
      command = CommandInTranscript(std::string(line) + "\n<<< 5", {});
    } else if (line.starts_with("<<<")) {
      heard = Trim(line.substr(3)).substr(0, kDiagnosticBytesMax);
      heard_at = command;
    } else if (StartsWith(line, "while talking to") || StartsWith(line, "... while talking to")) {
      heard.clear();
    } else if (line.size() > 5 && IsDigit(line[0]) && IsDigit(line[1]) && IsDigit(line[2]) && line[3] == ' ' &&
               line.find("...") != line.npos) {
      const std::string_view address = HeadAddress(line);
      if (address.empty()) continue;
      all.push_back({.address = std::string(address),
                     .diagnostic_type = "prose",
                     .diagnostic = heard.empty() ? std::string(line.substr(0, kDiagnosticBytesMax)) : heard,
                     .command = heard.empty() ? Command::kRcpt : heard_at});
      heard.clear();
    }
  }
  return all;
}

}  // namespace

std::vector<Said> ReadProse(std::string_view prose, const std::vector<std::string>& known, const std::vector<std::string>& not_these) {
  if (Contains(prose, "transcript of session follows")) {
    if (auto all = ReadTranscript(prose); !all.empty()) {
      std::erase_if(all, [&](const Said& one) { return IsOneOf(not_these, one.address); });
      if (!all.empty()) return all;
    }
  }
  // Paragraphs: each begins where an address stands at the head of a line; what stands before the first is about all.
  struct Paragraph {
    std::string address;
    size_t begin;
  };
  std::vector<Paragraph> paragraphs;
  for (std::string_view rest = prose; !rest.empty() && paragraphs.size() < kRecipientsMax;) {
    const auto at = static_cast<size_t>(rest.data() - prose.data());
    const std::string_view line = TakeLine(rest);
    const std::string_view address = HeadAddress(line);
    if (address.empty() || IsOneOf(not_these, address)) continue;
    if (!known.empty() && !IsOneOf(known, address)) continue;
    if (!paragraphs.empty() && SameText(paragraphs.back().address, address)) continue;
    const bool again = std::ranges::any_of(paragraphs, [&](const Paragraph& one) { return SameText(one.address, address); });
    paragraphs.push_back({again ? std::string() : std::string(address), at});  // told twice: it ends the paragraph before
  }
  std::vector<Said> all;
  const auto told = std::ranges::count_if(paragraphs, [](const Paragraph& one) { return !one.address.empty(); });
  if (told <= 1) {
    Said one{.diagnostic_type = "prose", .diagnostic = Collapse(WithoutHeader(prose))};
    if (!paragraphs.empty()) one.address = paragraphs[0].address;
    if (one.address.empty() && !known.empty()) one.address = known[0];
    for (std::string_view rest = prose; one.address.empty() && !rest.empty();) {
      for (std::string_view line = TakeLine(rest); one.address.empty() && !line.empty();) {
        const std::string_view address = FindAddress(line);
        if (address.empty()) break;
        if (!IsOneOf(not_these, address) && !Contains(line.substr(0, 200), "mail from")) one.address = address;
        line.remove_prefix(static_cast<size_t>(address.data() - line.data()) + address.size());
      }
    }
    one.command = CommandIn(one.diagnostic);
    if (one.command == Command::kUnknown) one.command = CommandInTranscript(prose, {});
    if (one.command == Command::kUnknown) one.command = OnlyCommandIn(one.diagnostic);
    all.push_back(std::move(one));
    return all;
  }
  for (size_t i = 0; i < paragraphs.size(); ++i) {
    if (paragraphs[i].address.empty()) continue;
    const size_t end = i + 1 < paragraphs.size() ? paragraphs[i + 1].begin : prose.size();
    Said one{.address = paragraphs[i].address,
             .diagnostic_type = "prose",
             .diagnostic = Collapse(WithoutHeader(prose.substr(paragraphs[i].begin, end - paragraphs[i].begin)))};
    one.command = CommandIn(one.diagnostic);
    all.push_back(std::move(one));
  }
  // A list of addresses with the reason below the last: it is told of all.
  const auto bare = [](const Said& one) { return one.diagnostic.size() < one.address.size() + 8; };
  for (size_t i = all.size(); i-- > 1;) {
    if (!bare(all[i - 1])) continue;
    all[i - 1].diagnostic = all[i].diagnostic;
    all[i - 1].command = all[i].command;
  }
  return all;
}

}  // namespace maily::bounces
