// See facts.h.
#include "processors/segments/facts.h"

#include <algorithm>

#include "maily/lists/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "processors/segments/members.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::segments {
namespace {

using audience::SegmentValue;
using Value = contacts::v1::Attribute;

v1::SignalKind KindOf(v1::WakeKind kind) {
  return kind == v1::WAKE_OPENED    ? v1::OPENED
         : kind == v1::WAKE_CLICKED ? v1::CLICKED
         : kind == v1::WAKE_EVENT   ? v1::EVENT
                                    : v1::SIGNAL_KIND_UNSPECIFIED;
}

void TakeSubscriber(Facts::Beside& beside, const lists::v1::Subscriber& subscriber) {
  beside.lists.assign(subscriber.list_ids().begin(), subscriber.list_ids().end());
  beside.subscribed = !compliance::IsUnsubscribed(&subscriber);
}

bool IsDelivered(const sends::v1::SendChunk* chunk, uint64_t ordinal) {
  const uint64_t at = PlaceOf(ordinal);
  return chunk != nullptr && at < chunk->statuses().size() && chunk->statuses()[at] == sends::v1::SENT;
}

template <class T, class Visit>
void ScanSlice(const task::Context& context, uint64_t first, uint64_t last, Visit visit) {
  const std::string tenant = state::Key(context.tenant());
  context.view<T>().Scan(tenant, state::Key(context.tenant(), first), [&](std::string_view key, const T& entry) {
    Cursor cursor(key.substr(tenant.size()));
    const auto ordinal = cursor.Ordered<uint64_t>();
    if (ordinal > last) return false;
    visit(ordinal, key.substr(tenant.size() + sizeof(uint64_t)), entry);
    return true;
  });
}

}  // namespace

void Wants::Add(const audience::SegmentDependencies& dependencies) {
  for (const auto& one : dependencies.wakes) {
    lists = lists || one.kind == v1::WAKE_LIST || one.kind == v1::WAKE_SUBSCRIBED;
    suppressed = suppressed || one.kind == v1::WAKE_SUPPRESSED;
    signals = signals || KindOf(one.kind) != v1::SIGNAL_KIND_UNSPECIFIED;
    if (std::ranges::find(wakes, one) == wakes.end()) wakes.push_back(one);
  }
}

const contacts::v1::Attribute* Facts::Find(const std::string& name) const {
  for (const Value& attribute : contact_.attributes()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

SegmentValue Facts::Attribute(const std::string& name, tenants::v1::AttributeType type, bool) {
  const auto* attribute = Find(name);
  if (attribute == nullptr) return {};
  switch (attribute->value_case()) {
    case Value::kText:
      return attribute->text();
    case Value::kInteger:
      return int64_t{attribute->integer()};
    case Value::kNumber:
      return attribute->number();
    case Value::kBoolean:
      return attribute->boolean();
    case Value::kSealed: {
      // The answer is a derived fact, which goes into the event; the value goes nowhere.
      if (context_.keyring() == nullptr) return {};
      const auto opened = schema::Open(*context_.keyring(), context_.tenant(), schema::AttributeFieldId(name), attribute->sealed());
      return opened ? audience::TypedValue(*opened, type) : SegmentValue();
    }
    case Value::VALUE_NOT_SET:
      return {};
  }
  return {};
}

bool Facts::HasAttribute(const std::string& name) { return Find(name) != nullptr; }

bool Facts::OnList(uint64_t list_id) { return std::ranges::binary_search(beside_.lists, list_id); }

bool Facts::InSegment(uint64_t segment_id) {
  const auto found = beside_.segments.find(segment_id);
  return found != beside_.segments.end() && found->second;
}

bool Facts::Delivered(uint64_t campaign_id) {
  const auto found = beside_.delivered.find(campaign_id);
  return found != beside_.delivered.end() && found->second;
}

const v1::Signal* Facts::Signal(v1::SignalKind kind, uint64_t campaign_id, const std::string& event) {
  for (const SignalOf& one : beside_.signals) {
    if (one.kind == kind && one.campaign_id == campaign_id && one.event == event) return &one.signal;
  }
  return nullptr;
}

Facts::Beside ReadBeside(const task::Context& context, uint64_t ordinal, const contacts::v1::Contact& contact, const Wants& wants) {
  Facts::Beside beside;
  if (wants.lists) {
    const auto* subscriber = context.view<lists::v1::Subscriber>().Find(state::Key(context.tenant(), ordinal));
    if (subscriber != nullptr) TakeSubscriber(beside, *subscriber);
  }
  if (wants.suppressed) {
    beside.suppressed = compliance::IsSuppressed(context.view<suppressions::v1::Suppression>(), context.tenant(), contact.contact_key(),
                                                 compliance::kCampaignStream);
  }
  for (const auto& one : wants.wakes) {
    if (one.kind == v1::WAKE_SEGMENT) {
      beside.segments[one.id] = IsMember(context.view<v1::SegmentMembers>(), context.tenant(), one.id, ordinal);
    } else if (one.kind == v1::WAKE_DELIVERED) {
      beside.delivered[one.id] = IsDelivered(
          context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), one.id, (ordinal - 1) / kChunkOrdinals)), ordinal);
    } else if (const v1::SignalKind kind = KindOf(one.kind); kind != v1::SIGNAL_KIND_UNSPECIFIED) {
      const auto* signal = context.view<v1::Signal>().Find(SignalKey(context.tenant(), ordinal, kind, one.id, one.name));
      if (signal != nullptr) beside.signals.push_back({kind, one.id, one.name, *signal});
    }
  }
  return beside;
}

