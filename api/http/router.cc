// A tree of path segments.
#include "api/http/router.h"

#include "streams/base/result.h"

namespace maily::http {

Router::Router(std::vector<Route> routes) : Router() {
  for (Route& route : routes) Add(std::move(route));
}

void Router::Add(Route route) {
  MAILY_CHECK(route.pattern.starts_with('/'), "route pattern '{}'", route.pattern);
  MAILY_CHECK((route.handler != nullptr) != (route.open != nullptr), "route '{}' needs a handler or a sink", route.pattern);
  Node* node = root_.get();
  std::string_view rest = std::string_view(route.pattern).substr(1);
  for (bool last = false; !last;) {
    const size_t slash = rest.find('/');
    last = slash == std::string_view::npos;
    const std::string_view segment = rest.substr(0, slash);
    if (!last) rest.remove_prefix(slash + 1);
    if (!segment.starts_with('{')) {
      MAILY_CHECK(segment.find_first_of("{}") == std::string_view::npos, "route pattern '{}'", route.pattern);
      auto& next = node->literals[std::string(segment)];
      if (!next) next = std::make_unique<Node>();
      node = next.get();
      continue;
    }
    const size_t close = segment.find('}');
    MAILY_CHECK(close != std::string_view::npos && close > 1 && (close + 1 == segment.size() || segment[close + 1] == ':'),
                "route pattern '{}'", route.pattern);
    const std::string name(segment.substr(1, close - 1));
    auto& next = close + 1 == segment.size() ? node->any : node->verbs[std::string(segment.substr(close + 2))];
    if (!next) {
      next = std::make_unique<Node>();
      next->param = name;
    }
    MAILY_CHECK(next->param == name, "route '{}' names {{{}}} what another names {{{}}}", route.pattern, name, next->param);
    node = next.get();
  }
  for (const auto& [method, index] : node->ends) {
    MAILY_CHECK(method != route.method, "route {} {} exists twice", MethodName(method), route.pattern);
  }
  node->ends.emplace_back(route.method, rows_.size());
  rows_.push_back(std::make_unique<Route>(std::move(route)));
}

const Router::Node* Router::Walk(const Node& node, std::string_view rest, Params& params) {
  const size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  const auto step = [&](const Node& next) -> const Node* {
    if (slash != std::string_view::npos) return Walk(next, rest.substr(slash + 1), params);
    return next.ends.empty() ? nullptr : &next;
  };
  const auto with_param = [&](const Node& next, std::string_view value) -> const Node* {
    auto decoded = PercentDecode(value, false);
    if (!decoded || decoded->empty()) return nullptr;
    params.emplace_back(next.param, std::move(*decoded));
    const Node* found = step(next);
    if (found == nullptr) params.pop_back();
    return found;
  };
  if (const auto literal = node.literals.find(segment); literal != node.literals.end()) {
    if (const Node* found = step(*literal->second)) return found;
  }
  if (!node.verbs.empty()) {
    if (const size_t colon = segment.rfind(':'); colon != std::string_view::npos) {
      if (const auto verb = node.verbs.find(segment.substr(colon + 1)); verb != node.verbs.end()) {
        if (const Node* found = with_param(*verb->second, segment.substr(0, colon))) return found;
      }
    }
  }
  return node.any ? with_param(*node.any, segment) : nullptr;
}

Router::Match Router::Find(Method method, std::string_view path, Params& params) const {
  if (!path.starts_with('/')) return {.miss = Miss::kPath};
  const Node* node = Walk(*root_, path.substr(1), params);
  if (node == nullptr) return {.miss = Miss::kPath};
  for (const Method wanted : {method, method == Method::kHead ? Method::kGet : method}) {
    for (const auto& [has, index] : node->ends) {
      if (has == wanted) return {.route = rows_[index].get(), .index = index};
    }
  }
  return {.miss = Miss::kMethod};
}

std::string Router::Allow(std::string_view path) const {
  Params params;
  const Node* node = path.starts_with('/') ? Walk(*root_, path.substr(1), params) : nullptr;
  if (node == nullptr) return {};
  std::string allow;
  for (size_t m = 0; m < static_cast<size_t>(Method::kOther); ++m) {
    const auto method = static_cast<Method>(m);
    for (const auto& [has, index] : node->ends) {
      if (has == method || (method == Method::kHead && has == Method::kGet)) {
        if (!allow.empty()) allow.append(", ");
        allow.append(MethodName(method));
        break;
      }
    }
  }
  return allow;
}

}  // namespace maily::http
