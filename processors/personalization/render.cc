// Rendering appends spans: literals straight from the source, values through the part's escaping.
#include "processors/personalization/render.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "processors/personalization/links.h"
#include "streams/base/html.h"

namespace maily::personalization {
namespace {

// Characters that cannot be copied as they are.
constexpr std::array<bool, 256> MakeSpecial(std::string_view chars, bool controls) {
  std::array<bool, 256> special{};
  special[0] = true;
  for (const char c : chars) special[static_cast<uint8_t>(c)] = true;
  for (size_t i = 0; controls && i < 32; ++i) special[i] = true;
  if (controls) special[127] = true;
  return special;
}
constexpr auto kTextSpecial = MakeSpecial("", false);
constexpr auto kSubjectSpecial = MakeSpecial("", true);

// Appends runs without specials at once; `replace` says what stands for a special.
template <class Replace>
void PutReplaced(std::string_view value, const std::array<bool, 256>& special, std::string& out, Replace replace) {
  size_t run = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (!special[static_cast<uint8_t>(value[i])]) continue;
    out.append(value, run, i - run);
    replace(value[i]);
    run = i + 1;
  }
  out.append(value, run, value.size() - run);
}

void PutText(std::string_view value, std::string& out) {
  PutReplaced(value, kTextSpecial, out, [](char) {});
}

void PutSubject(std::string_view value, std::string& out) {
  PutReplaced(value, kSubjectSpecial, out, [&](char) {
    if (!out.empty() && out.back() != ' ') out.push_back(' ');
  });
}

// The offset of the last </body, or the size.
size_t EndOfBody(std::string_view html) {
  static constexpr std::string_view kClosing = "</body";
  for (size_t at = html.size(); at-- > 0;) {
    if (html[at] != '<' || html.size() - at < kClosing.size()) continue;
    const auto same = [](char lower, char c) { return (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) == lower; };
    if (std::equal(kClosing.begin(), kClosing.end(), html.begin() + static_cast<std::ptrdiff_t>(at), same)) return at;
  }
  return html.size();
}

}  // namespace

void Compiled::Build(Part part, std::string_view source, const std::vector<Piece>& pieces, std::span<const std::string> links,
                     Program& program) {
  std::vector<LinkPlace> places;
  if (part == Part::kHtml) places = FindLinksInHtml(source);
  if (part == Part::kText) places = FindLinksInText(source);
  std::unordered_map<std::string_view, uint32_t> index_of;
  for (uint32_t i = 0; i < links.size(); ++i) index_of.emplace(links[i], i);
  const size_t pixel_at = part == Part::kHtml ? EndOfBody(source) : std::string_view::npos;
  size_t place = 0;
  bool pixel_done = part != Part::kHtml || source.empty() || IsUntracked(source);
  program.source = source;

  // Links and the pixel lie inside literals: a tracked link holds no placeholder.
  const auto literal = [&](size_t from, size_t to) {
    const auto span = [&](size_t a, size_t b) {
      if (b > a) program.ops.push_back({Op::Kind::kLiteral, 0, static_cast<uint32_t>(a), static_cast<uint32_t>(b - a)});
    };
    const auto upto = [&](size_t end) {
      if (!pixel_done && pixel_at >= from && pixel_at < end) {
        span(from, pixel_at);
        program.ops.push_back({Op::Kind::kPixel, 0, 0, 0});
        pixel_done = true;
        from = pixel_at;
      }
      span(from, end);
      from = end;
    };
    for (; place < places.size() && places[place].offset < to; ++place) {
      const auto found = index_of.find(places[place].target);
      if (found == index_of.end() || places[place].offset < from) continue;
      upto(places[place].offset);
      program.ops.push_back({Op::Kind::kLink, found->second, places[place].offset, places[place].size});
      from = places[place].offset + places[place].size;
    }
    upto(to);
  };
  for (const Piece& piece : pieces) {
    if (piece.kind == Piece::Kind::kLiteral) {
      literal(piece.offset, piece.offset + piece.size);
    } else {
      program.ops.push_back({static_cast<Op::Kind>(piece.kind), piece.attribute, 0, 0});
    }
  }
  if (!pixel_done) program.ops.push_back({Op::Kind::kPixel, 0, 0, 0});
}

Result<Compiled> Compiled::Compile(const Source& source, std::span<const std::string> links) {
  static_assert(static_cast<int>(Op::Kind::kCompany) == static_cast<int>(Piece::Kind::kCompany));
  Parsed parsed = Parse(source);
  if (!parsed.violations.empty()) return Fail(Code::kInvalid, "template {}", parsed.violations.front().ToString());
  auto data = std::make_shared<Data>();
  Build(Part::kSubject, source.subject, parsed.subject, links, data->subject);
  Build(Part::kHtml, source.html, parsed.html, links, data->html);
  Build(Part::kText, source.text, parsed.text, links, data->text);
  data->attributes = std::move(parsed.attributes);
  data->link_count = links.size();
  return Compiled(std::move(data));
}

template <class Put>
bool Compiled::RunProgram(const Program& program, const Values& values, const Urls& urls, size_t bytes_max, std::string& out, Put put) {
  out.clear();
  for (const Op& op : program.ops) {
    switch (op.kind) {
      case Op::Kind::kLiteral:
        out.append(program.source, op.offset, op.size);
        break;
      case Op::Kind::kAttribute:
        put(values.attributes[op.index], out);
        break;
      case Op::Kind::kEmail:
        put(values.email, out);
        break;
      case Op::Kind::kUnsubscribeUrl:
        put(urls.unsubscribe, out);
        break;
      case Op::Kind::kPostalAddress:
        put(values.postal_address, out);
        break;
      case Op::Kind::kCompany:
        put(values.company, out);
        break;
      case Op::Kind::kLink:
        if (urls.untracked) {
          out.append(program.source, op.offset, op.size);
        } else {
          put(urls.links[op.index], out);
        }
        break;
      case Op::Kind::kPixel:
        if (!urls.honeypot.empty()) {
          out += "<a href=\"";
          put(urls.honeypot, out);
          out += "\" style=\"display:none\" tabindex=\"-1\" aria-hidden=\"true\" rel=\"nofollow\"></a>";
        }
        if (urls.open_pixel.empty()) break;
        out += "<img src=\"";
        put(urls.open_pixel, out);
        out += "\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">";
        break;
    }
    if (out.size() > bytes_max) return false;
  }
  return true;
}

Result<void> Compiled::Render(const Values& values, const Urls& urls, Rendered& out) const {
  MAILY_CHECK(values.attributes.size() == data_->attributes.size(), "{} values for {} attributes", values.attributes.size(),
              data_->attributes.size());
  MAILY_CHECK(urls.links.size() == (urls.untracked ? 0 : data_->link_count), "{} URLs for {} links", urls.links.size(), data_->link_count);
  size_t left = kOutputBytesMax;
  const auto run = [&](const Program& program, std::string& part, auto put) {
    if (!RunProgram(program, values, urls, left, part, put)) return false;
    left -= part.size();
    return true;
  };
  if (run(data_->subject, out.subject, PutSubject) && run(data_->html, out.html, PutHtml) && run(data_->text, out.text, PutText))
    return Ok();
  return Fail(Code::kInvalid, "the filled-in mail has more than {} bytes", kOutputBytesMax);
}

}  // namespace maily::personalization
