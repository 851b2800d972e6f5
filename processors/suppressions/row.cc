// See row.h.
#include "processors/suppressions/row.h"

#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/suppressions/decide.h"
#include "processors/suppressions/evolve.h"
#include "schemas/types.h"

namespace maily::suppressions {

task::Noun Row() {
  return task::Noun("suppressions", kEvolveVersion)
      .Owns<v1::Suppression, v1::SoftBounces>()
      .Reads<sends::v1::SendChunk>()
      .Decides<v1::AddSuppression>(Decide)
      .Decides<v1::RemoveSuppression>(Decide)
      .LooksUp<v1::AddSuppression, v1::Suppression>()
      .LooksUp<v1::RemoveSuppression, v1::Suppression>()
      .Reacts<sends::v1::AttemptBounced>(React)
      .Reacts<sends::v1::BounceReceived>(React)
      .Reacts<sends::v1::ComplaintReceived>(React)
      .Evolves<v1::SuppressionAdded>(Evolve)
      .Evolves<v1::SuppressionRemoved>(Evolve)
      .Evolves<v1::SoftBounceCounted>(Evolve);
}

}  // namespace maily::suppressions
