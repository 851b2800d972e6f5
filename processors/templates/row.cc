// See row.h.
#include "processors/templates/row.h"

#include "maily/assets/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/templates/decide.h"
#include "processors/templates/evolve.h"
#include "schemas/types.h"

namespace maily::templates {

task::Noun Row() {
  return task::Noun("templates", kEvolveVersion)
      .Owns<v1::Template, v1::TemplateName, v1::TemplateCounter, v1::Partial, v1::PartialCounter>()
      .Reads<tenants::v1::Tenant, assets::v1::Asset, assets::v1::AssetName>()
      .Decides<v1::SaveTemplate>(Decide)
      .Decides<v1::PutPartial>(Decide)
      .Decides<v1::ArchivePartial>(Decide)
      .Evolves<v1::TemplateSaved>(Evolve)
      .Evolves<v1::PartialPut>(Evolve)
      .Evolves<v1::PartialArchived>(Evolve);
}

}  // namespace maily::templates
