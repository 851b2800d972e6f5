// Blobs as files of a folder, which may be one that several machines share.
//
// A blob is written beside, in <folder>/.tmp, synced, renamed to its name, and the folders on its way are synced. What a killed process has
// left in .tmp is removed an hour later, when the next one begins. Modes are 0600 and 0700.
#pragma once

#include <mutex>
#include <string>

#include "streams/port/blobs.h"

namespace maily::disk {

// Thread: any; several processes may use one folder.
class FolderBlobs : public Blobs {
 public:
  // The folder is made when it is first used, if it is absent, but not what it stands in: a file system that is not mounted is kRetry.
  explicit FolderBlobs(const std::string& folder);

  Result<void> Put(const std::string& name, std::string_view bytes) override;
  Result<std::string> Get(const std::string& name, uint64_t offset, size_t bytes_max) override;
  Result<std::vector<BlobEntry>> List(const std::string& prefix, const std::string& after, size_t count_max) override;
  Result<void> Delete(const std::string& name) override;
  std::string place() const override { return "file://" + folder_; }

 private:
  // Makes the folder and sweeps it, once.
  Result<void> Prepare();

  const std::string folder_;  // absolute
  std::mutex mutex_;
  bool prepared_ = false;
};

}  // namespace maily::disk
