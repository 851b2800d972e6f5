// What is known of one contact, for the evaluation of segments: read from the state of a partition, for one contact or a slice of them.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "maily/contacts/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "processors/audience/segment_evaluate.h"
#include "processors/audience/segment_language.h"
#include "streams/task/processor.h"

namespace maily::segments {

// What the expressions in question ask for: only that is read.
struct Wants {
  bool lists = false;  // or the opt-out
  bool suppressed = false;
  bool signals = false;
  std::vector<audience::SegmentDependencies::One> wakes;

  void Add(const audience::SegmentDependencies& dependencies);
};

// One contact. The contact itself is given, since its entry is large.
class Facts final : public audience::SegmentFacts {
 public:
  struct SignalOf {
    v1::SignalKind kind;
    uint64_t campaign_id;
    std::string event;
    v1::Signal signal;
  };
  // What is known beside the contact.
  struct Beside {
    bool suppressed = false;
    bool subscribed = true;
    std::vector<uint64_t> lists;         // ascending
    std::vector<SignalOf> signals;       // few
    std::map<uint64_t, bool> delivered;  // by campaign
    std::map<uint64_t, bool> segments;   // memberships
  };
  Facts(const task::Context& context, const contacts::v1::Contact& contact, Beside& beside)
      : context_(context), contact_(contact), beside_(beside) {}

  audience::SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType type, bool personal) override;
  bool HasAttribute(const std::string& name) override;
  bool HasTag(const std::string& tag) override { return std::ranges::binary_search(contact_.tags(), tag); }
  bool OnList(uint64_t list_id) override;
  bool InSegment(uint64_t segment_id) override;
  bool Subscribed() override { return beside_.subscribed; }
  bool Suppressed() override { return beside_.suppressed; }
  bool Delivered(uint64_t campaign_id) override;
  const v1::Signal* Signal(v1::SignalKind kind, uint64_t campaign_id, const std::string& event) override;

 private:
  const contacts::v1::Attribute* Find(const std::string& name) const;

  const task::Context& context_;
  const contacts::v1::Contact& contact_;
  Beside& beside_;
};

// Of one contact by look-ups.
Facts::Beside ReadBeside(const task::Context& context, uint64_t ordinal, const contacts::v1::Contact& contact, const Wants& wants);

// Of the contacts first … last, all in one chunk, by scans.
class SliceFacts {
 public:
  SliceFacts(const task::Context& context, uint64_t first, uint64_t last, const Wants& wants);
  // Every contact that there is, in order. `visit` may not touch the state; Facts does not.
  void Each(const std::function<void(uint64_t ordinal, const contacts::v1::Contact& contact, Facts& facts)>& visit);

 private:
  const task::Context& context_;
  const uint64_t first_;
  const uint64_t last_;
  std::vector<Facts::Beside> people_;
};

}  // namespace maily::segments
