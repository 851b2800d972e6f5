// Maily's own Liquid: a template is compiled once and rendered for one contact after another. Tags and filters behave as in Shopify's
// Liquid read strictly; docs/liquid.md has the language, what is added to it, and where it differs.
//
// Compiling finds every mistake with its line and column. Rendering allocates nothing once its buffers have grown, and ends in any case:
// steps, bytes and depth are limited, and what goes beyond is a failure with its place, never text in the output.
//
// Pure: no clock (the time is an argument), no files (partials are given). A Template is immutable, thread: any. A Renderer: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/personalization/liquid/value.h"

namespace maily::liquid {

inline constexpr size_t kSourceBytesMax = 1'000'000;  // of a template or partial
inline constexpr int kDepthMax = 100;                 // of tags in tags, and of partials in partials
inline constexpr size_t kProblemsMax = 100;           // further ones of a template are not listed

// Something that is wrong with a template: found when it is compiled, or when it is rendered for somebody.
struct Problem {
  std::string partial;  // where it stands; empty = in the template itself
  uint32_t line = 0;    // from 1
  uint32_t column = 0;  // from 1, in characters
  std::string message;  // a sentence

  std::string ToString() const;  // "3:14: …", "footer 3:14: …"
};

struct Partial {
  std::string_view name;
  std::string_view source;
};

// Bytes of a source that something else stands for in each rendering, where they are text that is written: a link that is tracked.
struct Splice {
  uint32_t offset = 0;            // ascending within a source, and they do not overlap
  uint32_t size = 0;              // 0: an insertion
  bool once = false;              // only in the template itself and outside of blocks, so that it is written exactly once
  std::string_view partial = {};  // whose source it is; empty = the template's
};

// A place that takes a partial in.
struct PartialCall {
  std::string name;  // empty: computed
  uint32_t line = 0;
  uint32_t column = 0;
};

struct CompileOptions {
  // Unknown filters and empty braces are problems. Otherwise, as in Shopify's, such a filter changes nothing.
  bool strict = true;
  std::span<const Partial> partials = {};
  std::span<const Splice> splices = {};
  std::vector<PartialCall>* calls = nullptr;  // not null: what is taken in is listed here and looked up nowhere
};

// How what {{ }} writes is made fit for its place. Text of the template itself is never changed.
enum class Form : uint8_t {
  kPlain,   // as it is
  kHtml,    // & < > " ' escaped, NUL left out; a value that would begin an address with a script ("javascript:") is "#"
  kText,    // NUL left out
  kHeader,  // a run of control characters is one space, so that no value begins a line
};

// A name that a template looks up, with the steps behind it: contact.address[0] is {"contact", {"address"}, dynamic}.
struct Reference {
  std::string_view root;               // empty: computed
  std::vector<std::string_view> path;  // up to the first step that is computed
  bool dynamic = false;                // there are steps that are computed
  bool always = false;                 // it is what a {{ }} outside of all blocks writes, without filters; in a partial, too, that is
                                       // taken in there by its name
  std::string partial;
  uint32_t line = 0;
  uint32_t column = 0;
};

struct Program;

class Template {
 public:
  // nullopt: `problems` has at least one. Copies the source.
  static std::optional<Template> Compile(std::string_view source, const CompileOptions& options, std::vector<Problem>& problems);

  // Every name that is looked up or set, in order of first appearance. Values are given by their place in here.
  std::span<const std::string_view> names() const;
  // True if the template itself sets that name somewhere (assign, capture, for, …).
  bool sets(size_t name) const;
  // What is looked up, in the order of the source.
  std::vector<Reference> References() const;
  // Whether the splice stands somewhere; one inside of a tag or comment does not.
  bool placed(size_t splice) const { return placed_[splice]; }
  size_t tags() const { return tags_; }  // {{ }} and {% %} of the template and the partials it can take in

 private:
  friend class Renderer;
  std::shared_ptr<const Program> program_;
  std::vector<bool> placed_;
  size_t tags_ = 0;
};

// Limits of one rendering. A step is a node that is written, a condition, half a filter, an item of a loop or of an array that a filter
// walks, 64 bytes that are copied: at most a quarter of a microsecond, so that 200,000 stay below 50 ms (docs/liquid.md has the figures).
struct Limits {
  uint64_t steps = 200'000;
  size_t output_bytes = 1'000'000;
  size_t memory_bytes = 8'000'000;  // of values that the template makes
};

// A name that was written and is nil, false or empty: "contact.first_name". `fallback`: something was written in its place (default), and
// otherwise nothing.
using BlankSeen = std::function<void(std::string_view name, bool fallback)>;

class Renderer {
 public:
  Renderer();
  ~Renderer();
  Renderer(Renderer&&) noexcept;
  Renderer& operator=(Renderer&&) noexcept;

  struct Input {
    std::span<const Value> values = {};   // by Template::names(); nil, or fewer of them: there is no such thing
    std::span<const Member> others = {};  // what a computed name may be besides
    std::span<const Value> splices = {};  // by the splices of the compile, written in `form`; fewer: left out
    int64_t now_us = 0;                   // since 1970
    Form form = Form::kPlain;
    Limits limits = {};
    const BlankSeen* blank = nullptr;  // called for each, also of what is assigned with a fallback; null: nobody asks
  };
  // Appends to `out`. A problem: it failed; `out` then ends somewhere and is good for nothing.
  std::optional<Problem> Render(const Template& compiled, const Input& input, std::string& out);
  // The same with a hash of all data.
  std::optional<Problem> Render(const Template& compiled, std::span<const Member> data, int64_t now_us, Form form, std::string& out);

 private:
  class Run;
  std::unique_ptr<Run> run_;
  std::vector<Value> values_;
};

}  // namespace maily::liquid
