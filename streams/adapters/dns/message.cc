// All records of the answer section are read first, then the chain of aliases is walked.
#include "streams/adapters/dns/message.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "streams/base/bytes.h"

namespace maily::dns {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kNameBytesMax = 255;  // on the wire: RFC 1035 §2.3.4
constexpr int kPointersMax = 128;      // of one name: more than it can have labels
constexpr int kAliasesMax = 16;
constexpr uint16_t kClassInternet = 1;
constexpr uint16_t kNoSuchName = 3;

struct WireRecord {
  std::string owner;
  uint16_t type = 0;
  uint32_t ttl_seconds = 0;
  size_t data_at = 0;
  size_t data_bytes = 0;
};

uint16_t Number16(std::string_view message, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(message[at]) << 8 | static_cast<uint8_t>(message[at + 1]));
}

void AppendLabel(std::string& name, std::string_view label) {
  if (!name.empty()) name.push_back('.');
  for (const char c : label) {
    const auto byte = static_cast<uint8_t>(c);
    if (c >= 'A' && c <= 'Z') {
      name.push_back(static_cast<char>(c + ('a' - 'A')));
    } else if (byte <= 0x20 || byte >= 0x7F || c == '.' || c == '\\') {
      name.push_back('\\');
      for (const int unit : {100, 10, 1}) name.push_back(static_cast<char>('0' + byte / unit % 10));
    } else {
      name.push_back(c);
    }
  }
}

// The name at `at`, which moves behind it. None: it is cut, too long, or its pointers do not lead backwards (RFC 1035 §4.1.4),
// or are too many.
std::optional<std::string> ReadName(std::string_view message, size_t& at) {
  std::string name;
  size_t wire_bytes = 1;  // the root
  size_t next = at;
  size_t before = at;  // pointers go to what stands before it: so they end
  int jumps = 0;
  for (;;) {
    if (next >= message.size()) return std::nullopt;
    const auto length = static_cast<uint8_t>(message[next]);
    if (length >= 0xC0) {
      if (next + 2 > message.size()) return std::nullopt;
      const size_t to = Number16(message, next) & 0x3FFF;
      if (jumps == 0) at = next + 2;
      if (to >= before || ++jumps > kPointersMax) return std::nullopt;
      before = next = to;
      continue;
    }
    if (length > 63) return std::nullopt;
    if (length == 0) {
      if (jumps == 0) at = next + 1;
      return name.empty() ? "." : name;
    }
    wire_bytes += 1 + length;
    if (wire_bytes > kNameBytesMax || next + 1 + length > message.size()) return std::nullopt;
    AppendLabel(name, message.substr(next + 1, length));
    next += 1 + length;
  }
}

Error Malformed(const std::string& name, std::string_view what) {
  return Fail(Code::kRetry, "the answer of the DNS server about {} is malformed: {}", name, what);
}

// The records of class IN of the answer section.
Result<std::vector<WireRecord>> ReadRecords(std::string_view message, const std::string& name) {
  size_t at = kHeaderBytes;
  for (uint16_t i = 0; i < Number16(message, 4); ++i) {
    if (!ReadName(message, at) || at + 4 > message.size()) return Malformed(name, "its question is cut");
    at += 4;
  }
  std::vector<WireRecord> records;
  for (uint16_t i = 0; i < Number16(message, 6); ++i) {
    auto owner = ReadName(message, at);
    if (!owner || at + 10 > message.size()) return Malformed(name, "a record is cut");
    WireRecord record{.owner = std::move(*owner), .type = Number16(message, at)};
    const uint16_t in_class = Number16(message, at + 2);
    record.ttl_seconds = static_cast<uint32_t>(Number16(message, at + 4)) << 16 | Number16(message, at + 6);
    // RFC 2181 §8: with the highest bit set it counts as zero.
    if (record.ttl_seconds > INT32_MAX) record.ttl_seconds = 0;
    record.data_bytes = Number16(message, at + 8);
    record.data_at = at + 10;
    at = record.data_at + record.data_bytes;
    if (at > message.size()) return Malformed(name, "the data of a record is cut");
    if (in_class == kClassInternet) records.push_back(std::move(record));
  }
  return records;
}

