// See decide.h.
#include "processors/suppressions/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::suppressions {
namespace {

using journal::Outcome;

constexpr std::string_view kHardBounce = "hard_bounce";
constexpr uint64_t kChunkOrdinals = 4096;  // of a SendChunk

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

// Reasons that may pass, and are not of our making.
bool IsOfMailbox(std::string_view reason) {
  static constexpr std::string_view kReasons[] = {"mailbox_full", "inactive", "bad_domain", "routing", "expired", "system", "undetermined"};
  return std::ranges::find(kReasons, reason) != std::end(kReasons);
}

// Whether a mail of a campaign between these two was delivered to the contact, and is not known to have bounced.
bool WasDelivered(const task::Context& context, uint64_t ordinal, uint64_t after, uint64_t before) {
  if (before > after && before - after > kCampaignsBetweenMax) return true;
  for (uint64_t campaign_id = after + 1; campaign_id < before; ++campaign_id) {
    const auto* chunk =
        context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), campaign_id, (ordinal - 1) / kChunkOrdinals));
    const size_t at = (ordinal - 1) % kChunkOrdinals;
    if (chunk != nullptr && at < chunk->statuses().size() && chunk->statuses()[at] == sends::v1::SENT) return true;
  }
  return false;
}

template <class Event>
void CountSoft(task::Context& context, const Event& event) {
  const auto* known = context.view<v1::SoftBounces>().Find(state::Key(context.tenant(), event.contact_key()));
  if (known != nullptr && known->campaign_id() == event.campaign_id()) return;  // of the same mail
  const bool anew = known == nullptr || WasDelivered(context, event.ordinal(), known->campaign_id(), event.campaign_id());
  v1::SoftBounceCounted counted;
  counted.set_contact_key(event.contact_key());
  counted.set_campaign_id(event.campaign_id());
  counted.set_count(anew ? 1 : known->count() + 1);
  counted.set_first_at_us(anew ? context.now().us : known->first_at_us());
  context.Emit(counted);
  if (counted.count() >= kSoftBouncesMax && context.now() - Instant{counted.first_at_us()} >= kSoftBouncesSpan)
    Suppress(context, event.contact_key(), "soft_bounces");
}

template <class Event>
void ReactToBounce(task::Context& context, const Event& event) {
  if (event.recipient_invalid()) return Suppress(context, event.contact_key(), kHardBounce);
  if (event.contact_key().empty() || !IsOfMailbox(event.reason()) || IsSuppressed(context, event.contact_key())) return;
  CountSoft(context, event);
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

void React(task::Context& context, const sends::v1::AttemptBounced& event) { ReactToBounce(context, event); }

void React(task::Context& context, const sends::v1::BounceReceived& event) { ReactToBounce(context, event); }

void React(task::Context& context, const sends::v1::ComplaintReceived& event) { Suppress(context, event.contact_key(), "complaint"); }

}  // namespace maily::suppressions
