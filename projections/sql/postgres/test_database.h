// An empty PostgreSQL database for a test, on the server that ctest starts (scripts/postgres.sh).
#pragma once

#include <string>

namespace maily::sql {

// One a process, emptied each time one is made; dropped when the process ends. One at a time.
class TestDatabase {
 public:
  // Empty: there is none, say so and skip. Else the connection string of the server.
  static std::string ServerUrl();

  // CHECK: there is a server, and it answers.
  TestDatabase();
  const std::string& url() const { return url_; }
  // Runs a script as superuser, in this database; gives the first field of its last result. CHECK: it succeeds.
  std::string Run(const std::string& sql) const;
  // The same, where it may fail.
  bool Succeeds(const std::string& sql) const;
  // The same database with something added to the connection string: another user.
  TestDatabase With(const std::string& parameter) const;
  // Ends every other session in this database, as a server that is restarted does.
  void EndSessions() const;

 private:
  explicit TestDatabase(std::string url) : url_(std::move(url)) {}
  std::string url_;
};

}  // namespace maily::sql
