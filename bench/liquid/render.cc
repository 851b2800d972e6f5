// Measures the engine of templates: renderings a second of one core, or the share of cases that pass. A JSON object on stdout.
//
//   liquid_render --mail mail.json --seconds 2 --out first.txt    {"template": …, "contacts": [{…}, …]}; the mail as HTML, escaped
//   liquid_render --cases golden.json
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/liquid/cases.h"

namespace {

using namespace maily::liquid;

constexpr size_t kCompared = 50;  // mails that are written out, for others to compare theirs with

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int Cases(const std::string& path) {
  const auto cases = ReadCases(path);
  if (!cases) {
    std::fprintf(stderr, "%s\n", cases.error().ToString().c_str());
    return 2;
  }
  nlohmann::json failed = nlohmann::json::array();
  for (const GoldenCase& test : *cases) {
    if (const std::string wrong = Check(test); !wrong.empty()) failed.push_back({{"name", test.name}, {"why", wrong}});
  }
  const auto count = static_cast<double>(cases->size());
  const nlohmann::json report = {
      {"cases", count == 0 ? 0 : 1 - static_cast<double>(failed.size()) / count}, {"cases_count", cases->size()}, {"cases_failed", failed}};
  std::printf("%s\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return 0;
}

int Mail(const std::string& path, double seconds, const std::string& out_path) {
  std::ifstream file(path);
  const auto json = nlohmann::ordered_json::parse(file);
  std::vector<Problem> problems;
  const auto compiled = Template::Compile(json.at("template").get<std::string>(), {}, problems);
  if (!compiled) {
    std::fprintf(stderr, "%s\n", problems.front().ToString().c_str());
    return 2;
  }
  std::vector<std::unique_ptr<Data>> contacts;
  std::vector<std::vector<Value>> values;
  for (const auto& contact : json.at("contacts")) {
    contacts.push_back(std::make_unique<Data>(contact));
    std::vector<Value>& row = values.emplace_back();
    for (const std::string_view name : compiled->names()) {
      const Value* const value = Find(contacts.back()->members(), name);
      row.push_back(value == nullptr ? Value() : *value);
    }
  }
  Renderer renderer;
  std::string out;
  const auto render = [&](size_t i) {
    out.clear();
    return !renderer.Render(*compiled, {.values = values[i], .others = {}, .splices = {}, .now_us = 0, .form = Form::kHtml, .limits = {}},
                            out);
  };
  std::ofstream first(out_path, std::ios::binary);
  for (size_t i = 0; i < std::min(kCompared, values.size()); ++i) {
    if (!render(i)) return 2;
    first << out;
  }
  uint64_t renders = 0;
  uint64_t bytes = 0;
  const double begun = CpuSeconds();
  double spent = 0;
  while (spent < seconds) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!render(i)) return 2;
      bytes += out.size();
    }
    renders += values.size();
    spent = CpuSeconds() - begun;
  }
  const nlohmann::json report = {{"renders_per_second", static_cast<double>(renders) / spent}, {"bytes", bytes / renders}};
  std::printf("%s\n", report.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Renderings a second, or the share of cases that pass");
  std::string mail;
  std::string cases;
  std::string out = "/dev/null";
  double seconds = 2;
  app.add_option("--mail", mail, "template and contacts");
  app.add_option("--cases", cases, "golden cases");
  app.add_option("--seconds", seconds, "of one core");
  app.add_option("--out", out, "where the first mails are written to");
  CLI11_PARSE(app, argc, argv);
  return cases.empty() ? Mail(mail, seconds, out) : Cases(cases);
}
