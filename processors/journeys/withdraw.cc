// See withdraw.h.
#include "processors/journeys/withdraw.h"

#include "maily/messages/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::journeys {

void Withdraw(task::Context& context, const v1::JourneyInstance& instance, const std::string& why, size_t events_max) {
  for (const v1::SentStep& sent : instance.sent()) {
    const auto* message = context.view<messages::v1::Message>().Find(state::Key(context.tenant(), sent.message_id()));
    if (message == nullptr || (message->status() != sends::v1::PENDING && message->status() != sends::v1::WAITING)) continue;
    if (context.event_count() >= events_max) return;
    messages::v1::MessageWithdrawn withdrawn;
    withdrawn.set_message_id(sent.message_id());
    withdrawn.set_why("journey: " + why);
    context.Emit(withdrawn);
  }
}

}  // namespace maily::journeys
