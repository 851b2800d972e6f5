// See json_lines.h.
#include "api/import/json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "streams/base/utf8.h"

namespace maily::import {

void JsonLines::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    if (!too_long_) buffer_.append(bytes.substr(0, std::min(end, options_.line_bytes_max + 1 - buffer_.size())));
    if (!too_long_ && buffer_.size() > options_.line_bytes_max) {
      too_long_ = true;
      Reject(buffer_, "too_large", fmt::format("the line has more than {} bytes", options_.line_bytes_max));
    }
    if (end == std::string_view::npos) return;
    if (!too_long_) Take(buffer_);
    buffer_.clear();
    too_long_ = false;
    ++line_;
    bytes.remove_prefix(end + 1);
  }
}

void JsonLines::Finish() {
  if (!too_long_) Take(buffer_);
  buffer_.clear();
}

void JsonLines::Take(std::string_view text) {
  if (line_ == 1 && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  while (text.ends_with('\r') || text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return;
  if (!IsUtf8(text)) return Reject(text, "invalid_utf8", "the line is not valid UTF-8");
  std::vector<std::set<std::string>> names;
  bool twice = false;
  bool deep = false;
  bool nul = false;
  const auto look = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) names.emplace_back();
    if (event == Event::object_end && !names.empty()) names.pop_back();
    if (event == Event::key && !names.empty()) twice |= !names.back().insert(parsed.get<std::string>()).second;
    if ((event == Event::key || event == Event::value) && parsed.is_string())
      nul |= parsed.get_ref<const std::string&>().find('\0') != std::string::npos;
    deep |= static_cast<size_t>(depth) > options_.depth_max;
    return !deep;
  };
  const nlohmann::json object = nlohmann::json::parse(text, look, false);
  if (deep) return Reject(text, "malformed_json", fmt::format("the line is nested deeper than {}", options_.depth_max));
  if (object.is_discarded()) return Reject(text, "malformed_json", "the line is no JSON");
  if (!object.is_object()) return Reject(text, "not_an_object", "the line is no JSON object");
  if (twice) return Reject(text, "duplicate_member", "a member is there twice");
  if (nul) return Reject(text, "nul", "a text holds a NUL");
  sink_.row(line_, object, text.substr(0, options_.raw_bytes_max));
}

void JsonLines::Reject(std::string_view raw, std::string code, std::string reason) {
  sink_.reject({.line = line_,
                .column = 0,
                .code = std::move(code),
                .reason = std::move(reason),
                .raw = std::string(raw.substr(0, options_.raw_bytes_max))});
}

}  // namespace maily::import
