// See audience.h.
#include "api/audience.h"

#include <bitset>
#include <map>

#include "api/handlers.h"
#include "api/segment_members.h"

namespace maily::api {
namespace {

constexpr size_t kIdsMax = 100;
constexpr int64_t kPageRows = 50'000;
constexpr Duration kOwnWritesWait = Seconds(2);

void ReadIds(Members& members, const char* name, google::protobuf::RepeatedField<uint64_t>& ids) {
  const nlohmann::json* array = members.Array(name, kIdsMax);
  if (array == nullptr) return;
  for (size_t i = 0; i < array->size(); ++i) {
    const nlohmann::json& id = (*array)[i];
    if (id.is_number_integer() && id.get<int64_t>() > 0) {
      ids.Add(id.get<uint64_t>());
    } else {
      members.Violation(fmt::format("{}/{}", name, i), "invalid_id", "an id is a whole number from 1");
    }
  }
}

// Contacts as bits, by the chunk of their id.
class Contacts {
 public:
  void Add(int64_t contact_id) { chunks_[contact_id / kChunkOrdinals].set(static_cast<size_t>(contact_id % kChunkOrdinals)); }
  void Remove(const Contacts& others) {
    for (auto& [chunk, bits] : chunks_) {
      const auto other = others.chunks_.find(chunk);
      if (other != others.chunks_.end()) bits &= ~other->second;
    }
  }
  bool Has(int64_t contact_id) const {
    const auto chunk = chunks_.find(contact_id / kChunkOrdinals);
    return chunk != chunks_.end() && chunk->second.test(static_cast<size_t>(contact_id % kChunkOrdinals));
  }
  int64_t Count() const {
    int64_t count = 0;
    for (const auto& [chunk, bits] : chunks_) count += static_cast<int64_t>(bits.count());
    return count;
  }
  std::vector<int64_t> First(size_t most) const {
    std::vector<int64_t> ids;
    for (const auto& [chunk, bits] : chunks_) {
      for (size_t i = 0; i < bits.size() && ids.size() < most; ++i) {
        if (bits.test(i)) ids.push_back(chunk * kChunkOrdinals + static_cast<int64_t>(i));
      }
      if (ids.size() == most) break;
    }
    return ids;
  }

