// See plan.h.
#include "processors/effects/mime/plan.h"

#include "streams/base/result.h"

namespace maily::mime {
namespace {

constexpr size_t kIdDigits = 32;     // of the 64: 128 bits
constexpr size_t kFieldsMax = 1024;  // of an item with its delimiters: a name of 150 bytes has 450 characters and 60 for each fold

// "=_" stands neither in quoted-printable (RFC 2045 §6.7) nor in base64, and no field begins a line with "--": so no boundary meets what it
// divides. Of the bytes that are enclosed, hence the same on every attempt.
struct Boundaries {
  explicit Boundaries(const Plan& plan) {
    const std::string id = (plan.images.empty() ? plan.attachments : plan.images).front().id.substr(0, kIdDigits);
    mixed = "=_mixed_" + id;
    alternative = "=_alternative_" + id;
    related = "=_related_" + id;
  }
  std::string mixed, alternative, related;
};

std::string Multipart(std::string_view kind, const std::string& boundary) {
  return fmt::format("Content-Type: multipart/{};\r\n boundary=\"{}\"\r\n\r\n--{}\r\n", kind, boundary, boundary);
}

void AppendItem(const Item& item, std::string_view disposition, const std::string& content_id, std::string_view bytes, std::string& out) {
  out += fmt::format("Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\n", item.type.text());
  if (!content_id.empty()) out += fmt::format("Content-ID: <{}>\r\n", content_id);
  out += fmt::format("Content-Disposition: {}", disposition);
  AppendFileName(item.name, out);
  out += "\r\n\r\n";
  AppendBase64Lines(bytes, out);
}

}  // namespace

std::string Plan::Key() const {
  std::string key = fmt::format("{}{}{}", text ? 't' : '-', html ? 'h' : '-', domain);
  for (const auto* items : {&images, &attachments}) {
    key += '\n';
    for (const Item& item : *items) key += fmt::format("{} {} {}\t", item.id, item.type.text(), item.name.text());
  }
  return key;
}

std::string ContentId(std::string_view id, std::string_view domain) { return fmt::format("{}@{}", id.substr(0, kIdDigits), domain); }

Frame::Frame(const Plan& plan) {
  MAILY_CHECK(!plan.plain() && (plan.text || plan.html) && (plan.html || plan.images.empty()), "a mail that cannot be framed");
  const Boundaries is(plan);
  const bool both = plan.text && plan.html;
  if (!plan.attachments.empty()) before_text += Multipart("mixed", is.mixed);
  if (both) before_text += Multipart("alternative", is.alternative);
  if (both) before_html += fmt::format("--{}\r\n", is.alternative);
  if (!plan.images.empty()) (both ? before_html : before_text) += Multipart("related; type=\"text/html\"", is.related);
  if (!plan.images.empty()) {
    after = fmt::format("--{}\r\n", is.related);
  } else {
    if (both) after += fmt::format("--{}--\r\n", is.alternative);
    after += fmt::format("--{}\r\n", is.mixed);
  }
}

std::string EncodeTail(const Plan& plan, std::span<const std::string> bytes) {
  MAILY_CHECK(bytes.size() == plan.images.size() + plan.attachments.size() && !bytes.empty(), "the bytes are not of the plan");
  const Boundaries is(plan);
  std::vector<size_t> sizes;
  for (const std::string& one : bytes) sizes.push_back(one.size());
  std::string tail;
  tail.reserve(TailSizeMax(sizes));
  for (size_t i = 0; i < plan.images.size(); ++i) {
    if (i > 0) tail += fmt::format("--{}\r\n", is.related);
    AppendItem(plan.images[i], "inline", ContentId(plan.images[i].id, plan.domain), bytes[i], tail);
  }
  if (!plan.images.empty()) {
    tail += fmt::format("--{}--\r\n", is.related);
    if (plan.text) tail += fmt::format("--{}--\r\n", is.alternative);
    if (!plan.attachments.empty()) tail += fmt::format("--{}\r\n", is.mixed);
  }
  for (size_t i = 0; i < plan.attachments.size(); ++i) {
    if (i > 0) tail += fmt::format("--{}\r\n", is.mixed);
    AppendItem(plan.attachments[i], "attachment", "", bytes[plan.images.size() + i], tail);
  }
  if (!plan.attachments.empty()) tail += fmt::format("--{}--\r\n", is.mixed);
  MAILY_CHECK(tail.find("\n.") == std::string::npos && !tail.starts_with('.'), "a line of the tail begins with a dot");
  return tail;
}

size_t TailSizeMax(std::span<const size_t> sizes) {
  size_t sum = kFieldsMax;
  for (const size_t size : sizes) sum += Base64LinesSize(size) + kFieldsMax;
  return sum;
}

}  // namespace maily::mime
