// POST /v1/imports: a CSV file, row by row as it arrives, becomes ImportContacts commands; the answer is 202 and the job.
//
// The job begins in the journal (ImportStarted) when the header is read, and ends there (ImportEnded) with its counts:
//
//   running ──▶ completed      202 came when the last row was decided; then the read models had to show all of them
//      ├──────▶ interrupted    the file stopped coming; or the process ended meanwhile
//      └──────▶ failed         the log took nothing for kNoProgressMax, or there were no keys; the answer is that problem
// Always rows = created + updated + unchanged + duplicate + skipped + rejected, and pending while it runs. With ?dry_run=true nothing is
// appended and no key is made: 200 with rows = valid + duplicate + rejected.
//
// Rows are parsed, sealed and appended while the file still comes in; at most kRowsInFlightMax of them wait for their decisions, then the
// connection is not read further. No plaintext touches a disk. Rows of one partition go in chunks, one command each; a chunk is number n of
// the stream "import/<id>" of its partition and accepted only as last + 1, so a row is never applied twice; with an Idempotency-Key,
// posting the same file again after a crash goes on where it stopped (rows applied before count as unchanged).
//
// Columns: `email` is required (any case); every other column is an attribute of that name, typed as registered; a value of the wrong type
// rejects its row, naming the column. Unregistered columns are personal text. An empty cell is absent: the attribute stays as it is.
// Repeats of an address inside the file: rows are applied in order, so the last one wins, and are counted `duplicate`; they are
// recognised by 64 bits of their contact key, 10 to 13 bytes of memory a row, up to kDuplicateRowsMax rows, later ones count as updated or
// unchanged. An import never re-subscribes: it joins the list, and an opt-out or suppression stays.
#pragma once

#include <memory>

#include "api/gateway/auth.h"
#include "api/gateway/gateway.h"
#include "api/http/message.h"
#include "api/import/jobs.h"

namespace maily::import {

inline constexpr size_t kRowsInFlightMax = 8192;
inline constexpr size_t kRejectsListedMax = 1000;

struct Parts {
  gateway::Gateway& gateway;
  gateway::Auth& auth;
  Jobs& jobs;                                   // its executor is `bulk`
  Executor& bulk;                               // rows are parsed and sealed here; it may wait for keys to become durable
  std::shared_ptr<const void> owner = nullptr;  // of the first three, if anyone: kept by every import that goes on
};

// Makes a sink for each request. `parts` outlive the sinks and the imports they began.
http::OpenSink OpenImport(Parts parts);

}  // namespace maily::import
