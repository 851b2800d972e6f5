// See segment_members.h.
#include "api/segment_members.h"

namespace maily::api {

Result<void> MembersAt::Each(int64_t after, const std::function<bool(int64_t contact_id)>& visit) {
  MAILY_TRY(const Rows extent, QueryOwn(call_, "segment_extent", {segment_}));
  for (size_t row = 0; row < extent.size(); ++row) {
    const int64_t partition = extent.at(row, "partition").integer;
    const int64_t last = extent.at(row, "last_ordinal").integer;
    if ((partition + 1) * kPartitionUnit <= after) continue;
    const int64_t passed = std::max<int64_t>(0, after - partition * kPartitionUnit);
    for (int64_t first = passed / kChunkOrdinals * kChunkOrdinals + 1; first <= last; first += kChunkOrdinals) {
      MAILY_TRY_VOID(Chunk(partition, first));
      for (size_t i = 0; i < members_.size(); ++i) {
        const int64_t contact_id = partition * kPartitionUnit + first + static_cast<int64_t>(i);
        if (members_[i] && contact_id > after && !visit(contact_id)) return Ok();
      }
    }
  }
  return Ok();
}

Result<void> MembersAt::Chunk(int64_t partition, int64_t first) {
  members_.fill(false);
  newest_.fill(-1);
  const Parameter at{"at_us", Value::Integer(at_us_)};
  const int64_t last = first + kChunkOrdinals - 1;
  MAILY_TRY(
      const Rows slices,
      QueryOwn(call_, "segment_slices",
               {segment_, at, {"partition", Value::Integer(partition)}, {"first", Value::Integer(first)}, {"last", Value::Integer(last)}}));
  for (size_t row = 0; row < slices.size(); ++row) {
    const std::string& bits = slices.at(row, "members").bytes;
    const int64_t from = slices.at(row, "first_ordinal").integer;
    for (int64_t ordinal = from; ordinal <= slices.at(row, "last_ordinal").integer; ++ordinal) {
      const auto bit = static_cast<size_t>(ordinal - from);
      const bool member = bit / 8 < bits.size() && (static_cast<uint8_t>(bits[bit / 8]) >> (bit % 8) & 1) != 0;
      Set(ordinal - first, member, slices.at(row, "sequence").integer);
    }
  }
  const int64_t unit = partition * kPartitionUnit;
  MAILY_TRY(const Rows changes, QueryOwn(call_, "segment_changes",
                                         {segment_, at, {"first", Value::Integer(unit + first)}, {"last", Value::Integer(unit + last)}}));
  for (size_t row = 0; row < changes.size(); ++row) {
    Set(changes.at(row, "contact_id").integer - unit - first, changes.at(row, "member").integer == 1, changes.at(row, "sequence").integer);
  }
  return Ok();
}

void MembersAt::Set(int64_t place, bool member, int64_t sequence) {
  if (place < 0 || place >= kChunkOrdinals || sequence <= newest_[static_cast<size_t>(place)]) return;
  newest_[static_cast<size_t>(place)] = sequence;
  members_[static_cast<size_t>(place)] = member;
}

}  // namespace maily::api
