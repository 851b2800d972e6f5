// Blobs as files of a folder, which may be one that several machines share.
//
// A blob is written beside, in <folder>/.tmp, synced, renamed to its name, and the folders on its way are synced. What a killed process has
// left in .tmp is removed an hour later, when the folder is next opened. Modes are 0600 and 0700.
#pragma once

#include <memory>
#include <string>

#include "streams/port/blobs.h"

namespace maily::disk {

// Thread: any; several processes may use one folder.
class FolderBlobs : public Blobs {
 public:
  // The folder is made if it is absent, not what it stands in: a file system that is not mounted is an error. kRetry: it cannot be used.
  static Result<std::unique_ptr<FolderBlobs>> Open(const std::string& folder);

  Result<void> Put(const std::string& name, std::string_view bytes) override;
  Result<std::string> Get(const std::string& name, uint64_t offset, size_t bytes_max) override;
  Result<std::vector<BlobEntry>> List(const std::string& prefix, const std::string& after, size_t count_max) override;
  Result<void> Delete(const std::string& name) override;
  std::string place() const override { return "file://" + folder_; }

 private:
  explicit FolderBlobs(std::string folder) : folder_(std::move(folder)) {}
  const std::string folder_;  // absolute
};

}  // namespace maily::disk
