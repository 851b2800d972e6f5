// See row.h.
#include "processors/assets/row.h"

#include "maily/assets/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "processors/assets/decide.h"
#include "processors/assets/evolve.h"
#include "schemas/types.h"

namespace maily::assets {

task::Noun Row() {
  return task::Noun("assets", kEvolveVersion)
      .Owns<v1::Asset, v1::AssetName, v1::AssetTotals>()
      .Reads<templates::v1::TemplateAsset>()
      .Decides<v1::AddAsset>(Decide)
      .Decides<v1::ArchiveAsset>(Decide)
      .Decides<v1::DeleteAsset>(Decide)
      .Decides<v1::ReleaseBlob>(Decide)
      .Evolves<v1::AssetAdded>(Evolve)
      .Evolves<v1::AssetArchived>(Evolve)
      .Evolves<v1::AssetDeleted>(Evolve)
      .Evolves<v1::AssetEnclosed>(Evolve)
      .Evolves<templates::v1::TemplateSaved>(Evolve)
      .Evolves<templates::v1::TemplateDeleted>(Evolve);
}

}  // namespace maily::assets
