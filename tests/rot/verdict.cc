// See verdict.h.
#include "tests/rot/verdict.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace maily::rot {
namespace {

constexpr size_t kSharedBytes = 4 << 20;
constexpr unsigned kHangSeconds = 20;

// A line of what was said or answered, in one line.
void PutLine(std::string& out, char tag, std::string line) {
  for (char& c : line) c = c == '\n' ? ' ' : c;
  out += tag + line + '\n';
}

std::string Tail(const std::string& path, size_t components) {
  std::string tail;
  std::filesystem::path rest(path);
  for (; components > 0 && rest.has_filename(); --components, rest = rest.parent_path())
    tail = tail.empty() ? rest.filename().string() : rest.filename().string() + "/" + tail;
  return tail;
}

// What names it less exactly.
std::vector<std::string> PlacesOf(const File& file) {
  std::vector<std::string> places = {std::filesystem::path(file.path).parent_path()};  // data/log
  if (file.area == Area::kLog || file.area == Area::kState || file.area == Area::kCareful) {
    places.insert(places.end(), {"partition 0", "\"partition\":0"});
  }
  if (file.area == Area::kLog) places.emplace_back("journal 0: ");
  if (file.area == Area::kInstance) places.emplace_back("held: ");  // says which data, and why
  if (file.kind == "keys root.key") places.emplace_back("root key");
  if (file.area == Area::kSnapshots) places.emplace_back("\"snapshot\":");
  return places;
}

std::string Difference(const std::vector<std::string>& sound, const std::vector<std::string>& now) {
  for (size_t i = 0; i < std::max(sound.size(), now.size()); ++i) {
    const std::string was = i < sound.size() ? sound[i] : "nothing", is = i < now.size() ? now[i] : "nothing";
    if (was != is) return fmt::format("was \"{}\", is \"{}\"", was, is);
  }
  return {};
}

}  // namespace

Bench::Bench(const std::string& root, const Known& known)
    : root_(root),
      known_(known),
      shared_(static_cast<char*>(mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
  MAILY_CHECK(shared_ != MAP_FAILED, "mmap");
  std::filesystem::create_directories(root_);
}
Bench::~Bench() { munmap(shared_, kSharedBytes); }

Bench::Child Bench::Read(Area area) {
  const std::string words = root_ + "/stderr";
  std::memset(shared_, 0, sizeof(uint64_t));
  const pid_t pid = fork();
  MAILY_CHECK(pid >= 0, "fork");
  if (pid == 0) {
    alarm(kHangSeconds);
    const int to = open(words.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(to, STDERR_FILENO);
    setenv("XDG_STATE_HOME", (root_ + "/identity").c_str(), 1);
    const Answers answers = ReadData(root_ + "/data", known_, PartsOf(area));
    std::string text;
    for (const std::string& line : answers.said) PutLine(text, 'S', line);
    for (const std::string& line : answers.answered) PutLine(text, 'A', line);
    text.resize(std::min(text.size(), kSharedBytes - sizeof(uint64_t)));
    std::memcpy(shared_ + sizeof(uint64_t), text.data(), text.size());
    const uint64_t size = text.size() + 1;
    std::memcpy(shared_, &size, sizeof(size));
    _exit(0);
  }
  int status = 0;
  MAILY_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
  Child child;
  uint64_t size = 0;
  std::memcpy(&size, shared_, sizeof(size));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && size > 0) {
    child.answers.emplace();
    const std::string_view text(shared_ + sizeof(size), size - 1);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      (text[begin] == 'S' ? child.answers->said : child.answers->answered).emplace_back(text.substr(begin + 1, end - begin - 1));
      begin = end + 1;
    }
    return child;
  }
  child.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  std::ifstream in(words);
  child.last_words.assign(std::istreambuf_iterator<char>(in), {});
  return child;
}

const Answers& Bench::Sound(const Image& image, Area area) {
  const auto [found, made] = sound_.try_emplace({image.name(), area});
  if (!made) return found->second;
  image.LayOut(root_, area, nullptr);
  Child child = Read(area);
  MAILY_CHECK(child.answers && child.answers->said.empty(), "the undamaged image {}, area {}, does not read: signal {}, {}", image.name(),
              static_cast<int>(area), child.signal, child.answers ? child.answers->said.front() : child.last_words);
  found->second = *std::move(child.answers);
  return found->second;
}

Outcome Bench::Try(const Image& image, const Flip& flip) {
  const File& file = image.files()[flip.file];
  const Answers& sound = Sound(image, file.area);
  image.LayOut(root_, file.area, &flip);
  const Child child = Read(file.area);
  std::string said = child.last_words;
  if (child.answers) {
    for (const std::string& line : child.answers->said) said += (said.empty() ? "" : "; ") + line;
  }
  const auto says = [&](const std::string& what) { return said.find(what) != std::string::npos; };
  const bool names_file = says(Tail(file.path, 2));
  if (!child.answers) {
    if (child.signal == SIGALRM) return {Verdict::kHang, said};
    return {names_file ? Verdict::kNamesFile : Verdict::kCrash, fmt::format("signal {}: {}", child.signal, said)};
  }
  if (names_file) return {Verdict::kNamesFile, said};
  if (!said.empty()) return {std::ranges::any_of(PlacesOf(file), says) ? Verdict::kNamesPlace : Verdict::kNamesNothing, said};
  if (std::string difference = Difference(sound.answered, child.answers->answered); !difference.empty())
    return {Verdict::kSilent, difference};
  return {};
}

}  // namespace maily::rot
