// See decide.h.
#include "processors/suppressions/decide.h"

#include <fmt/format.h>

#include "maily/suppressions/v1/events.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {
namespace {

using journal::Outcome;

constexpr std::string_view kHardBounce = "hard_bounce";

bool IsSuppressed(const task::Context& context, std::string_view contact_key) {
  return context.view<v1::Suppression>().Find(state::Key(context.tenant(), contact_key)) != nullptr;
}

bool Refused(task::Context& context, std::string_view contact_key, std::string_view reason) {
  if (contact_key.size() == schema::kContactKeyBytes && reason.size() <= kReasonBytesMax) return false;
  context.Refuse(
      Outcome::kInvalid, "invalid_suppression",
      fmt::format("a suppression has a contact key of {} bytes and a reason of at most {}", schema::kContactKeyBytes, kReasonBytesMax));
  return true;
}

// A contact that is gone has no key.
void Suppress(task::Context& context, const std::string& contact_key, std::string_view reason) {
  if (contact_key.empty() || IsSuppressed(context, contact_key)) return;
  v1::SuppressionAdded added;
  added.set_contact_key(contact_key);
  added.set_reason(std::string(reason));
  context.Emit(added);
}

}  // namespace

void Decide(task::Context& context, const v1::AddSuppression& command) {
  if (Refused(context, command.contact_key(), command.reason())) return;
  if (IsSuppressed(context, command.contact_key())) return context.Unchanged();
  v1::SuppressionAdded added;
  added.set_contact_key(command.contact_key());
  added.set_reason(command.reason().empty() ? "manual" : command.reason());
  context.Emit(added);
}

void Decide(task::Context& context, const v1::RemoveSuppression& command) {
  if (Refused(context, command.contact_key(), command.reason())) return;
  if (!IsSuppressed(context, command.contact_key())) {
    return context.Refuse(Outcome::kNotFound, "not_suppressed", "this address is not suppressed");
  }
  v1::SuppressionRemoved removed;
  removed.set_contact_key(command.contact_key());
  removed.set_reason(command.reason());
  context.Emit(removed);
}

void React(task::Context& context, const sends::v1::AttemptBounced& event) {
  if (event.recipient_invalid()) Suppress(context, event.contact_key(), kHardBounce);
}

void React(task::Context& context, const sends::v1::BounceReceived& event) {
  if (event.recipient_invalid()) Suppress(context, event.contact_key(), kHardBounce);
}

void React(task::Context& context, const sends::v1::ComplaintReceived& event) { Suppress(context, event.contact_key(), "complaint"); }

}  // namespace maily::suppressions
