// See evolve.h.
#include "processors/assets/evolve.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "maily/assets/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::assets {

void Evolve(task::Fold& fold, const v1::AssetAdded& event) {
  const std::string key = state::Key(fold.tenant(), event.asset());
  if (fold.view<v1::Asset>().Find(key) == nullptr) {
    v1::AssetTotals& totals = fold.table<v1::AssetTotals>().Edit(state::Key(fold.tenant()));
    totals.set_assets(totals.assets() + 1);
    totals.set_bytes(totals.bytes() + event.size());
  }
  v1::Asset& asset = fold.table<v1::Asset>().Edit(key);
  asset.set_name(event.name());
  asset.set_content_type(event.content_type());
  asset.set_size(event.size());
  asset.set_blob(event.blob());
  asset.set_archived(false);
  fold.table<v1::AssetName>().Edit(state::Key(fold.tenant(), event.name())).set_asset(event.asset());
}

void Evolve(task::Fold& fold, const v1::AssetArchived& event) {
  fold.table<v1::Asset>().Edit(state::Key(fold.tenant(), event.asset())).set_archived(!event.restored());
}

void Evolve(task::Fold& fold, const v1::AssetDeleted& event) {
  const std::string key = state::Key(fold.tenant(), event.asset());
  const v1::Asset* found = fold.view<v1::Asset>().Find(key);
  if (found == nullptr) return;
  const v1::Asset asset = *found;
  v1::AssetTotals& totals = fold.table<v1::AssetTotals>().Edit(state::Key(fold.tenant()));
  totals.set_assets(totals.assets() - 1);
  totals.set_bytes(totals.bytes() - asset.size());
  // Older names of it stay, and lead nowhere: a template that says one is refused as one that says none.
  const std::string name = state::Key(fold.tenant(), asset.name());
  const auto* named = fold.view<v1::AssetName>().Find(name);
  if (named != nullptr && named->asset() == event.asset()) fold.table<v1::AssetName>().Erase(name);
  fold.table<v1::Asset>().Erase(key);
}

void Evolve(task::Fold& fold, const v1::AssetEnclosed& event) {
  fold.table<v1::Asset>().Edit(state::Key(fold.tenant(), event.asset())).set_enclosed(true);
}

void Evolve(task::Fold& fold, const templates::v1::TemplateSaved& event) {
  std::set<std::string_view> counted;  // an asset may be used in more than one way
  for (const templates::v1::UsedAsset& used : event.version().assets()) {
    if (!counted.insert(used.asset()).second) continue;
    v1::Asset& asset = fold.table<v1::Asset>().Edit(state::Key(fold.tenant(), used.asset()));
    asset.set_uses(asset.uses() + 1);
    asset.set_template_id(event.template_id());
    asset.set_template_version(event.version().number());
  }
}

void Evolve(task::Fold& fold, const templates::v1::TemplateDeleted& event) {
  std::vector<std::pair<std::string, uint64_t>> freed;
  const std::string prefix = state::Key(fold.tenant(), event.template_id());
  fold.view<templates::v1::TemplateAsset>().Scan(prefix, {}, [&](std::string_view key, const templates::v1::TemplateAsset& of) {
    freed.emplace_back(key.substr(prefix.size()), of.versions());
    return true;
  });
  for (const auto& [id, versions] : freed) {
    v1::Asset& asset = fold.table<v1::Asset>().Edit(state::Key(fold.tenant(), id));
    asset.set_uses(asset.uses() - std::min(asset.uses(), versions));
    if (asset.template_id() != event.template_id()) continue;
    asset.clear_template_id();
    asset.clear_template_version();
  }
}

}  // namespace maily::assets
