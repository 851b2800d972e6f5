// Who is, or was, a member of a segment: out of the slices and changes that read models keep.
#pragma once

#include <array>
#include <functional>

#include "api/read.h"

namespace maily::api {

inline constexpr int64_t kChunkOrdinals = 4096;  // slices of a plan never cross a multiple
inline constexpr int64_t kPartitionUnit = int64_t{1} << 48;

// Who was a member at one time: walks the contacts of all partitions in order, a chunk at a time.
class MembersAt {
 public:
  MembersAt(Call& call, const Parameter& segment, int64_t at_us) : call_(call), segment_(segment), at_us_(at_us) {}

  // `visit` gets each member behind `after`, and says whether to go on.
  Result<void> Each(int64_t after, const std::function<bool(int64_t contact_id)>& visit);

 private:
  // Slices and changes one over the other, the newest on top.
  Result<void> Chunk(int64_t partition, int64_t first);
  void Set(int64_t place, bool member, int64_t sequence);

  Call& call_;
  const Parameter segment_;
  const int64_t at_us_;
  std::array<bool, kChunkOrdinals> members_{};
  std::array<int64_t, kChunkOrdinals> newest_{};
};

}  // namespace maily::api
