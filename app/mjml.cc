// See mjml.h.
#include "app/mjml.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace maily::app {
namespace {

constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr size_t kProblemsMax = 50;
constexpr size_t kMessageBytesMax = 500;
constexpr rlim_t kDataBytesMax = rlim_t{1} << 30;

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

void Limit(__rlimit_resource what, rlim_t most) {
  const rlimit limit{most, most};
  setrlimit(what, &limit);
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void Become(char* const* arguments, char* const* environment, int in, int out) {
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  const int nothing = open("/dev/null", O_WRONLY);
  dup2(nothing, STDERR_FILENO);
  close_range(3, ~0U, 0);
  setpgid(0, 0);
  unshare(CLONE_NEWUSER | CLONE_NEWNET);  // where the kernel refuses, the compiler still asks nobody
  Limit(RLIMIT_CPU, 10);
  Limit(RLIMIT_DATA, kDataBytesMax);
  Limit(RLIMIT_FSIZE, kAnswerBytesMax);
  Limit(RLIMIT_CORE, 0);
  if (chdir("/") != 0) _exit(126);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

std::string ProgramOf(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    std::string program = fmt::format("{}/{}", folder, name);
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return name;
}

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0) ends_[0] = ends_[1] = -1;
  }
  ~Pipe() {
    Close(0);
    Close(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void Close(int end) {
    if (ends_[end] >= 0) close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  int ends_[2];
};

// Writes `source` and reads all that comes, until the other side ends or the time is over. False: that, or too much came.
bool Exchange(Pipe& in, Pipe& out, std::string_view source, std::chrono::steady_clock::time_point until, std::string& answer) {
  fcntl(in.write_end(), F_SETFL, O_NONBLOCK);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd ends[2] = {{out.read_end(), POLLIN, 0}, {in.write_end(), POLLOUT, 0}};
    const int ready = poll(ends, in.write_end() < 0 ? 1 : 2, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    if (in.write_end() >= 0 && ends[1].revents != 0) {
      const ssize_t written = source.empty() ? 0 : write(in.write_end(), source.data(), source.size());
      if (written > 0) source.remove_prefix(static_cast<size_t>(written));
      if (source.empty() || (written < 0 && errno != EAGAIN && errno != EINTR)) in.Close(1);
    }
    if (ends[0].revents == 0) continue;
    char piece[16384];
    const ssize_t size = read(out.read_end(), piece, sizeof piece);
    if (size == 0) return true;
    if (size < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (size > 0) answer.append(piece, static_cast<size_t>(size));
    if (answer.size() > kAnswerBytesMax) return false;
  }
}

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
  Pipe in, out;
  if (in.read_end() < 0 || out.read_end() < 0) return Fail(Code::kRetry, "no pipe: {}", std::strerror(errno));
  std::error_code ignored;
  std::vector<std::string> words{ProgramOf(options.node),
                                 "--max-old-space-size=256",
                                 "-e",
                                 kScript,
                                 "--",
                                 std::filesystem::absolute(options.modules, ignored).string()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* const environment[] = {nullptr};
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(options.time_max.us);
  const pid_t child = fork();
  if (child < 0) return Fail(Code::kRetry, "the compiler of MJML cannot be started: {}", std::strerror(errno));
  if (child == 0) Become(arguments.data(), environment, in.read_end(), out.write_end());
  in.Close(0);
  out.Close(1);
  std::string text;
  const bool whole = Exchange(in, out, mjml, until, text);
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return Fail(Code::kRetry, "the compiler of MJML took too long, or made too much");
  const nlohmann::json made = nlohmann::json::parse(text, nullptr, false);
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
