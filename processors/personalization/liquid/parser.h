// Makes a program of a source: the structure of tags and text, white-space control, partials. Internal to this folder.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "processors/personalization/liquid/expression.h"
#include "processors/personalization/liquid/program.h"
#include "processors/personalization/liquid/scan.h"
#include "processors/personalization/liquid/template.h"

namespace maily::liquid {

// Lines and columns, from 1, the column in characters, of one place in a source after another.
class PlaceCounter {
 public:
  explicit PlaceCounter(std::string_view source) : at_(source.data()) {}
  void To(const char* place, uint32_t& line, uint32_t& column);  // not before the last one

 private:
  const char* at_;
  uint32_t line_ = 1;
  uint32_t column_ = 1;
};

class Parser {
 public:
  Parser(Program& program, const CompileOptions& options, std::vector<Problem>& problems);

  // Goes on after a problem, so that each is listed; with any, the program is good for nothing.
  void Run(std::string_view source);
  // The unit of that partial, which is parsed when it is first asked for; kNone: there is none.
  Index PartialOf(std::string_view name);
  size_t tags() const { return tags_; }

 private:
  // What ended a body: a tag that is none of its own, or the end of the source.
  struct End {
    bool found = false;
    Tag tag;
    const char* at = nullptr;
  };
  using Handler = bool (Parser::*)(const Tag&, const char* at, Splitter&, Body&);

  void ParseUnit(Index unit);
  End ParseBody(Splitter& splitter, Body& body);
  bool ParsePiece(std::string_view piece, Splitter& splitter, Body& body, End& end);
  // True if it was a tag of the language; false: `end` is set.
  bool ParseTag(const Tag& tag, const char* at, Splitter& splitter, Body& body, End& end);
  void ParseLines(std::string_view markup, Body& body);
  void Text(std::string_view text, Body& body);
  void TrimBefore(std::string_view piece, Body& body);

  // A body up to {% end<name> %}; tags in between that a block takes (else, when) are given back. False: the block is over.
  bool BlockBody(std::string_view name, const char* open, Splitter& splitter, Body& body, bool& blank, End& end);
  Index Keep(Body body);
  void RemoveBlank(Index body);
  void Add(Body& body, Node::Kind kind, const char* at, Index index, bool blank, Index symbol = kNone);

  bool ParseAssign(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseCapture(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseEcho(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseIf(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseCase(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseFor(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseTableRow(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseCycle(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseCounter(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseCall(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseIfChanged(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseInterrupt(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseRaw(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseDoc(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseComment(const Tag& tag, const char* at, Splitter& splitter, Body& body);
  bool ParseNote(const Tag& tag, const char* at, Splitter& splitter, Body& body);

  bool SkipRaw(const char* at, Splitter& splitter);
  void ParseCallOptions(std::string_view rest, Call& call);
  void Bind(std::string_view name);
  void Wrong(const char* at, std::string message);
  static Handler HandlerOf(std::string_view name);

  Program& program_;
  const CompileOptions& options_;
  std::vector<Problem>& problems_;
  ExpressionParser expressions_;
  std::unordered_map<std::string_view, Index> partials_;
  Index unit_ = 0;
  bool trim_ = false;  // the text that comes next loses the white space in front
  int depth_ = 0;
  int loops_ = 0;  // that are open
  bool stopped_ = false;
  size_t tags_ = 0;
};

}  // namespace maily::liquid
