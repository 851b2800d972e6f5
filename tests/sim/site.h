// What a simulated process has that answers people: the read models, in real SQLite files of its machine, and the whole API without
// sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/api.h"
#include "projections/projector/projection.h"
#include "projections/sql/sql.h"
#include "streams/journal/tail.h"

namespace maily::simulation {

class Site {
 public:
  // All of it outlives the site.
  struct Parts {
    Log& log;
    journal::Tails& tails;
    command::Sender& sender;
    command::Replies& replies;
    keyring::Keyring& keyring;
    Clock& clock;
    Entropy& entropy;
    Executor& read_models;
    Executor& api;
    Executor& disk;
    Executor& bulk;
    std::string directory;
  };
  explicit Site(const Parts& parts);
  // As the process dies: what is not committed is taken back.
  ~Site();

  // Queries are answered by every read model.
  bool ready() const { return ready_ == groups_.size(); }
  const http::Router& router() const { return *router_; }
  projections::Views& views() { return *views_; }
  const std::vector<std::unique_ptr<projections::Projection>>& groups() const { return groups_; }
  // Why a read model stands still; empty = none does.
  std::string trouble() const;
  // A connection: gone when the process is.
  void Keep(std::shared_ptr<void> connection) { connections_.push_back(std::move(connection)); }

 private:
  api::Dependencies DependenciesOf(const Parts& parts);

  std::unique_ptr<sql::Databases> databases_;
  std::unique_ptr<projections::Views> views_;
  std::vector<std::unique_ptr<projections::Projection>> groups_;
  std::unique_ptr<api::Dependencies> dependencies_;
  std::unique_ptr<http::Router> router_;
  std::vector<std::shared_ptr<void>> connections_;
  size_t ready_ = 0;
  std::string error_;
};

}  // namespace maily::simulation
