// See options.h.
#include "streams/adapters/kafka/options.h"

#include <algorithm>
#include <fstream>

namespace maily::kafka {
namespace {

constexpr std::string_view kScheme = "kafka://";
// What else librdkafka can be told is what the guarantees of the log rest on.
constexpr std::string_view kAllowed[] = {"security.", "sasl.",      "ssl.",        "socket.",      "broker.",
                                         "client.",   "reconnect.", "enable.ssl.", "enable.sasl.", "debug"};

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 200 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool IsServer(std::string_view server) {
  const size_t colon = server.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || server.size() - colon > 6) return false;
  const std::string_view port = server.substr(colon + 1);
  return !port.empty() && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<Options> ParseAddress(const std::string& address) {
  const auto wrong = [&] {
    return Fail(Code::kInvalid, "the address of a log on Kafka is kafka://host:port[,host:port…][/prefix], not '{}'", address);
  };
  if (!address.starts_with(kScheme)) return wrong();
  std::string rest = address.substr(kScheme.size());
  Options options;
  if (const size_t slash = rest.find('/'); slash != std::string::npos) {
    options.prefix = rest.substr(slash + 1);
    rest.resize(slash);
    if (!IsName(options.prefix)) return wrong();
  }
  options.servers = rest;
  for (size_t from = 0; from <= rest.size();) {
    const size_t comma = std::min(rest.find(',', from), rest.size());
    if (!IsServer(std::string_view(rest).substr(from, comma - from))) return wrong();
    from = comma + 1;
  }
  return options;
}

Result<std::vector<std::pair<std::string, std::string>>> LoadProperties(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Fail(Code::kInvalid, "{}: cannot be read", path);
  std::vector<std::pair<std::string, std::string>> properties;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view text = Trimmed(line);
    if (text.empty() || text.front() == '#') continue;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) return Fail(Code::kInvalid, "{}:{}: a line is name=value", path, number);
    const std::string_view name = Trimmed(text.substr(0, equals));
    if (std::ranges::none_of(kAllowed, [&](std::string_view prefix) { return name.starts_with(prefix); })) {
      return Fail(Code::kInvalid,
                  "{}:{}: {} cannot be set here: only what concerns the connection can (security.*, sasl.*, ssl.*, socket.*, …)", path,
                  number, name);
    }
    properties.emplace_back(name, Trimmed(text.substr(equals + 1)));
  }
  return properties;
}

std::string CommandsTopic(const Options& options) { return options.prefix + ".commands"; }
std::string JournalTopic(const Options& options) { return options.prefix + ".journal"; }
std::string SettingsTopic(const Options& options) { return options.prefix + ".log"; }

}  // namespace maily::kafka
