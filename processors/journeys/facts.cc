// See facts.h.
#include "processors/journeys/facts.h"

#include <algorithm>

#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::journeys {
namespace {

constexpr uint64_t kChunkOrdinals = 4096;  // of SegmentMembers

}  // namespace

bool InSegment(const task::Context& context, uint64_t segment_id, uint64_t ordinal) {
  const auto* chunk =
      context.view<segments::v1::SegmentMembers>().Find(state::Key(context.tenant(), segment_id, (ordinal - 1) / kChunkOrdinals));
  const uint64_t at = (ordinal - 1) % kChunkOrdinals;
  return chunk != nullptr && at / 8 < chunk->bits().size() && (static_cast<uint8_t>(chunk->bits()[at / 8]) >> (at % 8) & 1) != 0;
}

const contacts::v1::Attribute* Facts::Find(const std::string& name) const {
  const auto found = std::ranges::find(contact_.attributes(), name, &contacts::v1::Attribute::name);
  return found == contact_.attributes().end() ? nullptr : &*found;
}

audience::SegmentValue Facts::Attribute(const std::string& name, tenants::v1::AttributeType type, bool) {
  using Value = contacts::v1::Attribute;
  const Value* attribute = Find(name);
  if (attribute == nullptr) return {};
  if (attribute->has_text()) return attribute->text();
  if (attribute->has_integer()) return int64_t{attribute->integer()};
  if (attribute->has_number()) return attribute->number();
  if (attribute->has_boolean()) return attribute->boolean();
  if (!attribute->has_sealed() || context_.keyring() == nullptr) return {};
  // The branch that is taken goes into the event; the value goes nowhere.
  const auto opened = schema::Open(*context_.keyring(), context_.tenant(), schema::AttributeFieldId(name), attribute->sealed());
  return opened ? audience::TypedValue(*opened, type) : audience::SegmentValue();
}

bool Facts::OnList(uint64_t list_id) {
  const auto* subscriber = context_.view<lists::v1::Subscriber>().Find(state::Key(context_.tenant(), ordinal_));
  return list_id != 0 && compliance::IsMember(subscriber, list_id);
}

bool Facts::Subscribed() {
  return !compliance::IsUnsubscribed(context_.view<lists::v1::Subscriber>().Find(state::Key(context_.tenant(), ordinal_)));
}

}  // namespace maily::journeys