SliceFacts::SliceFacts(const task::Context& context, uint64_t first, uint64_t last, const Wants& wants)
    : context_(context), first_(first), last_(last), people_(last - first + 1) {
  if (wants.lists) {
    ScanSlice<lists::v1::Subscriber>(context, first, last,
                                     [&](uint64_t ordinal, std::string_view, const lists::v1::Subscriber& subscriber) {
                                       TakeSubscriber(people_[ordinal - first], subscriber);
                                     });
  }
  if (wants.signals) {
    ScanSlice<v1::Signal>(context, first, last, [&](uint64_t ordinal, std::string_view rest, const v1::Signal& signal) {
      Cursor cursor(rest);
      const auto kind = static_cast<v1::SignalKind>(cursor.Ordered<uint64_t>());
      const auto campaign_id = cursor.Ordered<uint64_t>();
      const std::string_view event = rest.substr(2 * sizeof(uint64_t));
      for (const auto& one : wants.wakes) {
        if (KindOf(one.kind) == kind && one.id == campaign_id && one.name == event) {
          people_[ordinal - first].signals.push_back({kind, campaign_id, one.name, signal});
        }
      }
    });
  }
  if (wants.suppressed) {
    std::vector<std::string> keys(people_.size());
    ScanSlice<contacts::v1::Contact>(context, first, last, [&](uint64_t ordinal, std::string_view, const contacts::v1::Contact& contact) {
      keys[ordinal - first] = contact.contact_key();
    });
    const auto suppressions = context.view<suppressions::v1::Suppression>();
    for (size_t i = 0; i < keys.size(); ++i) {
      people_[i].suppressed =
          !keys[i].empty() && compliance::IsSuppressed(suppressions, context.tenant(), keys[i], compliance::kCampaignStream);
    }
  }
  for (const auto& one : wants.wakes) {
    if (one.kind == v1::WAKE_SEGMENT) {
      const auto* chunk = context.view<v1::SegmentMembers>().Find(ChunkKey(context.tenant(), one.id, first));
      for (uint64_t ordinal = first; chunk != nullptr && ordinal <= last; ++ordinal) {
        if (BitAt(chunk->bits(), PlaceOf(ordinal))) people_[ordinal - first].segments[one.id] = true;
      }
    } else if (one.kind == v1::WAKE_DELIVERED) {
      const auto* chunk = context.view<sends::v1::SendChunk>().Find(state::Key(context.tenant(), one.id, (first - 1) / kChunkOrdinals));
      for (uint64_t ordinal = first; chunk != nullptr && ordinal <= last; ++ordinal) {
        if (IsDelivered(chunk, ordinal)) people_[ordinal - first].delivered[one.id] = true;
      }
    }
  }
}

void SliceFacts::Each(const std::function<void(uint64_t, const contacts::v1::Contact&, Facts&)>& visit) {
  ScanSlice<contacts::v1::Contact>(context_, first_, last_, [&](uint64_t ordinal, std::string_view, const contacts::v1::Contact& contact) {
    Facts facts(context_, contact, people_[ordinal - first_]);
    visit(ordinal, contact, facts);
  });
}

}  // namespace maily::segments
