// See image.h.
#include "tests/rot/image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace maily::rot {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIdentityRecord = "identity record";

// Of a file in a directory of RocksDB.
std::string RocksKind(const std::string& name) {
  if (name.ends_with(".sst")) return "table";
  if (name.ends_with(".log")) return "WAL";
  return name.substr(0, name.find_first_of("-."));
}

void Describe(File& file) {
  const fs::path path(file.path);
  const std::string name = path.filename();
  const std::string top = std::next(path.begin(), 1)->string();
  const auto is = [&](Area area, std::string kind) {
    file.area = area;
    file.kind = std::move(kind);
  };
  if (file.path.starts_with("identity/")) return is(Area::kInstance, kIdentityRecord);
  if (top == "log") return is(Area::kLog, "log " + RocksKind(name));
  if (top == "state") return is(Area::kState, "state " + RocksKind(name));
  if (top == "keys") return is(Area::kKeys, "keys " + (file.path.starts_with("data/keys/keyring/") ? RocksKind(name) : name));
  if (top == "views") {
    return is(Area::kViews, std::string("views ") + (name.ends_with(".live")  ? "pointer"
                                                     : name.ends_with("-wal") ? "WAL"
                                                     : name.ends_with("-shm") ? "shared memory"
                                                                              : "database"));
  }
  if (top == "slots") return is(name == "careful" ? Area::kCareful : Area::kAttempts, "slots " + name);
  if (top == "snapshots")
    return is(Area::kSnapshots, file.path.find("/manifests/") == std::string::npos ? "snapshot part" : "snapshot manifest");
  is(Area::kInstance, name);
}

// Of which areas files lie there when one of this area is read.
std::vector<Area> Beside(Area area) {
  switch (area) {
    case Area::kInstance:
      return {Area::kInstance, Area::kLog};
    case Area::kLog:
      return {Area::kLog, Area::kKeys, Area::kViews, Area::kState, Area::kCareful};
    case Area::kState:
    case Area::kCareful:
      return {Area::kLog, Area::kKeys, Area::kState, Area::kCareful};
    case Area::kKeys:
      return {Area::kKeys};
    case Area::kViews:
      return {Area::kViews, Area::kLog, Area::kKeys};
    case Area::kAttempts:
      return {Area::kAttempts};
    case Area::kSnapshots:
      return {Area::kSnapshots, Area::kLog, Area::kKeys, Area::kCareful};
  }
  return {};
}

void Write(const std::string& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  MAILY_CHECK(file >= 0 && ::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "{}", path);
  ::close(file);
}

}  // namespace

Image::Image(std::string name, const std::string& root, std::string made) : name_(std::move(name)), made_(std::move(made)) {
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    File file;
    file.path = fs::relative(entry.path(), root);
    std::ifstream in(entry.path(), std::ios::binary);
    file.bytes.assign(std::istreambuf_iterator<char>(in), {});
    Describe(file);
    files_.push_back(std::move(file));
  }
  std::ranges::sort(files_, {}, &File::path);
}

void Image::LayOut(const std::string& root, Area area, const Flip* flip) const {
  for (const char* below : {"/data", "/identity"}) fs::remove_all(root + below);
  const std::vector<Area> areas = Beside(area);
  std::string made;
  for (size_t i = 0; i < files_.size(); ++i) {
    const File& file = files_[i];
    if (std::ranges::find(areas, file.area) == areas.end()) continue;
    const std::string path = root + "/" + file.path;
    if (std::string folder = fs::path(path).parent_path(); folder != made) {
      fs::create_directories(folder);
      made = std::move(folder);
    }
    const bool flipped = flip != nullptr && flip->file == i;
    if (!flipped && file.kind != kIdentityRecord) {
      Write(path, file.bytes);
      continue;
    }
    std::string bytes = file.bytes;
    if (const size_t at = bytes.find(made_); file.kind == kIdentityRecord && at != std::string::npos) bytes.replace(at, made_.size(), root);
    if (flipped) {
      char& byte = bytes[flip->byte % bytes.size()];
      byte = static_cast<char>(byte ^ (1 << flip->bit));
    }
    Write(path, bytes);
  }
}

Parts PartsOf(Area area) {
  switch (area) {
    case Area::kInstance:
      return {.instance = true};
    case Area::kLog:
      return {.log = true, .models = true, .state = true};
    case Area::kState:
    case Area::kCareful:
      return {.state = true};
    case Area::kKeys:
      return {.keys = true};
    case Area::kViews:
      return {.models = true};
    case Area::kAttempts:
      return {.attempts = true};
    case Area::kSnapshots:
      return {.snapshots = true};
  }
  return {};
}

}  // namespace maily::rot
