// See bounded_process.h.
#include "app/bounded_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace maily::app {
namespace {

void Limit(__rlimit_resource what, rlim_t most) {
  const rlimit limit{most, most};
  setrlimit(what, &limit);
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void Become(char* const* arguments, char* const* environment, int in, int out, const ProcessLimits& limits) {
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  const int nothing = open("/dev/null", O_WRONLY);
  dup2(nothing, STDERR_FILENO);
  close_range(3, ~0U, 0);
  setpgid(0, 0);
  signal(SIGPIPE, SIG_DFL);
  if (!limits.network) unshare(CLONE_NEWUSER | CLONE_NEWNET);  // where the kernel refuses, it has one
  Limit(RLIMIT_CPU, limits.cpu_seconds_max);
  Limit(RLIMIT_DATA, limits.data_bytes_max);
  Limit(RLIMIT_FSIZE, limits.output_bytes_max);
  Limit(RLIMIT_CORE, 0);
  if (chdir("/") != 0) _exit(126);
  execve(arguments[0], arguments, environment);
  _exit(127);
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

// Writes `input` and reads all that comes, until the other side ends or the time is over. False: that, or too much came.
bool Exchange(Pipe& in, Pipe& out, std::string_view input, std::chrono::steady_clock::time_point until, size_t bytes_max,
              std::string& output) {
  fcntl(in.write_end(), F_SETFL, O_NONBLOCK);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd ends[2] = {{out.read_end(), POLLIN, 0}, {in.write_end(), POLLOUT, 0}};
    const int ready = poll(ends, in.write_end() < 0 ? 1 : 2, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    if (in.write_end() >= 0 && ends[1].revents != 0) {
      const ssize_t written = input.empty() ? 0 : write(in.write_end(), input.data(), input.size());
      if (written > 0) input.remove_prefix(static_cast<size_t>(written));
      if (input.empty() || (written < 0 && errno != EAGAIN && errno != EINTR)) in.Close(1);
    }
    if (ends[0].revents == 0) continue;
    char piece[16384];
    const ssize_t size = read(out.read_end(), piece, sizeof piece);
    if (size == 0) return true;
    if (size < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (size > 0) output.append(piece, static_cast<size_t>(size));
    if (output.size() > bytes_max) return false;
  }
}

// Until the child has ended or the time is over; it is not reaped.
void AwaitExit(pid_t child, std::chrono::steady_clock::time_point until) {
  const int file = static_cast<int>(syscall(SYS_pidfd_open, child, 0));  // glibc 2.36 declares it for C alone
  if (file < 0) return;
  pollfd ended{file, POLLIN, 0};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0 || poll(&ended, 1, static_cast<int>(left)) >= 0 || errno != EINTR) break;
  }
  close(file);
}

}  // namespace

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    std::string program = fmt::format("{}/{}", folder, name);
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

Result<Finished> RunBounded(const std::vector<std::string>& words, std::string_view input, const ProcessLimits& limits) {
  if (words.empty()) return Fail(Code::kInvalid, "no program is named");
  std::vector<std::string> copies = words;
  copies.front() = FindProgram(words.front());
  if (copies.front().empty()) return Fail(Code::kNotFound, "there is no program {}", words.front());
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  char* const environment[] = {nullptr};
  Pipe in, out;
  if (in.read_end() < 0 || out.read_end() < 0) return Fail(Code::kRetry, "no pipe: {}", std::strerror(errno));
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(limits.time_max.us);
  const pid_t child = fork();
  if (child < 0) return Fail(Code::kRetry, "{} cannot be started: {}", words.front(), std::strerror(errno));
  if (child == 0) Become(arguments.data(), environment, in.read_end(), out.write_end(), limits);
  in.Close(0);
  out.Close(1);
  Finished finished;
  const bool whole = Exchange(in, out, input, until, limits.output_bytes_max, finished.output);
  if (whole) AwaitExit(child, until);
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return Fail(Code::kRetry, "{} took too long, or wrote too much", words.front());
  finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return finished;
}

}  // namespace maily::app
