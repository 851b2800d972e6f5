// Decides what is asked of assets, in the tenant's home. Their bytes stand in blobs (schemas/asset_store.h) and no decision looks at them.
#pragma once

#include "maily/assets/v1/commands.pb.h"
#include "streams/task/processor.h"

namespace maily::assets {

inline constexpr uint64_t kAssetsMax = 10'000;                 // of one tenant
inline constexpr uint64_t kBytesMax = uint64_t{10} << 30;      // of all of them
inline constexpr Duration kUploadPatience = Seconds(60 * 60);  // from the blob to the decision

// Answers asset (64 hexadecimal digits) and blob, the one that is named now: that of the command, or an earlier one of the same bytes.
// Refuses "invalid_asset", "too_many_assets" (with the bytes of all), "upload_expired".
void Decide(task::Context& context, const v1::AddAsset& command);
// "asset_not_found".
void Decide(task::Context& context, const v1::ArchiveAsset& command);
// Answers blob, which nobody names any more. "asset_not_found"; "asset_in_use" if a template's version was ever saved with it: versions are
// for ever, and mails with its address have been sent.
void Decide(task::Context& context, const v1::DeleteAsset& command);

// Answers free: "true" if no asset names the blob. Asked kUploadPatience after the upload or later, that is for good: no AddAsset names it
// any more.
void Decide(task::Context& context, const v1::ReleaseBlob& command);

}  // namespace maily::assets
