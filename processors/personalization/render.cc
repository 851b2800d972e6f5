// Links and the pixel are splices of the engine's text; names become values once a mail.
#include "processors/personalization/render.h"

#include <algorithm>
#include <unordered_map>

#include "processors/personalization/links.h"
#include "processors/personalization/preheader.h"
#include "streams/base/html.h"

namespace maily::personalization {
namespace {

enum Name : uint8_t { kOther, kContact, kUnsubscribeUrl, kPreferencesUrl, kConfirmUrl, kPostalAddress, kCompany, kVariables };
constexpr uint32_t kPixel = ~uint32_t{0};
constexpr uint32_t kPreheader = kPixel - 1;

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

Name NameOf(std::string_view name) {
  if (name == "contact") return kContact;
  if (name == "unsubscribe_url") return kUnsubscribeUrl;
  if (name == "preferences_url") return kPreferencesUrl;
  if (name == "confirm_url") return kConfirmUrl;
  if (name == "postal_address") return kPostalAddress;
  if (name == "variables") return kVariables;
  return name == "company" ? kCompany : kOther;
}

liquid::Form FormOf(Part part) {
  return part == Part::kHtml ? liquid::Form::kHtml : part == Part::kText ? liquid::Form::kText : liquid::Form::kHeader;
}

}  // namespace

// Memory that one mail after another uses.
struct Compiled::Scratch {
  liquid::Renderer renderer;
  std::vector<liquid::Member> contact;
  std::vector<Value> names;
  std::vector<Value> splices;
  std::string pixel;
  std::string preheader;  // its text
  std::string hidden;     // as HTML
};

std::vector<Value> Texts(std::span<const std::string_view> texts) {
  std::vector<Value> values;
  for (const std::string_view text : texts) values.push_back(text.empty() ? Value() : Value::String(text));
  return values;
}

Compiled::Piece Compiled::Build(Part part, std::string_view text, const Source& source, std::span<const std::string> links) {
  Piece piece;
  if (text.empty()) return piece;
  std::unordered_map<std::string_view, uint32_t> index_of;
  for (uint32_t i = 0; i < links.size(); ++i) index_of.emplace(links[i], i);
  std::vector<liquid::Splice> given;
  // In one source, ascending; then those of the next one.
  const auto splice_links = [&](std::string_view of, std::string_view partial, std::vector<std::pair<liquid::Splice, uint32_t>> splices) {
    std::vector<LinkPlace> places;
    if (part == Part::kHtml) places = FindLinksInHtml(of);
    if (part == Part::kText) places = FindLinksInText(of);
    uint32_t end = 0;
    for (const LinkPlace& place : places) {
      const auto found = index_of.find(place.target);
      if (found == index_of.end() || place.offset < end) continue;
      splices.push_back({{.offset = place.offset, .size = place.size, .once = false, .partial = partial}, found->second});
      end = place.offset + place.size;
    }
    std::ranges::stable_sort(splices, {}, [](const auto& splice) { return splice.first.offset; });
    for (const auto& [splice, link] : splices) {
      given.push_back(splice);
      piece.links.push_back(link);
      piece.targets.emplace_back(of.substr(splice.offset, splice.size));
    }
  };
  const bool has_pixel = part == Part::kHtml && !IsUntracked(text);
  const bool has_preheader = part == Part::kHtml && !source.preheader.empty();
  const auto pixel_at = static_cast<uint32_t>(EndOfBody(text));
  std::vector<std::pair<liquid::Splice, uint32_t>> own;
  if (has_preheader) own.push_back({{.offset = static_cast<uint32_t>(PreheaderPlace(text)), .size = 0, .once = true}, kPreheader});
  if (has_pixel && pixel_at < text.size()) own.push_back({{.offset = pixel_at, .size = 0, .once = true}, kPixel});
  splice_links(text, {}, std::move(own));
  std::vector<liquid::Partial> partials;
  for (const PartialSource& partial : source.partials) {
    const std::string_view of = part == Part::kHtml ? partial.html : partial.text;
    partials.push_back({partial.name, of});
    splice_links(of, partial.name, {});
  }
  std::vector<liquid::Problem> problems;
  piece.compiled = liquid::Template::Compile(text, {.strict = true, .partials = partials, .splices = given}, problems);
  MAILY_CHECK(piece.compiled.has_value(), "a template without violations does not compile: {}", problems.front().ToString());
  for (const std::string_view name : piece.compiled->names()) piece.names.push_back(NameOf(name));
  bool pixel_placed = false, preheader_placed = false;
  for (size_t i = 0; i < piece.links.size(); ++i) {
    pixel_placed = pixel_placed || (piece.links[i] == kPixel && piece.compiled->placed(i));
    preheader_placed = preheader_placed || (piece.links[i] == kPreheader && piece.compiled->placed(i));
  }
  piece.pixel_at_end = has_pixel && !pixel_placed;
  piece.preheader_at_begin = has_preheader && !preheader_placed;
  return piece;
}

Result<Compiled> Compiled::Compile(const Source& source, std::span<const std::string> links) {
  Parsed parsed = Parse(source);
  if (!parsed.violations.empty()) return Fail(Code::kInvalid, "template {}", parsed.violations.front().ToString());
  auto data = std::make_shared<Data>();
  data->subject = Build(Part::kSubject, source.subject, source, links);
  data->html = Build(Part::kHtml, source.html, source, links);
  data->text = Build(Part::kText, source.text, source, links);
  data->preheader = Build(Part::kPreheader, source.preheader, source, links);
  data->from_name = Build(Part::kFromName, source.from_name, source, links);
  data->attributes = std::move(parsed.attributes);
  data->link_count = links.size();
  const auto is_named = [&data](uint8_t name) {
    return std::ranges::any_of(std::initializer_list<const Piece*>{&data->html, &data->text},
                               [name](const Piece* piece) { return std::ranges::find(piece->names, name) != piece->names.end(); });
  };
  data->names_preferences = is_named(kPreferencesUrl);
  data->names_confirm = is_named(kConfirmUrl);
  return Compiled(std::move(data));
}

Result<void> Compiled::RenderPart(Part part, const Piece& piece, const Values& values, const Urls& urls, Scratch& scratch, size_t bytes_max,
                                  std::string& out) {
  out.clear();
  if (!piece.compiled) return Ok();
  scratch.names.resize(piece.names.size());
  for (size_t i = 0; i < piece.names.size(); ++i) {
    switch (piece.names[i]) {
      case kContact:
        scratch.names[i] = Value::Hash(scratch.contact);
        break;
      case kUnsubscribeUrl:
        scratch.names[i] = Value::String(urls.unsubscribe);
        break;
      case kPreferencesUrl:
        scratch.names[i] = urls.preferences.empty() ? Value() : Value::String(urls.preferences);
        break;
      case kConfirmUrl:
        scratch.names[i] = urls.confirm.empty() ? Value() : Value::String(urls.confirm);
        break;
      case kPostalAddress:
        scratch.names[i] = Value::String(values.postal_address);
        break;
      case kCompany:
        scratch.names[i] = Value::String(values.company);
        break;
      case kVariables:
        scratch.names[i] = values.variables;
        break;
      default:
        scratch.names[i] = Value();
    }
  }
  scratch.splices.resize(piece.links.size());
  for (size_t i = 0; i < piece.links.size(); ++i) {
    const uint32_t link = piece.links[i];
    scratch.splices[i] = link == kPixel       ? Value::String(scratch.pixel).AsSafe()
                         : link == kPreheader ? Value::String(scratch.hidden).AsSafe()
                         : urls.untracked     ? Value::String(piece.targets[i]).AsSafe()
                                              : Value::String(urls.links[link]);
  }
  liquid::Limits limits;
  limits.output_bytes = bytes_max;
  if (piece.preheader_at_begin) out += scratch.hidden;
  const auto problem = scratch.renderer.Render(*piece.compiled,
                                               {.values = scratch.names,
                                                .others = {},
                                                .splices = scratch.splices,
                                                .now_us = values.now.us,
                                                .form = FormOf(part),
                                                .limits = limits,
                                                .blank = values.blank},
                                               out);
  if (problem) {
    return Fail(Code::kInvalid, "{}{}{}:{}:{}: {}", PartName(part), problem->partial.empty() ? "" : "/", problem->partial, problem->line,
                problem->column, problem->message);
  }
  if (piece.pixel_at_end) out += scratch.pixel;
  return Ok();
}

Result<void> Compiled::Render(const Values& values, const Urls& urls, Rendered& out) const {
  MAILY_CHECK(values.attributes.size() == data_->attributes.size(), "{} values for {} attributes", values.attributes.size(),
              data_->attributes.size());
  MAILY_CHECK(urls.links.size() == (urls.untracked ? 0 : data_->link_count), "{} URLs for {} links", urls.links.size(), data_->link_count);
  thread_local Scratch scratch;
  scratch.contact.clear();
  for (size_t i = 0; i < values.attributes.size(); ++i) scratch.contact.push_back({data_->attributes[i], values.attributes[i]});
  scratch.contact.push_back({"email", Value::String(values.email)});
  scratch.pixel.clear();
  if (!urls.honeypot.empty()) {
    scratch.pixel += "<a href=\"";
    PutHtml(urls.honeypot, scratch.pixel);
    scratch.pixel += "\" style=\"display:none\" tabindex=\"-1\" aria-hidden=\"true\" rel=\"nofollow\"></a>";
  }
  if (!urls.open_pixel.empty()) {
    scratch.pixel += "<img src=\"";
    PutHtml(urls.open_pixel, scratch.pixel);
    scratch.pixel += "\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0\">";
  }
  size_t left = kOutputBytesMax;
  const auto run = [&](Part part, const Piece& piece, std::string& text) -> Result<void> {
    MAILY_TRY_VOID(RenderPart(part, piece, values, urls, scratch, left, text));
    if (text.size() > left) return Fail(Code::kInvalid, "the filled-in mail has more than {} bytes", kOutputBytesMax);
    left -= text.size();
    return Ok();
  };
  MAILY_TRY_VOID(run(Part::kSubject, data_->subject, out.subject));
  MAILY_TRY_VOID(run(Part::kPreheader, data_->preheader, scratch.preheader));
  scratch.hidden.clear();
  PutPreheader(scratch.preheader, scratch.hidden);
  // Who sends it is known all the same.
  if (!run(Part::kFromName, data_->from_name, out.from_name)) out.from_name.clear();
  MAILY_TRY_VOID(run(Part::kHtml, data_->html, out.html));
  return run(Part::kText, data_->text, out.text);
}

}  // namespace maily::personalization
