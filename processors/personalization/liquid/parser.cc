// Structure: pieces become nodes, blocks become bodies. The tags themselves are in tags.cc.
#include "processors/personalization/liquid/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/liquid/text.h"

namespace maily::liquid {

void PlaceCounter::To(const char* place, uint32_t& line, uint32_t& column) {
  for (; at_ < place; ++at_) {
    if (*at_ == '\n') {
      ++line_;
      column_ = 1;
    } else if ((static_cast<uint8_t>(*at_) & 0xC0) != 0x80) {
      ++column_;
    }
  }
  line = line_;
  column = column_;
}

Parser::Parser(Program& program, const CompileOptions& options, std::vector<Problem>& problems)
    : program_(program),
      options_(options),
      problems_(problems),
      expressions_(program, options.strict, [this](const char* at, std::string message) { Wrong(at, std::move(message)); }) {}

void Parser::Wrong(const char* at, std::string message) {
  const Unit& unit = program_.units[unit_];
  Problem problem{unit.name, 0, 0, std::move(message)};
  PlaceCounter(unit.source).To(at, problem.line, problem.column);
  problems_.push_back(std::move(problem));
  if (problems_.size() >= kProblemsMax) stopped_ = true;
}

void Parser::Run(std::string_view source) {
  program_.units.push_back({{}, std::string(source), kNone});
  program_.forloop = expressions_.Symbol("forloop");
  program_.tablerowloop = expressions_.Symbol("tablerowloop");
  program_.bound[program_.forloop] = program_.bound[program_.tablerowloop] = 1;
  ParseUnit(0);
}

Index Parser::PartialOf(std::string_view name) {
  if (const auto found = partials_.find(name); found != partials_.end()) return found->second;
  const auto given =
      std::find_if(options_.partials.begin(), options_.partials.end(), [&](const Partial& partial) { return partial.name == name; });
  if (given == options_.partials.end()) return kNone;
  const auto unit = static_cast<Index>(program_.units.size());
  program_.units.push_back({std::string(name), std::string(given->source), kNone});
  partials_.emplace(program_.units.back().name, unit);
  ParseUnit(unit);
  return unit;
}

void Parser::ParseUnit(Index unit) {
  const Index outer = std::exchange(unit_, unit);
  const bool outer_trim = std::exchange(trim_, false);
  const int outer_depth = std::exchange(depth_, 0);
  const std::string_view source = program_.units[unit].source;
  if (source.size() > kSourceBytesMax) {
    Wrong(source.data(), fmt::format("This has more than {} bytes.", kSourceBytesMax));
  } else {
    Splitter splitter(source, false);
    Body body;
    while (!stopped_) {
      const End end = ParseBody(splitter, body);
      if (!end.found) break;
      const bool closes = end.tag.name.starts_with("end") || end.tag.name == "else" || end.tag.name == "elsif" || end.tag.name == "when";
      const std::string_view name = end.tag.name.substr(0, 60);
      Wrong(end.at, closes ? fmt::format("This {} belongs to no tag that is open.", name) : fmt::format("There is no tag \"{}\".", name));
    }
    program_.units[unit].body = Keep(std::move(body));
  }
  unit_ = outer;
  trim_ = outer_trim;
  depth_ = outer_depth;
}

Index Parser::Keep(Body body) {
  program_.bodies.push_back(std::move(body));
  return static_cast<Index>(program_.bodies.size() - 1);
}

void Parser::RemoveBlank(Index body) {
  std::erase_if(program_.bodies[body].nodes, [](const Node& node) { return node.kind == Node::Kind::kText; });
}

void Parser::Add(Body& body, Node::Kind kind, const char* at, Index index, bool blank, Index symbol) {
  body.nodes.push_back({.kind = kind, .size = 0, .index = index, .symbol = symbol, .at = at});
  body.blank = body.blank && blank;
}

void Parser::Text(std::string_view text, Body& body) {
  if (std::exchange(trim_, false)) text = TrimFront(text);
  body.blank = body.blank && IsAllSpace(text);
  body.nodes.push_back(
      {.kind = Node::Kind::kText, .size = static_cast<uint32_t>(text.size()), .index = kNone, .symbol = kNone, .at = text.data()});
}

// {{- and {%- take the white space before them away, -}} and -%} that behind.
void Parser::TrimBefore(std::string_view piece, Body& body) {
  if (piece.size() > 2 && piece[2] == '-' && !body.nodes.empty() && body.nodes.back().kind == Node::Kind::kText) {
    Node& node = body.nodes.back();
    node.size = static_cast<uint32_t>(TrimBack({node.at, node.size}).size());
  }
  trim_ = piece.size() >= 3 && piece[piece.size() - 3] == '-';
}

Parser::End Parser::ParseBody(Splitter& splitter, Body& body) {
  End end;
  while (!stopped_) {
    const auto piece = splitter.Next();
    if (!piece) return end;
    if (splitter.lines()) {
      if (IsAllSpace(*piece)) continue;
      const auto tag = ReadLineTag(*piece);
      if (!tag) {
        Wrong(piece->data(), "A line of {% liquid %} begins with the name of a tag.");
      } else if (!ParseTag(*tag, tag->name.data(), splitter, body, end)) {
        return end;
      }
    } else if (!ParsePiece(*piece, splitter, body, end)) {
      return end;
    }
  }
  return end;
}

bool Parser::ParsePiece(std::string_view piece, Splitter& splitter, Body& body, End& end) {
  if (piece.starts_with("{%")) {
    TrimBefore(piece, body);
    const auto tag = ReadTag(piece);
    if (!tag) {
      Wrong(piece.data(),
            piece.ends_with("%}") && piece.size() >= 4 ? "The name of a tag is missing after {%." : "This {% has no closing %}.");
      return true;
    }
    return ParseTag(*tag, piece.data(), splitter, body, end);
  }
  if (!piece.starts_with("{{")) {
    Text(piece, body);
    return true;
  }
  TrimBefore(piece, body);
  ++tags_;
  if (!piece.ends_with("}}") || piece.size() < 4) {
    Wrong(piece.data(), "This {{ has no closing }}.");
    return true;
  }
  std::string_view markup = piece.substr(2, piece.size() - 4);
  if (markup.starts_with('-')) markup.remove_prefix(1);
  if (markup.ends_with('-')) markup.remove_suffix(1);
  const Index output = expressions_.OutputOf(markup);
  if (output == kNone) return true;
  if (program_.outputs[output].expression == kNone && options_.strict)
    Wrong(piece.data(), "These braces are empty; name something, like {{ contact.first_name }}.");
  Add(body, Node::Kind::kOutput, piece.data(), output, false);
  return true;
}

bool Parser::ParseTag(const Tag& tag, const char* at, Splitter& splitter, Body& body, End& end) {
  ++tags_;
  if (tag.name == "liquid") {
    ParseLines(tag.markup, body);
    return true;
  }
  const Handler handler = HandlerOf(tag.name);
  if (handler == nullptr) {
    end = {true, tag, at};
    return false;
  }
  (this->*handler)(tag, at, splitter, body);
  return true;
}

void Parser::ParseLines(std::string_view markup, Body& body) {
  if (depth_ >= kDepthMax) {
    Wrong(markup.data(), fmt::format("Tags are nested deeper than {}.", kDepthMax));
    stopped_ = true;
    return;
  }
  ++depth_;
  Splitter lines(markup, true);
  while (!stopped_) {
    const End end = ParseBody(lines, body);
    if (!end.found) break;
    Wrong(end.at,
          fmt::format("There is no tag \"{}\", or it belongs to no tag that is open in this {{% liquid %}}.", end.tag.name.substr(0, 60)));
  }
  --depth_;
}

bool Parser::BlockBody(std::string_view name, const char* open, Splitter& splitter, Body& body, bool& blank, End& end) {
  if (depth_ >= kDepthMax) {
    Wrong(open, fmt::format("Tags are nested deeper than {}.", kDepthMax));
    stopped_ = true;
    return false;
  }
  ++depth_;
  end = ParseBody(splitter, body);
  --depth_;
  blank = blank && body.blank;
  if (stopped_) return false;
  if (!end.found) {
    Wrong(open, fmt::format("This {} is never closed; {{% end{} %}} is missing.", name, name));
    return false;
  }
  return !(end.tag.name.starts_with("end") && end.tag.name.substr(3) == name);
}

void Parser::Bind(std::string_view name) { program_.bound[expressions_.Symbol(name)] = 1; }

}  // namespace maily::liquid
