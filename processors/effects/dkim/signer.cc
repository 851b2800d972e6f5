// See signer.h.
#include "processors/effects/dkim/signer.h"

#include <algorithm>

#include "processors/effects/dkim/canonical.h"
#include "processors/effects/dkim/signed_fields.h"
#include "streams/base/base64.h"

namespace maily::dkim {
namespace {

constexpr size_t kLineMax = 78;  // RFC 5322 §2.1.1, without CRLF
constexpr size_t kNameMax = 253;
constexpr size_t kLabelMax = 63;

bool IsLetterOrDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); }

// Empty, or what is wrong with a name of DNS (RFC 5321 §4.1.2, sub-domain). `name` is in lower case.
std::string_view WrongWith(std::string_view name) {
  if (name.empty()) return "it is empty";
  if (name.size() > kNameMax) return "it is longer than 253 characters";
  if (name.ends_with('.')) return "it ends with a dot: leave that out";
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.size(), name.find('.', begin));
    const std::string_view label = name.substr(begin, end - begin);
    if (label.empty()) return "it has an empty part";
    if (label.size() > kLabelMax) return "it has a part longer than 63 characters";
    if (std::ranges::any_of(label, [](char c) { return static_cast<uint8_t>(c) >= 0x80; })) {
      return "it has letters beyond ASCII: give its A-labels (xn--…)";
    }
    if (!IsLetterOrDigit(label.front()) || !IsLetterOrDigit(label.back()) ||
        !std::ranges::all_of(label, [](char c) { return IsLetterOrDigit(c) || c == '-'; })) {
      return "its parts may have letters, digits and, not at their ends, hyphens only";
    }
    begin = end + 1;
  }
  return {};
}

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

// Writes a field, and folds where the next word would not fit the line.
class Folder {
 public:
  explicit Folder(std::string_view first) : out_(first), line_(0) { out_.reserve(1400); }
  // After a space, or on a line of its own.
  void Word(std::string_view word) {
    if (column() + 1 + word.size() > kLineMax) {
      NewLine(word);
    } else {
      (out_ += ' ') += word;
    }
  }
  // Goes on without a space where it fits.
  void Piece(std::string_view piece) {
    if (column() + piece.size() > kLineMax) {
      NewLine(piece);
    } else {
      out_ += piece;
    }
  }
  void NewLine(std::string_view text) {
    out_ += "\r\n";
    line_ = out_.size();
    (out_ += ' ') += text;
  }
  size_t column() const { return out_.size() - line_; }
  std::string& text() { return out_; }

 private:
  std::string out_;
  size_t line_;  // where the present line begins
};

}  // namespace

Prepared Prepare(std::string_view message) { return Prepare(message, {}); }

Prepared Prepare(std::string_view message, std::string_view tail) {
  MAILY_CHECK(tail.empty() || (message.ends_with("\r\n") && !message.ends_with("\r\n\r\n")), "a tail behind an unfinished or empty line");
  const size_t body = BodyOffset(message);
  Selection selection = SelectFields(message.substr(0, body));
  Sha256 hash;
  RelaxBody(message.substr(body), [&hash](std::string_view piece) { hash.Add(piece); });
  hash.Add(tail);
  return {std::move(selection.names), std::move(selection.canonical), ToBase64(View(hash.Finish()))};
}

Result<Signer> Signer::Make(std::string_view domain, std::string_view selector, std::string_view private_pem) {
  std::string d = ToLower(domain);
  std::string s = ToLower(selector);
  if (const std::string_view wrong = WrongWith(d); !wrong.empty()) {
    return Fail(Code::kInvalid, "\"{}\" is no domain to sign for: {}", domain.substr(0, kNameMax), wrong);
  }
  if (d.find('.') == std::string::npos) {
    return Fail(Code::kInvalid, "\"{}\" is no domain to sign for: it has one part only; give the domain of From, like example.com", domain);
  }
  if (const std::string_view wrong = WrongWith(s); !wrong.empty()) {
    return Fail(Code::kInvalid, "\"{}\" is no DKIM selector: {}", selector.substr(0, kNameMax), wrong);
  }
  auto key = PrivateKey::Parse(private_pem);
  if (!key) return Fail(key.error().code, "{} (selector {} of {})", key.error().message, s, d);
  Signer signer(std::move(d), std::move(s), *std::move(key));
  if (signer.DnsName().size() > kNameMax) {
    return Fail(Code::kInvalid, "{} is longer than the 253 characters of a name in DNS: take a shorter selector", signer.DnsName());
  }
  return signer;
}

std::string Signer::Sign(const Prepared& prepared, Instant at) const {
  Folder field("DKIM-Signature: v=1;");
  field.Word(fmt::format("a={};", AlgorithmName(key_.algorithm())));
  field.Word("c=relaxed/relaxed;");
  field.Word(fmt::format("d={};", domain_));
  field.Word(fmt::format("s={};", selector_));
  if (at.us > 0) field.Word(fmt::format("t={};", at.us / 1'000'000));
  field.NewLine("h=");
  for (size_t i = 0; i < prepared.names.size(); ++i) {
    std::string name(prepared.names[i]);
    field.Piece(name += i + 1 < prepared.names.size() ? ':' : ';');
  }
  field.NewLine(fmt::format("bh={};", prepared.body_hash));
  field.NewLine("b=");

  // The field itself is hashed last, with an empty b= and without its CRLF (RFC 6376 §3.7).
  std::string own;
  RelaxField(field.text(), own);
  own.resize(own.size() - 2);
  Sha256 hash;
  hash.Add(prepared.fields);
  hash.Add(own);
  const std::string signature = ToBase64(key_.SignDigest(hash.Finish()));
  // The first piece stands behind b=, so that no white space comes between when a verifier takes the value out.
  for (size_t done = 0; done < signature.size();) {
    if (done > 0) field.NewLine({});
    const std::string_view piece = std::string_view(signature).substr(done, kLineMax - field.column());
    field.Piece(piece);
    done += piece.size();
  }
  field.text() += "\r\n";
  return std::move(field.text());
}

}  // namespace maily::dkim
