// SQLite without anything of ours: the references of `visible` and `rebuild`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace maily::bench {

// One row inserted and committed (WAL, synchronous=FULL), again and again for `seconds`; the time of each in µs.
std::vector<double> CommitRows(const std::string& path, double seconds);

struct UpsertCost {
  double seconds = 0;
  uint64_t rows = 0;
};
// Every row of every table of the databases `sources`, upserted by prepared statements into `path`, with the same tables and indexes, in
// one transaction. The rows are in memory before, in an order that is not that of their keys, as a journal brings them.
UpsertCost UpsertRows(const std::vector<std::string>& sources, const std::string& path);

}  // namespace maily::bench