// A name that fills the data of a record from `skip` on.
std::optional<std::string> NameIn(std::string_view message, const WireRecord& record, size_t skip) {
  size_t at = record.data_at + skip;
  auto name = ReadName(message.substr(0, record.data_at + record.data_bytes), at);
  if (name && at != record.data_at + record.data_bytes) return std::nullopt;
  return name;
}

// The strings of a TXT record (RFC 1035 §3.3.14) without anything between them.
std::optional<std::string> JoinStrings(std::string_view data) {
  std::string joined;
  if (data.empty()) return std::nullopt;
  while (!data.empty()) {
    const auto length = static_cast<uint8_t>(data.front());
    data.remove_prefix(1);
    if (length > data.size()) return std::nullopt;
    joined += data.substr(0, length);
    data.remove_prefix(length);
  }
  return joined;
}

std::optional<DnsRecord> ReadData(std::string_view message, const WireRecord& record) {
  const std::string_view data = message.substr(record.data_at, record.data_bytes);
  DnsRecord out;
  char text[INET6_ADDRSTRLEN] = "";
  switch (static_cast<WireType>(record.type)) {
    case WireType::kA:
    case WireType::kAaaa: {
      const bool v4 = record.type == static_cast<uint16_t>(WireType::kA);
      if (data.size() != (v4 ? 4U : 16U)) return std::nullopt;
      inet_ntop(v4 ? AF_INET : AF_INET6, data.data(), text, sizeof(text));
      out.value = text;
      return out;
    }
    case WireType::kMx:
      if (data.size() < 3) return std::nullopt;
      out.preference = Number16(data, 0);
      [[fallthrough]];
    case WireType::kPtr:
    case WireType::kCname: {
      auto name = NameIn(message, record, record.type == static_cast<uint16_t>(WireType::kMx) ? 2 : 0);
      if (!name) return std::nullopt;
      out.value = std::move(*name);
      return out;
    }
    case WireType::kTxt: {
      auto joined = JoinStrings(data);
      if (!joined) return std::nullopt;
      out.value = std::move(*joined);
      return out;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<DnsAnswer> ReadAnswer(std::string_view message, const std::string& name, WireType type) {
  if (message.size() < kHeaderBytes) return Malformed(name, "it is shorter than a header");
  const uint16_t flags = Number16(message, 2);
  if ((flags & 0x8000) == 0) return Malformed(name, "it is a question");
  const int code = flags & 0xF;
  if (code == kNoSuchName) return DnsAnswer{.kind = DnsAnswer::Kind::kNoName};
  if (code != 0) return Fail(Code::kRetry, "the DNS server answers about {} with code {}", name, code);
  MAILY_TRY(const std::vector<WireRecord> records, ReadRecords(message, name));
  std::string owner = name;
  uint32_t ttl_seconds = INT32_MAX;
  for (int aliases = 0;; ++aliases) {
    const auto alias = std::ranges::find_if(records, [&owner](const WireRecord& record) {
      return record.type == static_cast<uint16_t>(WireType::kCname) && record.owner == owner;
    });
    if (alias == records.end()) break;
    if (aliases == kAliasesMax) return Malformed(name, "its aliases do not end");
    auto target = NameIn(message, *alias, 0);
    if (!target) return Malformed(name, "an alias is no name");
    owner = std::move(*target);
    ttl_seconds = std::min(ttl_seconds, alias->ttl_seconds);
  }
  DnsAnswer answer;
  for (const WireRecord& record : records) {
    if (record.type != static_cast<uint16_t>(type) || record.owner != owner) continue;
    if (answer.records.size() == DnsAnswer::kRecordsMax) break;
    auto read = ReadData(message, record);
    if (!read) return Malformed(name, "the data of a record does not fit its type");
    answer.records.push_back(std::move(*read));
    ttl_seconds = std::min(ttl_seconds, record.ttl_seconds);
  }
  if (answer.records.empty()) return answer;
  answer.kind = DnsAnswer::Kind::kRecords;
  answer.ttl = Seconds(ttl_seconds);
  return answer;
}

}  // namespace maily::dns
