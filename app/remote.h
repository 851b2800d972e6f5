// Subcommands that ask a running server over HTTP. Most are rows of a table: method, path, and what goes into the body.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "app/subcommand.h"
#include "streams/base/result.h"

namespace maily::app {

// Where the server is and who asks: --server or MAILY_SERVER (default http://127.0.0.1:8080); --key-file, MAILY_KEY_FILE or MAILY_KEY
// (default <data>/admin.key of MAILY_DATA or ./maily-data).
struct Server {
  std::string url;
  std::string key;
};
struct ServerFlags {
  std::string server;
  std::string key_file;
  void AddTo(CLI::App& app);
  Result<Server> Resolve() const;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};
// One request. kRetry: the server cannot be reached. `pieces`, if given, produces the body piece by piece, an empty one at the end.
Result<HttpAnswer> Ask(const Server& server, const std::string& method, const std::string& path, const std::string& body,
                       const std::string& content_type, std::function<std::string()> pieces = nullptr);

// Prints an answer: JSON as it is, or as a table; a problem as a sentence. Gives the exit code.
int PrintAnswer(const Common& common, const HttpAnswer& answer);
// Asks once more on a terminal unless --yes; without a terminal and without --yes: false.
bool Confirm(const Common& common, const std::string& question);
// Percent-encodes everything but unreserved characters.
std::string PercentEncode(const std::string& text);

// All rows of the table.
void AddRemote(CLI::App& app, Chosen& chosen);

}  // namespace maily::app
