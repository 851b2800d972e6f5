// A template made ready to be filled in for one contact after another. Pure; a Compiled is immutable, thread: any.
//
// Values of the contact and of the tenant are escaped in HTML (& < > " ') and never in text and subject. In the subject every run of
// control characters of a value is one space, so no value can begin a header. NUL is left out everywhere.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/template.h"
#include "streams/base/result.h"

namespace maily::personalization {

inline constexpr size_t kOutputBytesMax = 1'000'000;  // subject, HTML and text together

// What placeholders stand for. Views must live until Render returns.
struct Values {
  std::span<const std::string_view> attributes = {};  // in the order of Compiled::attributes(); empty = no value
  std::string_view email = {};
  std::string_view postal_address = {};
  std::string_view company = {};
};

// The addresses that a mail of its own has.
struct Urls {
  std::span<const std::string> links;  // by index in the link table
  std::string_view open_pixel;         // empty = no pixel
  std::string_view unsubscribe;
  std::string_view honeypot = {};  // of a link that no person sees, beside the pixel; empty = none
  bool untracked = false;          // `links` is empty: links stay as the template has them
};

struct Rendered {
  std::string subject;
  std::string html;
  std::string text;
};

class Compiled {
 public:
  // `links`: the link table stored with the template's version; a link that it does not have stays as it is. Copies the source.
  // kInvalid: the template has violations; the message is the first one.
  static Result<Compiled> Compile(const Source& source, std::span<const std::string> links);

  const std::vector<std::string>& attributes() const { return data_->attributes; }
  size_t link_count() const { return data_->link_count; }

  // Fills `out` (its capacity is used again). The pixel stands before </body>, or at the end; nowhere if the mail is
  // untracked (links.h). CHECK: values and URLs are as many as
  // attributes() and link_count(). kInvalid: more than kOutputBytesMax; this contact cannot get this mail.
  Result<void> Render(const Values& values, const Urls& urls, Rendered& out) const;

 private:
  struct Op {
    enum class Kind : uint8_t { kLiteral, kAttribute, kEmail, kUnsubscribeUrl, kPostalAddress, kCompany, kLink, kPixel };
    Kind kind = Kind::kLiteral;
    uint32_t index = 0;   // of the attribute or link
    uint32_t offset = 0;  // kLiteral, kLink: in its part's source
    uint32_t size = 0;
  };
  struct Program {
    std::string source;
    std::vector<Op> ops;
  };
  struct Data {
    Program subject;
    Program html;
    Program text;
    std::vector<std::string> attributes;
    size_t link_count = 0;
  };
  explicit Compiled(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  static void Build(Part part, std::string_view source, const std::vector<Piece>& pieces, std::span<const std::string> links,
                    Program& program);
  template <class Put>
  static bool RunProgram(const Program& program, const Values& values, const Urls& urls, size_t bytes_max, std::string& out, Put put);

  std::shared_ptr<const Data> data_;
};

}  // namespace maily::personalization
