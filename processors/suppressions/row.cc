// See row.h.
#include "processors/suppressions/row.h"

#include "maily/contacts/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/suppressions/decide.h"
#include "processors/suppressions/evolve.h"
#include "schemas/types.h"

namespace maily::suppressions {

task::Noun Row() {
  return task::Noun("suppressions", kEvolveVersion)
      .Owns<v1::Suppression, v1::SoftBounces, v1::DomainSuppression, v1::DomainSuppressionCounter, v1::SuppressedDomain,
            v1::SuppressedDomainCounter, v1::SuppressionHolds>()
      .Reads<sends::v1::SendChunk, contacts::v1::Contact, contacts::v1::ContactRef, contacts::v1::ContactElsewhere,
             contacts::v1::MergedContact, messages::v1::Message>()
      .Decides<v1::AddSuppression>(Decide)
      .Decides<v1::RemoveSuppression>(Decide)
      .Decides<v1::AddDomainSuppression>(Decide)
      .Decides<v1::RemoveDomainSuppression>(Decide)
      .Decides<v1::DomainSuppressionAdded>(Decide)
      .Decides<v1::DomainSuppressionRemoved>(Decide)
      .Decides<v1::SuppressionAdded>(Decide)
      .Decides<v1::SuppressionRemoved>(Decide)
      .LooksUp<v1::AddSuppression, v1::Suppression>()
      .LooksUp<v1::RemoveSuppression, v1::Suppression>()
      .Reacts<sends::v1::AttemptBounced>(React)
      .Reacts<sends::v1::BounceReceived>(React)
      .Reacts<sends::v1::ComplaintReceived>(React)
      .Reacts<sends::v1::BounceReclassified>(React)
      .Reacts<contacts::v1::ContactAddressChanged>(React)
      .Reacts<contacts::v1::ContactErased>(React)
      .Reacts<contacts::v1::ContactMerged>(React)
      .Reacts<contacts::v1::ContactTakenOver>(React)
      .Reacts<contacts::v1::AddressPassedOn>(React)
      .Reacts<v1::SuppressionAdded>(React)
      .Evolves<v1::SuppressionAdded>(Evolve)
      .Evolves<v1::SuppressionRemoved>(Evolve)
      .Evolves<v1::SuppressionUpheld>(Evolve)
      .Evolves<v1::SoftBounceCounted>(Evolve)
      .Evolves<sends::v1::AttemptDelivered>(Evolve)
      .Evolves<sends::v1::UnknownResolved>(Evolve)
      .Evolves<sends::v1::AttemptBounced>(Evolve)
      .Evolves<sends::v1::BounceReceived>(Evolve)
      .Evolves<sends::v1::ComplaintReceived>(Evolve)
      .Evolves<sends::v1::BounceReclassified>(Evolve)
      .Evolves<v1::DomainSuppressionAdded>(Evolve)
      .Evolves<v1::DomainSuppressionRemoved>(Evolve)
      .Evolves<v1::SuppressedDomainChanged>(Evolve);
}

}  // namespace maily::suppressions
