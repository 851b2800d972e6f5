// See instance.h.
#include "app/instance.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace maily::app {
namespace {

namespace fs = std::filesystem;

fs::path IdentityDirectory() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') return fs::path(state) / "maily";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "/var/lib" : home) / ".local/state/maily";
}

fs::path IdentityPath(const LogId& log_id) { return IdentityDirectory() / (log_id.ToHex() + ".json"); }

Result<void> WriteWhole(const fs::path& path, const std::string& text) {
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);
  const std::string beside = fmt::format("{}.new-{}", path.string(), ::getpid());  // processes of one log share a record
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Fail(Code::kRetry, "{}: {}", beside, std::strerror(errno));
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  if (!written) return Fail(Code::kRetry, "{}: {}", beside, std::strerror(error));
  if (::rename(beside.c_str(), path.c_str()) != 0) return Fail(Code::kRetry, "{}: {}", path.string(), std::strerror(errno));
  return Ok();
}

std::string ReadWhole(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<void> WriteIdentity(const LogId& log_id, const std::string& data, uint64_t epoch) {
  return WriteWhole(IdentityPath(log_id), nlohmann::json({{"log_id", log_id.ToHex()}, {"path", data}, {"epoch", epoch}}).dump() + "\n");
}

}  // namespace

const char* ModeName(Mode mode) {
  switch (mode) {
    case Mode::kSandbox:
      return "sandbox";
    case Mode::kLive:
      return "live";
    case Mode::kHeld:
      return "held";
  }
  return "held";
}

Result<std::unique_ptr<Instance>> Instance::Open(const std::string& data) {
  std::error_code error;
  fs::create_directories(data, error);
  if (error) return Fail(Code::kFatal, "data directory {}: {}", data, error.message());
  const std::string absolute = fs::canonical(data, error).string();
  const std::string path = absolute + "/LOCK";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return Fail(Code::kFatal, "{}: {}", path, std::strerror(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    std::string holder = ReadWhole(path);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    ::close(lock);
    return Fail(Code::kConflict, "data directory {} is in use by another maily serve ({}); stop it first, or give --data another directory",
                absolute, holder.empty() ? "pid unknown" : holder);
  }
  const std::string pid = fmt::format("pid {}\n", ::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, pid.data(), pid.size(), 0) < 0) {
    // Only the name in the message of a second process is lost.
  }
  return std::unique_ptr<Instance>(new Instance(absolute, lock));
}

Instance::~Instance() { ::close(lock_); }

Result<Mode> Instance::DecideMode(const Place& place, uint64_t epoch) {
  place_ = place;
  const LogId& log_id = place.log_id;
  const std::string mode = ReadWhole(data_ + "/MODE");
  if (!mode.empty() && mode != "live\n" && mode != "sandbox\n") {
    return Fail(Code::kCorrupt, "{}/MODE says neither live nor sandbox; set it anew: maily arm", data_);
  }
  const std::string identity = ReadWhole(IdentityPath(log_id));
  if (identity.empty()) {
    // Nobody here knows this log. An embedded one that was led before and comes without its record is a copy.
    if (epoch > 0 && !place.shared) {
      held_reason_ = "this data was led before, but not by this machine and user: it looks like a copy or a restored backup";
      return Mode::kHeld;
    }
    MAILY_TRY_VOID(WriteIdentity(log_id, place.name, epoch));
    return Mode::kSandbox;
  }
  const nlohmann::json record = nlohmann::json::parse(identity, nullptr, false);
  if (record.is_discarded() || !record.is_object()) return Fail(Code::kCorrupt, "{} is not readable JSON", IdentityPath(log_id).string());
  if (record.value("path", "") != place.name) {
    held_reason_ = fmt::format("this log belongs to {}: here it is a copy", record.value("path", ""));
    return Mode::kHeld;
  }
  if (record.value("epoch", uint64_t{0}) > epoch) {
    held_reason_ = fmt::format("this data is older (epoch {}) than what ran here before (epoch {}): a restored backup", epoch,
                               record.value("epoch", uint64_t{0}));
    return Mode::kHeld;
  }
  return mode.starts_with("live") ? Mode::kLive : Mode::kSandbox;
}

uint64_t Instance::RecordedEpoch() const {
  const nlohmann::json identity = nlohmann::json::parse(ReadWhole(data_ + "/IDENTITY"), nullptr, false);
  return identity.is_object() ? identity.value("epoch", uint64_t{0}) : 0;
}

Result<void> Instance::RecordEpoch(uint64_t epoch) {
  // The copy beside the data tells `arm` which log this is and where; the one outside is what counts.
  nlohmann::json beside{{"log_id", place_.log_id.ToHex()}, {"epoch", epoch}};
  if (place_.shared) beside["place"] = place_.name;
  MAILY_TRY_VOID(WriteWhole(data_ + "/IDENTITY", beside.dump() + "\n"));
  if (!held_reason_.empty()) return Ok();
  // Another process on this machine may have claimed higher.
  const nlohmann::json there = nlohmann::json::parse(ReadWhole(IdentityPath(place_.log_id)), nullptr, false);
  if (there.is_object() && there.value("path", "") == place_.name) epoch = std::max(epoch, there.value("epoch", uint64_t{0}));
  return WriteIdentity(place_.log_id, place_.name, epoch);
}

Result<std::string> Arm(const std::string& data, bool live) {
  std::error_code error;
  const fs::path absolute = fs::canonical(data, error);
  if (error) return Fail(Code::kNotFound, "data directory {}: {}", data, error.message());
  const nlohmann::json identity = nlohmann::json::parse(ReadWhole(absolute / "IDENTITY"), nullptr, false);
  if (identity.is_discarded() || !identity.is_object()) return Fail(Code::kNotFound, "{} holds no Maily data that was started once", data);
  const LogId log_id = LogId::FromHex(identity.value("log_id", ""));
  MAILY_TRY_VOID(WriteIdentity(log_id, identity.value("place", absolute.string()), identity.value("epoch", uint64_t{0})));
  MAILY_TRY_VOID(WriteWhole(absolute / "MODE", live ? "live\n" : "sandbox\n"));
  return IdentityPath(log_id).string();
}

}  // namespace maily::app
