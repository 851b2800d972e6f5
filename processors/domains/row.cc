// See row.h.
#include "processors/domains/row.h"

#include "maily/domains/v1/state.pb.h"
#include "processors/domains/decide.h"
#include "processors/domains/evolve.h"
#include "schemas/types.h"

namespace maily::domains {

task::Noun Row() {
  return task::Noun("domains", kEvolveVersion)
      .Owns<v1::Domain, v1::SigningDomain>()
      .Decides<v1::AddDomain>(Decide)
      .Decides<v1::AddDomainKeys>(Decide)
      .Decides<v1::ActivateDomainKeys>(Decide)
      .Decides<v1::RecordDomainCheck>(Decide)
      .Decides<v1::RemoveDomain>(Decide)
      .Decides<v1::DomainAdded>(Decide)
      .Decides<v1::DomainKeysActivated>(Decide)
      .Decides<v1::DomainRemoved>(Decide)
      .Evolves<v1::DomainAdded>(Evolve)
      .Evolves<v1::DomainKeysAdded>(Evolve)
      .Evolves<v1::DomainKeysActivated>(Evolve)
      .Evolves<v1::DomainChecked>(Evolve)
      .Evolves<v1::DomainRemoved>(Evolve)
      .Evolves<v1::SigningChanged>(Evolve);
}

}  // namespace maily::domains
