// See open_blobs.h.
#include "app/open_blobs.h"

#include "streams/adapters/disk/folder_blobs.h"

namespace maily::app {
namespace {

constexpr std::string_view kFile = "file://";

}  // namespace

Result<void> CheckBlobs(std::string_view name, const std::string& setting) {
  if (setting.starts_with("s3://"))
    return Fail(Code::kInvalid, "{}: s3:// is not implemented; name a folder that the processes share", name);
  if (setting.starts_with(kFile) && !setting.substr(kFile.size()).starts_with('/')) {
    return Fail(Code::kInvalid, "{}: file:// is followed by an absolute path, not '{}'", name, setting.substr(kFile.size()));
  }
  if (!setting.starts_with(kFile) && setting.find("://") != std::string::npos) {
    return Fail(Code::kInvalid, "{} must be a folder or file:///folder, not '{}'", name, setting);
  }
  return Ok();
}

std::unique_ptr<Blobs> OpenBlobs(const std::string& setting) {
  if (setting.empty()) return nullptr;
  return std::make_unique<disk::FolderBlobs>(setting.starts_with(kFile) ? setting.substr(kFile.size()) : setting);
}

}  // namespace maily::app
