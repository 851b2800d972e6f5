// Removes blobs that nobody names: of assets whose upload was refused, or whose process ended before it was decided, or that were deleted
// and could not be removed at once; and of files that messages brought along, once these are settled.
//
// Every upload is a blob of its own, so a blob that is free once is free for ever, an hour after its upload (processors/assets/decide.h,
// processors/messages/decide.h):
//   1 blobs older than kSweepAge, or kAttachmentAge, are listed  2 assets that the read model names are passed over, whatever its age says:
//   passing over is safe  3 of the others the tenant's home is asked, ReleaseBlob, or the partition of the message, ReleaseAttachments
//   4 what it calls free is removed
// So nothing is removed on the word of a read model that is behind, or being rebuilt.
#pragma once

#include <memory>

#include "api/api.h"

namespace maily::api {

inline constexpr Duration kSweepAge = Hours(24);
inline constexpr Duration kSweepEvery = Hours(6);
inline constexpr size_t kSweepMax = 1000;  // assets that a round asks for
// So long a mail with its files can be made again.
inline constexpr Duration kAttachmentAge = Days(7);
inline constexpr size_t kAttachmentsSweptMax = 100'000;  // that a round asks for

class AssetSweep {
 public:
  struct Options {
    std::function<bool()> mine = {};  // whether this process sweeps: one of all does; on the blocking executor
    Duration first = Seconds(600);
    Duration every = kSweepEvery;
    Duration age = kSweepAge;
    Duration attachment_age = kAttachmentAge;
  };
  struct Round {
    size_t seen = 0;
    size_t removed = 0;
    bool complete = true;  // nothing failed, and all blobs were looked at
  };
  // `parts` outlives it; its executors are stopped before it goes.
  AssetSweep(const Dependencies& parts, Options options);
  ~AssetSweep();
  static void NameMetrics();
  // One round now; `done` on the blocking executor. For tests, and for the timer.
  void Sweep(std::move_only_function<void(const Round&)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::api
