// See row.h.
#include "processors/consents/row.h"

#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/consents/decide.h"
#include "processors/consents/evolve.h"
#include "schemas/types.h"

namespace maily::consents {

task::Noun Row() {
  return task::Noun("consents", kEvolveVersion)
      .Owns<v1::ConsentText, v1::ConsentCounter, v1::Form, v1::Person>()
      .Reads<contacts::v1::ContactRef, contacts::v1::Contact, contacts::v1::MergedContact, lists::v1::List, lists::v1::Subscriber,
             suppressions::v1::Suppression, suppressions::v1::SuppressedDomain>()
      .Decides<v1::DefineConsentText>(Decide)
      .Decides<v1::DefineForm>(Decide)
      .Decides<v1::ArchiveForm>(Decide)
      .Decides<v1::RecordConsent>(Decide)
      .Decides<v1::ConfirmConsent>(Decide)
      .Decides<v1::AskAgain>(Decide)
      .Decides<v1::ChangePreferences>(Decide)
      .Decides<v1::OptOutPassedOn>(Decide)
      .Reacts<contacts::v1::ContactTakenOver>(React)
      .Reacts<engagements::v1::Unsubscribed>(React)
      .LooksUp<v1::RecordConsent, contacts::v1::ContactRef>()
      .Evolves<v1::ConsentTextDefined>(Evolve)
      .Evolves<v1::FormDefined>(Evolve)
      .Evolves<v1::FormArchived>(Evolve)
      .Evolves<v1::ConsentGranted>(Evolve)
      .Evolves<v1::ConsentWithdrawn>(Evolve)
      .Evolves<v1::ConfirmationAsked>(Evolve)
      .Evolves<v1::OptOutPassedOn>(Evolve);
}

}  // namespace maily::consents
