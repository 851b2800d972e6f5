// A template made ready to be filled in for one contact after another. Pure; a Compiled is immutable, thread: any.
//
// Values of the contact and of the tenant are escaped in HTML (& < > " ') unless the template says `| raw`, and never in text and subject.
// In the subject and the name in From every run of control characters of a value is one space, so no value can begin a header. NUL is left
// out everywhere.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/liquid/template.h"
#include "processors/personalization/template.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::personalization {

inline constexpr size_t kOutputBytesMax = 1'000'000;  // subject, HTML and text together

using liquid::Value;

// Texts as values; an empty one is no value.
std::vector<Value> Texts(std::span<const std::string_view> texts);

// What placeholders stand for. Views must live until Render returns.
struct Values {
  std::span<const Value> attributes = {};  // in the order of Compiled::attributes(); nil = no value
  std::string_view email = {};
  std::string_view postal_address = {};
  std::string_view company = {};
  Value variables = {};                      // of a message (variables.h): a hash, or nil
  Instant now = {};                          // what "now" is in dates: of the first attempt, so that every attempt makes the same bytes
  const liquid::BlankSeen* blank = nullptr;  // told of what is written and blank (liquid/template.h)
};

// The addresses that a mail of its own has.
struct Urls {
  std::span<const std::string> links;  // by index in the link table
  std::string_view open_pixel;         // empty = no pixel
  std::string_view unsubscribe;
  std::string_view honeypot = {};     // of a link that no person sees, beside the pixel; empty = none
  std::string_view preferences = {};  // where the contact chooses its lists; empty = no value
  std::string_view confirm = {};      // where the contact confirms what it was asked; empty = no value
  bool untracked = false;             // `links` is empty: links stay as the template has them
};

struct Rendered {
  std::string subject;
  std::string html;
  std::string text;
  std::string from_name;  // without control characters; empty: the campaign's own
};

class Compiled {
 public:
  // `links`: the link table stored with the template's version; a link that it does not have stays as it is. Copies the source.
  // kInvalid: the template has violations; the message is the first one.
  static Result<Compiled> Compile(const Source& source, std::span<const std::string> links);

  const std::vector<std::string>& attributes() const { return data_->attributes; }
  size_t link_count() const { return data_->link_count; }
  // Whether a mail of it needs Urls::preferences.
  bool names_preferences() const { return data_->names_preferences; }
  // Whether Urls::confirm is written anywhere.
  bool names_confirm() const { return data_->names_confirm; }

  // Fills `out` (its capacity is used again). The pixel stands before </body>, or at the end; nowhere if the mail is
  // untracked (links.h). CHECK: values and URLs are as many as attributes() and link_count(). kInvalid: the template fails for this
  // contact, who cannot get this mail: "html:3:14: …" for an author, or more than kOutputBytesMax.
  Result<void> Render(const Values& values, const Urls& urls, Rendered& out) const;

 private:
  // A part of the mail. Splices are its links, and the pixel as the last one, if it stands inside of the text.
  struct Piece {
    std::optional<liquid::Template> compiled;  // none: the part is empty
    std::vector<uint8_t> names;                // by the template's names: what they are, as kContact and so on
    std::vector<uint32_t> links;               // by splice: the index in the link table, kPixel
    std::vector<std::string> targets;          // by splice: the bytes that it takes the place of
    bool pixel_at_end = false;
    bool preheader_at_begin = false;
  };
  struct Data {
    Piece subject;
    Piece html;
    Piece text;
    Piece preheader;
    Piece from_name;
    std::vector<std::string> attributes;
    size_t link_count = 0;
    bool names_preferences = false;
    bool names_confirm = false;
  };
  struct Scratch;
  explicit Compiled(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  static Piece Build(Part part, std::string_view text, const Source& source, std::span<const std::string> links);
  static Result<void> RenderPart(Part part, const Piece& piece, const Values& values, const Urls& urls, Scratch& scratch, size_t bytes_max,
                                 std::string& out);

  std::shared_ptr<const Data> data_;
};

}  // namespace maily::personalization
