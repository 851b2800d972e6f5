// The way of an import's rows to their decisions: chunks of one partition, one command each, in order, again until they are decided.
//
// A chunk is number n of the stream "rows/<import>" of its partition and accepted only as last + 1. Where a chunk ends depends on the rows
// alone (31 of a partition, or 48 KiB), so the same rows given again make the same chunks, and none is applied twice.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/gateway/gateway.h"
#include "maily/contacts/v1/commands.pb.h"

namespace maily::import {

struct Row {
  uint64_t line = 0;
  bool repeat = false;   // of an address that this file had before
  std::string raw = {};  // its first bytes
};

// Rows of one partition, decided by one command.
struct Chunk {
  uint64_t sequence = 0;
  std::vector<Row> rows;
  std::string payload;
};

// Lives on the bulk executor.
class Lanes {
 public:
  // Whose lanes these are, as a member. What is on its way keeps it.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual std::shared_ptr<Owner> Keep() = 0;
    // A chunk is decided for good: done, refused, rejected, or a duplicate.
    virtual void Decided(const Chunk& chunk, const gateway::Verdict& verdict) = 0;
    // A chunk came back, decided or to be sent again. False: it is not sent again, nor are those behind it.
    virtual bool GoOn() = 0;
    // Something has come back.
    virtual void Step() = 0;
  };
  Lanes(gateway::Gateway& gateway, Executor& bulk, Owner& owner) : gateway_(gateway), bulk_(bulk), owner_(owner) {}

  // Who asks, and under which name the numbers count. Before the first Add.
  void Open(gateway::Asker asker, std::string import_id) {
    asker_ = std::move(asker);
    import_id_ = std::move(import_id);
    stream_ = "rows/" + import_id_;
  }
  // Takes the row, which is sealed, out of `command`.
  void Add(const Row& row, contacts::v1::UpsertContact& command);
  // No more rows come: what is gathered is a chunk.
  void CloseAll();
  // Sends the chunks that are full or closed.
  void Send();

  // Rows that were sent and are not decided.
  size_t rows_in_flight() const { return rows_in_flight_; }
  // True while chunks wait to be sent again.
  bool waiting() const;
  // Why a chunk was not decided, the last time that one was not.
  const std::string& last_trouble() const { return last_trouble_; }

 private:
  struct Lane {  // of a partition
    uint64_t last_sequence = 0;
    size_t in_flight = 0;  // chunks
    contacts::v1::ImportRows filling;
    std::vector<Row> rows;     // of `filling`
    size_t bytes = 0;          // of `filling`, serialized
    std::vector<Chunk> ready;  // closed, not sent yet
    std::deque<Chunk> again;   // to be sent once more, when in_flight is zero
    bool pausing = false;
  };

  void Close(Lane& lane);
  void SendOne(PartitionId partition, Lane& lane, Chunk chunk, command::More more);
  void Returned(PartitionId partition, Chunk chunk, const gateway::Verdict& verdict);
  void SendAgain(PartitionId partition, Lane& lane);

  gateway::Gateway& gateway_;
  Executor& bulk_;
  Owner& owner_;
  gateway::Asker asker_;
  std::string import_id_;
  std::string stream_;
  std::map<PartitionId, Lane> lanes_;
  size_t rows_in_flight_ = 0;
  std::string last_trouble_;
};

}  // namespace maily::import
