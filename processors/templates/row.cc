// See row.h.
#include "processors/templates/row.h"

#include "maily/assets/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/templates/archive.h"
#include "processors/templates/decide.h"
#include "processors/templates/evolve.h"
#include "processors/templates/pins.h"
#include "processors/templates/uses.h"
#include "schemas/types.h"

namespace maily::templates {

task::Noun Row() {
  return task::Noun("templates", kEvolveVersion)
      .Owns<v1::Template, v1::TemplateName, v1::TemplateCounter, v1::Partial, v1::PartialCounter, v1::TemplateUse, v1::TemplateUser,
            v1::TemplateAsset, v1::PinnedTemplate>()
      .Reads<tenants::v1::Tenant, assets::v1::Asset, assets::v1::AssetName>()
      .Decides<v1::SaveTemplate>(Decide)
      .Decides<v1::PutPartial>(Decide)
      .Decides<v1::ArchivePartial>(Decide)
      .Decides<v1::ArchiveTemplate>(Decide)
      .Decides<v1::RestoreTemplate>(Decide)
      .Decides<v1::DeleteTemplate>(Decide)
      .Decides<v1::TemplatePinned>(Decide)
      .Evolves<v1::TemplateSaved>(Evolve)
      .Evolves<v1::PartialPut>(Evolve)
      .Evolves<v1::PartialArchived>(Evolve)
      .Evolves<v1::TemplateArchived>(Evolve)
      .Evolves<v1::TemplateDeleted>(Evolve)
      .Evolves<v1::TemplatePinned>(Evolve)
      .Evolves<v1::PinnedTemplateHeld>(Evolve)
      .Evolves<campaigns::v1::CampaignCreated>(Evolve)
      .Evolves<campaigns::v1::CampaignEdited>(Evolve)
      .Evolves<campaigns::v1::CampaignDeleted>(Evolve)
      .Evolves<messages::v1::MessageFormMade>(Evolve)
      .Evolves<journeys::v1::JourneyDefined>(Evolve)
      .Evolves<journeys::v1::JourneyArchived>(Evolve)
      .Evolves<consents::v1::FormDefined>(Evolve)
      .Evolves<consents::v1::FormArchived>(Evolve);
}

}  // namespace maily::templates
