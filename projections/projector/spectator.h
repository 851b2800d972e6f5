// How far another process has brought a projection group: what a process needs that answers queries and keeps no read models itself.
//
// While somebody waits for freshness it looks every 5 ms, else four times a second, which is also how soon a switch of the live version is
// noticed. A database that does not answer is asked again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "projections/sql/sql.h"
#include "projections/views/views.h"
#include "streams/journal/position.h"
#include "streams/port/env.h"

namespace maily::projections {

// Lives on `executor`, on which it waits for the database; `positions` from any thread. `databases` and `views` outlive it.
class Spectator {
 public:
  Spectator(sql::Databases& databases, Executor& executor, std::string group, Views& views);
  ~Spectator();  // ends it; call on the executor, or when that runs no more

  // Begins to look. Any thread.
  void Start();

  // As of the last look; empty = no live version was seen yet.
  std::vector<journal::Position> positions() const;
  // Why the last look failed; empty = it did not.
  std::string trouble() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::projections
