// What splits may ask of a contact: attributes, lists, segments, whether it is subscribed. Read from the state of its partition.
#pragma once

#include <algorithm>
#include <string>

#include "maily/contacts/v1/state.pb.h"
#include "processors/audience/segment_evaluate.h"
#include "streams/task/processor.h"

namespace maily::journeys {

// As the noun segments last decided.
bool InSegment(const task::Context& context, uint64_t segment_id, uint64_t ordinal);

// Of one contact, whose entry is given. Both outlive this.
class Facts final : public audience::SegmentFacts {
 public:
  Facts(const task::Context& context, uint64_t ordinal, const contacts::v1::Contact& contact)
      : context_(context), ordinal_(ordinal), contact_(contact) {}

  audience::SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType type, bool personal) override;
  bool HasAttribute(const std::string& name) override { return Find(name) != nullptr; }
  bool HasTag(const std::string& tag) override { return std::ranges::binary_search(contact_.tags(), tag); }
  bool OnList(uint64_t list_id) override;
  bool InSegment(uint64_t segment_id) override { return journeys::InSegment(context_, segment_id, ordinal_); }
  bool Subscribed() override;
  // The checker lets no split ask for these.
  bool Suppressed() override { return false; }
  bool Delivered(uint64_t) override { return false; }
  const segments::v1::Signal* Signal(segments::v1::SignalKind, uint64_t, const std::string&) override { return nullptr; }

 private:
  const contacts::v1::Attribute* Find(const std::string& name) const;

  const task::Context& context_;
  const uint64_t ordinal_;
  const contacts::v1::Contact& contact_;
};

}  // namespace maily::journeys
