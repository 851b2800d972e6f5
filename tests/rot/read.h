// Everything that a data directory answers, read by the product's own ways of reading.
#pragma once

#include <string>
#include <vector>

#include "tests/rot/known.h"

namespace maily::rot {

// What depends on which files.
struct Parts {
  bool instance = false;   // LOCK, MODE, IDENTITY and the record outside
  bool log = false;        // all records of both topics; the journal by its readers' rules
  bool keys = false;       // what they open
  bool models = false;     // all tables and indexes of the read models, folded to the journal's end; needs log and keys
  bool state = false;      // of the partition when it is led again; needs log and keys
  bool snapshots = false;  // the same where the stores are lost
  bool attempts = false;   // what the slots say of attempts
};

struct Answers {
  std::vector<std::string> said;      // errors, and log lines of warnings and errors
  std::vector<std::string> answered;  // "what: answer", in an order that is always the same
};

// Reads `data`, which it may change. Does not return if the process dies of it.
Answers ReadData(const std::string& data, const Known& known, const Parts& parts);

}  // namespace maily::rot
