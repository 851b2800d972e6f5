// Questions to the DNS, for those who send mail. Adapters: dns (c-ares; and a cache over any other), sim.
//
// A name that is looked up is a host name in A-labels: letters, digits, '-' and '_', labels of at most 63 bytes, at most 253 in all; a dot
// at the end is taken off, and upper case is lower case. Only the DNS is asked: no hosts file, no search list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/env.h"

namespace maily {

enum class DnsType : uint8_t {
  kMx,
  kAddress,  // A and AAAA together
  kTxt,
  kPtr,
};
// "MX", "A/AAAA", "TXT", "PTR".
std::string_view DnsTypeName(DnsType type);

struct DnsQuestion {
  DnsType type = DnsType::kAddress;
  std::string name;
  auto operator<=>(const DnsQuestion&) const = default;
  std::string ToString() const;  // "MX of example.com"
};

struct DnsRecord {
  // MX, PTR: a name in lower case without a dot at its end, "." for the root; a byte that no host name has stands as \DDD (RFC 1035 §5.1).
  // A, AAAA: an IP literal. TXT: the strings of one record, joined without anything between them: any bytes.
  std::string value;
  uint16_t preference = 0;  // of MX: the lowest first
  bool operator==(const DnsRecord&) const = default;
};

// What the DNS says of a question.
struct DnsAnswer {
  enum class Kind : uint8_t {
    kRecords,  // at least one
    kNoName,   // NXDOMAIN: nothing of any type has this name
    kNoData,   // the name is there, without records of this type (RFC 2308 §2.2)
  };
  // More records than these are left out. A message has at most 64 KiB.
  static constexpr size_t kRecordsMax = 512;

  Kind kind = Kind::kNoData;
  std::vector<DnsRecord> records = {};  // in the order of the answer; of addresses A before AAAA
  Duration ttl = {};                    // how long the records may be kept: the least of all that led to them; 0 without records

  // RFC 7505 §3: the domain takes no mail: a single MX of preference 0 whose host is the root.
  bool IsNullMx() const;
};

// kRetry: a temporary failure (SERVFAIL, REFUSED, no answer in time, a malformed one, too many questions at once). kInvalid: this is no
// host name or no IP address, or the mode of this instance forbids the question (sandbox: servers on loopback only; held: none).
using DnsDone = std::move_only_function<void(Result<DnsAnswer>)>;

// Thread: any.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // `done` runs once, on `on`, never within the call; it is dropped, not called, if the resolver is destroyed before. `on` must outlive the
  // answer or the resolver. The name of a kPtr question is that of ReverseName().
  virtual void Ask(DnsQuestion question, Executor& on, DnsDone done) = 0;

  void Mx(std::string domain, Executor& on, DnsDone done) { Ask({DnsType::kMx, std::move(domain)}, on, std::move(done)); }
  void Addresses(std::string host, Executor& on, DnsDone done) { Ask({DnsType::kAddress, std::move(host)}, on, std::move(done)); }
  void Txt(std::string name, Executor& on, DnsDone done) { Ask({DnsType::kTxt, std::move(name)}, on, std::move(done)); }
  // The names of an IP literal.
  void Ptr(std::string_view ip, Executor& on, DnsDone done);
};

// The form in which names are asked for and compared. kInvalid: why it is none.
Result<std::string> HostName(std::string_view text);
// "2.0.0.127.in-addr.arpa" (RFC 1035 §3.5), or the nibbles of ip6.arpa (RFC 3596 §2.5). kInvalid: no IP literal.
Result<std::string> ReverseName(std::string_view ip);
// Whether the IP literal is in 127.0.0.0/8 or ::1; false for what is no IP literal.
bool IsLoopback(const std::string& ip);

}  // namespace maily