 private:
  std::map<int64_t, std::bitset<kChunkOrdinals>> chunks_;
};

// `visit` gets the contact ids of a query in pages, and says whether to go on.
Result<void> EachId(Call& call, const char* query, std::vector<Parameter> fixed, const std::function<bool(int64_t)>& visit) {
  fixed.push_back({"limit", Value::Integer(kPageRows)});
  fixed.push_back({"after", Value::Integer(0)});
  for (;;) {
    MAILY_TRY(const Rows page, QueryOwn(call, query, fixed));
    for (size_t row = 0; row < page.size(); ++row) {
      if (!visit(page.at(row, "contact_id").integer)) return Ok();
    }
    if (page.size() < static_cast<size_t>(kPageRows)) return Ok();
    fixed.back().value = page.at(page.size() - 1, "contact_id");
  }
}

Result<void> Gather(Call& call, const std::vector<uint64_t>& lists, const google::protobuf::RepeatedField<uint64_t>& segments,
                    Contacts& contacts, AudienceCount& count) {
  const auto add = [&contacts](int64_t contact_id) {
    contacts.Add(contact_id);
    return true;
  };
  for (const uint64_t id : lists) MAILY_TRY_VOID(EachId(call, "list_member_ids", {{"list_id", Number(id)}}, add));
  for (const uint64_t id : segments) {
    const Parameter which{"segment_id", Number(id)};
    MAILY_TRY(const Rows segment, QueryOwn(call, "segment", {which}));
    if (segment.empty() || segment.at(0, "archived_at_us").type != sql::Type::kNull) continue;
    if (segment.at(0, "partitions_done").integer < static_cast<int64_t>(call.api->parts.log.partition_count)) count.applying.push_back(id);
    MAILY_TRY_VOID(MembersAt(call, which, INT64_MAX).Each(0, add));
  }
  return Ok();
}

}  // namespace

void ReadAudience(Members& members, campaigns::v1::CampaignSpec& spec) {
  ReadIds(members, "list_ids", *spec.mutable_list_ids());
  ReadIds(members, "segment_ids", *spec.mutable_segment_ids());
  ReadIds(members, "exclude_list_ids", *spec.mutable_exclude_list_ids());
  ReadIds(members, "exclude_segment_ids", *spec.mutable_exclude_segment_ids());
}

Result<AudienceCount> CountAudience(Call& call, const campaigns::v1::CampaignSpec& spec, size_t samples_max) {
  AudienceCount count;
  std::vector<uint64_t> lists(spec.list_ids().begin(), spec.list_ids().end());
  if (spec.list_id() != 0) lists.push_back(spec.list_id());
  Contacts out;
  MAILY_TRY_VOID(Gather(call, {spec.exclude_list_ids().begin(), spec.exclude_list_ids().end()}, spec.exclude_segment_ids(), out, count));
  if (lists.empty() && spec.segment_ids().empty()) {
    MAILY_TRY(const Rows all, QueryOwn(call, "contact_count"));
    count.contacts = all.at(0, "contacts").integer - out.Count();
    if (samples_max > 0) {
      MAILY_TRY_VOID(EachId(call, "contact_ids", {}, [&](int64_t contact_id) {
        if (!out.Has(contact_id)) count.samples.push_back(contact_id);
        return count.samples.size() < samples_max;
      }));
    }
    return count;
  }
  Contacts in;
  MAILY_TRY_VOID(Gather(call, lists, spec.segment_ids(), in, count));
  in.Remove(out);
  count.contacts = in.Count();
  count.samples = in.First(samples_max);
  return count;
}

Result<Seen> LookAtAudience(Call& call, uint64_t campaign_id) {
  const Parameter which{"campaign_id", Number(campaign_id)};
  MAILY_TRY(const Rows campaign, QueryOwn(call, "campaign", {which}));
  MAILY_TRY(const Rows draft, QueryOwn(call, "campaign_draft", {which}));
  if (campaign.empty() || draft.empty()) return Seen();  // the decider knows better
  MAILY_TRY(const Rows settings, QueryOwn(call, "settings"));
  const bool approvals = !settings.empty() && settings.at(0, "approval_over").integer != 0;
  if (draft.at(0, "resend_of").type != sql::Type::kNull) return Seen();
  campaigns::v1::CampaignSpec spec;
  const nlohmann::json audience = nlohmann::json::parse(draft.at(0, "audience").bytes, nullptr, false);
  std::vector<http::ProblemDetail> violations;
  Members members(audience, "", violations);
  ReadAudience(members, spec);
  const Value& list = campaign.at(0, "list_id");
  if (list.type != sql::Type::kNull) spec.set_list_id(static_cast<uint64_t>(list.integer));
  const bool plain = spec.list_ids_size() + spec.segment_ids_size() + spec.exclude_list_ids_size() + spec.exclude_segment_ids_size() == 0;
  if (plain) {
    MAILY_TRY(const Rows count, spec.list_id() == 0 ? QueryOwn(call, "contact_count") : QueryOwn(call, "list", {{"list_id", list}}));
    if (count.empty()) return Seen();
    const int64_t contacts = count.at(0, spec.list_id() == 0 ? "contacts" : "members").integer;
    return Seen{.empty = contacts == 0, .contacts = static_cast<uint64_t>(contacts)};
  }
  if (!approvals) return Seen();  // the partitions find out: it is refused if nobody is in it
  MAILY_TRY(const AudienceCount count, CountAudience(call, spec, 0));
  return Seen{.contacts = count.applying.empty() ? static_cast<uint64_t>(count.contacts) : 0};
}

void PreviewAudience(Call call) {
  Body body(call);
  campaigns::v1::CampaignSpec spec;
  if (const auto id = body.Integer("list_id", 0, INT64_MAX)) spec.set_list_id(static_cast<uint64_t>(*id));
  ReadAudience(body, spec);
  if (!body.Accepted(call)) return;
  AfterOwnWrites(std::move(call), "", kOwnWritesWait, [spec = std::move(spec)](Call c, bool) {
    const Result<AudienceCount> count = CountAudience(c, spec, kAudienceSamples);
    if (!count) return Refuse(c, count.error());
    Json samples = Json::array();
    for (const int64_t contact_id : count->samples) samples.push_back(CellJson("contact_id", Value::Integer(contact_id)));
    Answer(c, 200, {{"contacts", count->contacts}, {"samples", std::move(samples)}, {"applying", count->applying}});
  });
}

}  // namespace maily::api
