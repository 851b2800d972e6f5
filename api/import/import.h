// POST /v1/imports: a file, CSV or NDJSON, row by row as it arrives, becomes ImportRows commands; the answer is 202 and the job.
//
// The job begins in the journal (ImportStarted) when the header is read, and ends there (ImportEnded) with its counts:
//
//   running ──▶ completed      202 came when the last row was decided; then the read models had to show all of them
//      ├──────▶ interrupted    the file stopped coming; it was cancelled; or the process ended meanwhile
//      └──────▶ failed         the log took nothing for kNoProgressMax, there were no keys, or too many errors; the answer is that problem
// Always rows = created + updated + unchanged + duplicate + skipped + rejected, and pending while it runs. With ?dry_run=true nothing is
// appended and no key is made: 200 with the counts as the read models foresee them, and samples of what would change (compare.h).
//
// Parameters: list, source; map, header=false, from (columns.h); encoding (csv.h); max_errors: more rejects stop it. consent=true is 501.
//
// Rows are parsed, sealed and appended while the file still comes in; at most kRowsInFlightMax of them wait for their decisions, then the
// connection is not read further. No plaintext touches a disk. Rows of one partition go in chunks, one command each; a chunk is number n of
// the stream "rows/<id>" of its partition and accepted only as last + 1, so a row is never applied twice; with an Idempotency-Key, posting
// the same file again after a crash goes on where it stopped: what was applied before is passed over, and counted at the end by what was
// noted then (of rows that were refused then, as unchanged).
//
// Columns: `email` is required (any case); every other column is an attribute of that name, typed as registered; a value of the wrong type
// rejects its row, naming the column. Unregistered columns are personal text. An empty cell is absent: the attribute stays as it is.
// Repeats of an address inside the file: rows are applied in order, so the last one wins, and are counted `duplicate`; they are
// recognised by 64 bits of their contact key, 10 to 13 bytes of memory a row, up to kDuplicateRowsMax rows, later ones count as updated or
// unchanged. An import never re-subscribes: it joins the list, and an opt-out or suppression stays. Whom the file of another system calls
// unsubscribed, bounced or blocked does not join: a suppression is added.
#pragma once

#include <memory>

#include "api/gateway/auth.h"
#include "api/gateway/gateway.h"
#include "api/http/message.h"
#include "api/import/jobs.h"

namespace maily::import {

inline constexpr size_t kRowsInFlightMax = 8192;

// The id of an import that is posted with an Idempotency-Key; `length` as in Content-Length, empty if it is chunked; `target` as sent.
std::string ImportIdOf(std::string_view key, std::string_view length, std::string_view target);

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
