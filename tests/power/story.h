// A recorded run of something that keeps its promises on a disk, and the check of what a loss of power leaves of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/power/memory_disk.h"

namespace maily::power {

class Story {
 public:
  virtual ~Story() = default;
  // What was done to the disk, in order.
  const std::vector<DiskOp>& ops() const { return ops_; }
  // What is wrong with what the power left after `ops` operations; empty: nothing.
  virtual std::string Check(size_t ops, const DiskImage& image) const = 0;

 protected:
  std::vector<DiskOp> ops_;
};

// Each records the story of `seed`. `directory` exists, and is empty again afterwards.

// The log: appends of several sizes to several partitions, some waited for and some not, trims, and flushes of small memtables. It opens,
// and takes appends; every record that was acknowledged before is there, with its bytes, at its offset; of the others the youngest are
// missing: over all partitions together, what is there is a beginning of what was written; nothing is missing at a partition's begin but
// what a trim was asked for.
std::unique_ptr<Story> RecordLog(const std::string& directory, uint64_t seed);

// A state store (kOnFlush) or a keyring (kOnWrite): batches small and large, flushes. It opens, and takes batches; what is there are the
// first of the batches, each whole, and among them all that were flushed, or written with kOnWrite, before.
std::unique_ptr<Story> RecordState(const std::string& directory, uint64_t seed);
std::unique_ptr<Story> RecordKeyring(const std::string& directory, uint64_t seed);

// Read models: a database is built, made durable and pointed to, then changed by transactions, with checkpoints; and a second one beside.
// The pointer is there from its setting on, and shows a whole database: the first of its transactions, and among them all that were made
// durable.
std::unique_ptr<Story> RecordSqlite(const std::string& directory, uint64_t seed);

}  // namespace maily::power
