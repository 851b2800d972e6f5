// Which handler a method and a path belong to. The routes are data: what is served can be printed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/http/message.h"

namespace maily::http {

// Pattern: literal segments and {name} segments; a {name} may be followed by a verb: /v1/campaigns/{id}:launch.
// A literal wins over {name}:verb, which wins over {name}. A path ending in '/' is another path than one that does not.
struct Route {
  Method method = Method::kGet;
  std::string pattern;
  Handler handler = nullptr;        // either a handler, which gets the body whole,
  OpenSink open = nullptr;          // or a factory of sinks, which get it in pieces
  size_t body_bytes_max = 1 << 20;  // larger: 413
};

class Router {
 public:
  // Why there is no route.
  enum class Miss { kNone, kPath, kMethod };
  struct Match {
    const Route* route = nullptr;
    size_t index = 0;  // of the route in rows()
    Miss miss = Miss::kNone;
  };

  Router() : root_(std::make_unique<Node>()) {}
  // A pattern that is malformed, or method and pattern that exist already, are a CHECK.
  explicit Router(std::vector<Route> routes);
  void Add(Route route);

  // `path` still percent-encoded; the parameters go to `params`, decoded. HEAD finds GET. Thread: any, once all routes are added.
  Match Find(Method method, std::string_view path, std::vector<std::pair<std::string_view, std::string>>& params) const;
  // "GET, HEAD, POST": the methods of a path; empty if it has none.
  std::string Allow(std::string_view path) const;

  const std::vector<std::unique_ptr<Route>>& rows() const { return rows_; }

 private:
  struct Node;
  using Params = std::vector<std::pair<std::string_view, std::string>>;
  static const Node* Walk(const Node& node, std::string_view rest, Params& params);

  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::map<std::string, std::unique_ptr<Node>, std::less<>> verbs;  // {param}:verb
    std::unique_ptr<Node> any;                                        // {param}
    std::string param;                                                // its name, of the {param} that led here
    std::vector<std::pair<Method, size_t>> ends;                      // routes that end here
  };
  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<Route>> rows_;
};

}  // namespace maily::http
