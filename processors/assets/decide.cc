// See decide.h.
#include "processors/assets/decide.h"

#include <fmt/format.h>

#include <optional>

#include "maily/assets/v1/events.pb.h"
#include "maily/assets/v1/state.pb.h"
#include "schemas/asset_store.h"
#include "schemas/media.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::assets {
namespace {

using journal::Outcome;

constexpr size_t kDigestBytes = 32;
constexpr size_t kBlobBytesMax = 400;

// Null: the command was refused.
const v1::Asset* AssetOrRefuse(task::Context& context, const std::string& digest) {
  const auto* asset = context.view<v1::Asset>().Find(state::Key(context.tenant(), digest));
  if (asset == nullptr) context.Refuse(Outcome::kNotFound, "asset_not_found", "there is no such asset");
  return asset;
}

}  // namespace

void Decide(task::Context& context, const v1::AddAsset& command) {
  const auto refuse = [&](std::string_view code, const std::string& why) { context.Refuse(Outcome::kInvalid, code, why); };
  if (!schema::IsAssetName(command.name()))
    return refuse("invalid_asset", "a name has 1 to 100 letters, digits, dots, hyphens and underscores, with a letter or digit in front");
  const auto type = schema::MediaType::Parse(command.content_type());
  if (!type) return refuse("invalid_asset", type.error().message);
  if (command.asset().size() != kDigestBytes || command.size() == 0 || command.size() > schema::AssetStore::kBytesMax ||
      command.blob().empty() || command.blob().size() > kBlobBytesMax) {
    return refuse("invalid_asset", "its digest, size or blob is none");
  }
  context.Answer("asset", schema::AssetIdOf(command.asset()));
  const auto* named = context.view<v1::AssetName>().Find(state::Key(context.tenant(), command.name()));
  const bool name_is_its = named != nullptr && named->asset() == command.asset();
  std::optional<v1::Asset> known;  // a copy: what follows looks further
  if (const auto* found = context.view<v1::Asset>().Find(state::Key(context.tenant(), command.asset()))) known = *found;
  if (known && known->name() == command.name() && known->content_type() == command.content_type() && !known->archived() && name_is_its) {
    context.Answer("blob", known->blob());
    return context.Unchanged();
  }
  if (context.now() > Instant{command.uploaded_at_us()} + kUploadPatience)
    return refuse("upload_expired", "it was uploaded more than an hour ago; upload it again");
  if (!known) {
    const auto* found = context.view<v1::AssetTotals>().Find(state::Key(context.tenant()));
    const uint64_t count = found == nullptr ? 0 : found->assets();
    const uint64_t bytes = found == nullptr ? 0 : found->bytes();
    if (count >= kAssetsMax || bytes + command.size() > kBytesMax) {
      return refuse("too_many_assets", fmt::format("a tenant has at most {} assets with {} bytes in all; delete some that nothing uses",
                                                   kAssetsMax, kBytesMax));
    }
  }
  v1::AssetAdded added;
  added.set_asset(command.asset());
  added.set_name(command.name());
  added.set_content_type(command.content_type());
  added.set_size(command.size());
  added.set_blob(known ? known->blob() : command.blob());
  context.Emit(added);
  context.Answer("blob", added.blob());
}

void Decide(task::Context& context, const v1::ArchiveAsset& command) {
  const v1::Asset* asset = AssetOrRefuse(context, command.asset());
  if (asset == nullptr) return;
  context.Answer("asset", schema::AssetIdOf(command.asset()));
  if (asset->archived() == !command.restore()) return context.Unchanged();
  v1::AssetArchived archived;
  archived.set_asset(command.asset());
  archived.set_restored(command.restore());
  context.Emit(archived);
}

void Decide(task::Context& context, const v1::DeleteAsset& command) {
  const v1::Asset* asset = AssetOrRefuse(context, command.asset());
  if (asset == nullptr) return;
  if (asset->uses() > 0) {
    const std::string last = asset->template_id() == 0
                                 ? ""  // that one was deleted
                                 : fmt::format(", the last is version {} of template {}", asset->template_version(), asset->template_id());
    return context.Refuse(Outcome::kConflict, "asset_in_use",
                          fmt::format("{} version{} of templates use it{}; archive it instead, and no new version can", asset->uses(),
                                      asset->uses() == 1 ? "" : "s", last));
  }
  if (asset->enclosed()) {
    return context.Refuse(Outcome::kConflict, "asset_in_use",
                          "messages were posted with it; archive it instead, and no new one can have it");
  }
  v1::AssetDeleted deleted;
  deleted.set_asset(command.asset());
  deleted.set_blob(asset->blob());
  context.Answer("blob", asset->blob());
  context.Emit(deleted);
}

void Decide(task::Context& context, const v1::ReleaseBlob& command) {
  const auto* asset = context.view<v1::Asset>().Find(state::Key(context.tenant(), command.asset()));
  context.Answer("free", asset == nullptr || asset->blob() != command.blob() ? "true" : "false");
  context.Unchanged();
}

}  // namespace maily::assets
