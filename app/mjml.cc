// See mjml.h.
#include "app/mjml.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/bounded_process.h"

namespace maily::app {
namespace {

constexpr size_t kProblemsMax = 50;
constexpr size_t kMessageBytesMax = 500;

// Reads the source from its input and writes one JSON object. In version 5 of mjml the answer is a promise.
constexpr const char* kScript = R"js(
const path = require('path');
const modules = process.argv[process.argv.length - 1];
let source = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (piece) => { source += piece; });
process.stdin.on('end', async () => {
  const answer = { html: '', problems: [], version: '' };
  try {
    const folder = path.join(modules, 'mjml');
    answer.version = require(path.join(folder, 'package.json')).version;
    const loaded = require(folder);
    const compile = loaded.default || loaded;
    const made = await compile(source, { validationLevel: 'soft', ignoreIncludes: true, keepComments: true, minify: false, beautify: false,
                                         useMjmlConfigOptions: false });
    answer.html = made.html;
    answer.problems = (made.errors || []).map((e) => ({ line: e.line || 0, message: String(e.message) }));
  } catch (error) {
    const found = /[Ll]ine:? *(\d+)/.exec(String(error.message));
    answer.problems = [{ line: found ? Number(found[1]) : 0, message: String(error.message) }];
  }
  process.stdout.write(JSON.stringify(answer));
});
)js";

// Where an include is asked for.
void AddIncludes(std::string_view mjml, api::MjmlAnswer& answer) {
  static constexpr std::string_view kTag = "<mj-include";
  for (size_t at = mjml.find(kTag); at != std::string_view::npos; at = mjml.find(kTag, at + 1)) {
    const auto line = std::ranges::count(mjml.substr(0, at), '\n') + 1;
    answer.problems.push_back({"mjml_include", fmt::format("mjml:{}", line),
                               "mj-include reads files, and there are none; take a partial in: <mj-raw>{% render 'name' %}</mj-raw>"});
  }
}

}  // namespace

Result<api::MjmlAnswer> CompileMjml(const MjmlOptions& options, std::string_view mjml) {
  api::MjmlAnswer answer;
  AddIncludes(mjml, answer);
  if (!answer.problems.empty()) return answer;
  std::error_code ignored;
  const std::vector<std::string> words{
      options.node, "--max-old-space-size=256", "-e", kScript, "--", std::filesystem::absolute(options.modules, ignored).string()};
  MAILY_TRY(const Finished finished, RunBounded(words, mjml, {.time_max = options.time_max}));
  const nlohmann::json made = nlohmann::json::parse(finished.output, nullptr, false);
  if (!made.is_object()) {
    return Fail(Code::kRetry, "the compiler of MJML gave no answer; look at mjml_node ({}) and mjml_modules ({})", options.node,
                options.modules);
  }
  answer.html = made.value("html", std::string());
  answer.compiler = "mjml " + made.value("version", std::string());
  for (const nlohmann::json& problem : made.value("problems", nlohmann::json::array())) {
    if (answer.problems.size() >= kProblemsMax) break;
    const int line = problem.value("line", 0);
    answer.problems.push_back({"mjml_invalid", line > 0 ? fmt::format("mjml:{}", line) : std::string("mjml"),
                               problem.value("message", std::string()).substr(0, kMessageBytesMax)});
  }
  return answer;
}

}  // namespace maily::app
