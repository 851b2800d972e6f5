// The references below the log: the bytes of a run, written again with nothing of ours in between.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "streams/port/log.h"

namespace maily::bench {

// The records of both topics from `from` (by topic and partition) to the durable end, in the order of their append times.
struct Written {
  size_t family = 0;  // topic * partitions + partition
  std::string bytes;
};
std::vector<uint64_t> Ends(Log& log);
std::vector<Written> ReadBack(Log& log, const std::vector<uint64_t>& from);

// What writing them cost.
struct RawCost {
  double seconds = 0;
  double cpu_seconds = 0;
};
// Every record one WriteBatch, in one column family a topic and partition, and `syncs` syncs of the WAL spread evenly, the last at the end.
RawCost WriteRaw(const std::string& directory, size_t families, const std::vector<Written>& records, uint64_t syncs);

// Appends `bytes` to a file and syncs it (fdatasync), for `seconds`; the time of each in µs.
std::vector<double> AppendAndSync(const std::string& path, size_t bytes, double seconds);

}  // namespace maily::bench
