// See row.h.
#include "processors/contacts/row.h"

#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/contacts/address_change.h"
#include "processors/contacts/decide.h"
#include "processors/contacts/evolve.h"
#include "processors/contacts/import_rows.h"
#include "processors/contacts/merge.h"
#include "schemas/types.h"

namespace maily::contacts {

task::Noun Row() {
  return task::Noun("contacts", kEvolveVersion)
      .Owns<v1::Contact, v1::ContactRef, v1::ContactCounter, v1::ErasedContact, v1::KeysPending, v1::ContactElsewhere, v1::AddressChange,
            v1::ContactMerge, v1::MergedContact, v1::MergeIntake>()
      .Reads<lists::v1::Subscriber, suppressions::v1::Suppression, suppressions::v1::SuppressedDomain, consents::v1::Person,
             sends::v1::SendChunk>()
      .Decides<v1::UpsertContact>(Decide)
      .Decides<v1::ImportContacts>(Decide)
      .Decides<v1::PatchContact>(Decide)
      .Decides<v1::EraseContact>(Decide)
      .Decides<v1::RecordKeysDestroyed>(Decide)
      .Decides<v1::ImportRows>(Decide)
      .Decides<v1::RestoreContacts>(Decide)
      .Decides<v1::ChangeAddress>(Decide)
      .Decides<v1::AddressAsked>(Decide)
      .Decides<v1::AddressReserved>(Decide)
      .Decides<v1::AddressDenied>(Decide)
      .Decides<v1::RecordKeysMoved>(Decide)
      .Decides<v1::AddressReleased>(Decide)
      .Decides<v1::AddressForgotten>(Decide)
      .Decides<v1::MergeContact>(Decide)
      .Decides<v1::MergeAsked>(Decide)
      .Decides<v1::MergeAgreed>(Decide)
      .Decides<v1::MergeDenied>(Decide)
      .Decides<v1::MergeGivenUp>(Decide)
      .Decides<v1::ContactHandedOver>(Decide)
      .Decides<v1::AddressClaimed>(Decide)
      .Decides<v1::AddressPassedOn>(Decide)
      .Decides<v1::MergedForgotten>(Decide)
      .Decides<v1::ContactKeysDestroyed>(Decide)
      .Reacts<journeys::v1::ContactUpdateWanted>(React)
      .LooksUp<v1::UpsertContact, v1::ContactRef>()
      .Evolves<v1::ContactCreated>(Evolve)
      .Evolves<v1::ContactChanged>(Evolve)
      .Evolves<v1::ContactErased>(Evolve)
      .Evolves<v1::ErasedContactMet>(Evolve)
      .Evolves<v1::ContactKeysDestroyed>(Evolve)
      .Evolves<v1::RowsImported>(Evolve)
      .Evolves<v1::JoinUndone>(Evolve)
      .Evolves<v1::AddressAsked>(Evolve)
      .Evolves<v1::AddressReserved>(Evolve)
      .Evolves<v1::AddressDenied>(Evolve)
      .Evolves<v1::AddressChangeRefused>(Evolve)
      .Evolves<v1::ContactAddressChanged>(Evolve)
      .Evolves<v1::AddressReleased>(Evolve)
      .Evolves<v1::AddressFreed>(Evolve)
      .Evolves<v1::CommandForwarded>(Evolve)
      .Evolves<v1::AddressForgotten>(Evolve)
      .Evolves<v1::AddressErased>(Evolve)
      .Evolves<v1::MergeAsked>(Evolve)
      .Evolves<v1::MergeAgreed>(Evolve)
      .Evolves<v1::MergeDenied>(Evolve)
      .Evolves<v1::MergeRefused>(Evolve)
      .Evolves<v1::MergeGivenUp>(Evolve)
      .Evolves<v1::ContactMerged>(Evolve)
      .Evolves<v1::ContactHandedOver>(Evolve)
      .Evolves<v1::ContactTakenOver>(Evolve)
      .Evolves<v1::AddressClaimed>(Evolve)
      .Evolves<v1::AddressPassedOn>(Evolve)
      .Evolves<v1::IntakeSettled>(Evolve)
      .Evolves<v1::MergedForgotten>(Evolve)
      .Evolves<sends::v1::AttemptOpened>(Evolve);
}

}  // namespace maily::contacts
