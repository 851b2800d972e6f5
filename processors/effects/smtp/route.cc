// See route.h.
#include "processors/effects/smtp/route.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace maily::smtp {
namespace {

constexpr size_t kHostsMax = 20;      // of a route
constexpr size_t kAddressesMax = 10;  // of a host

// Providers whose customers have mail servers of their own names, or many: the end of a name, and the site. Data from their own pages.
constexpr std::pair<std::string_view, std::string_view> kRollUps[] = {
    {".google.com", "google.com"},
    {".googlemail.com", "google.com"},
    {".olc.protection.outlook.com", "outlook.com"},
    {".mail.protection.outlook.com", "protection.outlook.com"},
    {".mx.microsoft", "protection.outlook.com"},
    {".yahoodns.net", "yahoodns.net"},
    {".icloud.com", "icloud.com"},
    {".pphosted.com", "pphosted.com"},
    {".ppe-hosted.com", "ppe-hosted.com"},
    {".mimecast.com", "mimecast.com"},
    {".barracudanetworks.com", "barracudanetworks.com"},
    {".iphmx.com", "iphmx.com"},
    {".messagelabs.com", "messagelabs.com"},
    {".messagingengine.com", "messagingengine.com"},
    {".zoho.com", "zoho.com"},
    {".zoho.eu", "zoho.com"},
    {".secureserver.net", "secureserver.net"},
    {".emailsrvr.com", "emailsrvr.com"},
    {".kundenserver.de", "kundenserver.de"},
    {".gmx.net", "gmx.net"},
    {".web.de", "web.de"},
    {".mail.ru", "mail.ru"},
    {".yandex.ru", "yandex.ru"},
    {".yandex.net", "yandex.ru"},
    {".qq.com", "qq.com"},
    {".netease.com", "netease.com"},
};

Verdict Bounce(std::string enhanced, std::string text) {
  return {.kind = Verdict::Kind::kBounced, .stage = Stage::kConnect, .code = 0, .enhanced = std::move(enhanced), .text = std::move(text)};
}
Verdict Later(std::string text) { return {.kind = Verdict::Kind::kDeferred, .stage = Stage::kConnect, .text = std::move(text)}; }

bool IsV6(std::string_view literal) { return literal.find(':') != std::string_view::npos; }

// RFC 1918, RFC 6598, RFC 3927, RFC 4193 and this machine's own.
bool IsPrivate(const std::string& address) {
  if (IsLoopback(address) || address.starts_with("0.") || address.starts_with("10.") || address.starts_with("192.168.") ||
      address.starts_with("169.254.")) {
    return true;
  }
  const auto second = [&]() { return std::atoi(address.c_str() + address.find('.') + 1); };
  if (address.starts_with("172.")) return second() >= 16 && second() <= 31;
  if (address.starts_with("100.")) return second() >= 64 && second() <= 127;
  return address == "::" || address.starts_with("fc") || address.starts_with("fd") || address.starts_with("fe8") ||
         address.starts_with("fe9") || address.starts_with("fea") || address.starts_with("feb");
}

}  // namespace

std::string SiteOf(const std::vector<std::string>& hosts) {
  for (const auto& [end, site] : kRollUps) {
    if (hosts.front().ends_with(end)) return std::string(site);
  }
  return hosts.front();
}

void Router::Find(const std::string& domain, std::move_only_function<void(Found)> done) {
  resolver_.Mx(domain, executor_, [this, domain, done = std::move(done)](Result<DnsAnswer> answer) mutable {
    if (!answer) {
      const bool never = !HostName(domain);  // the mode of this instance may also forbid the question
      const std::string text = fmt::format("the DNS says nothing of {}: {}", domain, answer.error().message);
      return done({.verdict = never ? Bounce("5.1.2", text) : Later(text)});
    }
    if (answer->kind == DnsAnswer::Kind::kNoName) return done({.verdict = Bounce("5.1.2", fmt::format("there is no domain {}", domain))});
    if (answer->IsNullMx()) return done({.verdict = Bounce("5.1.10", fmt::format("{} takes no mail (null MX)", domain))});
    if (answer->kind == DnsAnswer::Kind::kNoData) {
      // RFC 5321 §5.1: without an MX the domain itself is the host.
      return done({.route = {.site = SiteOf({domain}), .hosts = {domain}}});
    }
    std::vector<DnsRecord>& records = answer->records;
    std::ranges::sort(
        records, [](const DnsRecord& a, const DnsRecord& b) { return std::tie(a.preference, a.value) < std::tie(b.preference, b.value); });
    Found found;
    found.route.site = SiteOf({records.front().value});  // before equals are mixed: a name that stays
    // Equals in an order by chance: Fisher and Yates.
    for (size_t begin = 0; begin < records.size();) {
      size_t end = begin + 1;
      while (end < records.size() && records[end].preference == records[begin].preference) ++end;
      for (size_t i = end - begin; i > 1; --i) std::swap(records[begin + i - 1], records[begin + entropy_.Next() % i]);
      begin = end;
    }
    for (const DnsRecord& record : records) {
      if (record.value != "." && found.route.hosts.size() < kHostsMax) found.route.hosts.push_back(record.value);
    }
    if (found.route.hosts.empty()) found.verdict = Bounce("5.1.10", fmt::format("{} names no mail server", domain));
    done(std::move(found));
  });
}

struct Connector::Impl : std::enable_shared_from_this<Impl> {
  Impl(Options options_in, Dialer& dialer_in, Resolver* resolver_in, Executor& executor_in)
      : options(std::move(options_in)), dialer(dialer_in), resolver(resolver_in), executor(executor_in) {}

  // One search for a connection.
  struct Search {
    Done done;
    size_t tried = 0;  // hosts
    Endpoint host;
    std::vector<std::string> addresses;  // of it, not tried yet; the last first
    std::string why = "there is no host";
  };

  void NextHost(const std::shared_ptr<Search>& search) {
    if (search->tried >= options.hosts.size()) return search->done(Fail(Code::kRetry, "{}", search->why));
    search->host = options.hosts[(begin + search->tried++) % options.hosts.size()];
    if (!options.look_up) {
      search->addresses = {search->host.host};
      return NextAddress(search);
    }
    resolver->Addresses(search->host.host, executor, [weak = weak_from_this(), search](Result<DnsAnswer> answer) {
      const auto self = weak.lock();
      if (!self) return;
      if (!answer) {
        search->why = fmt::format("{}: {}", search->host.host, answer.error().message);
      } else if (answer->records.empty()) {
        search->why = fmt::format("{} has no address", search->host.host);
      } else {
        for (const DnsRecord& record : answer->records) {
          if (!self->options.private_allowed && IsPrivate(record.value)) {
            search->why = fmt::format("{} is at {}, an address of a private network", search->host.host, record.value);
          } else if (search->addresses.size() < kAddressesMax) {
            search->addresses.insert(search->addresses.begin(), record.value);
          }
        }
      }
      self->NextAddress(search);
    });
  }

  void NextAddress(const std::shared_ptr<Search>& search) {
    if (search->addresses.empty()) return NextHost(search);
    const Endpoint to{search->addresses.back(), search->host.port};
    search->addresses.pop_back();
    std::string local;
    if (!options.from.empty()) {
      const auto found = std::ranges::find_if(options.from, [&](const std::string& one) { return IsV6(one) == IsV6(to.host); });
      if (found == options.from.end()) {
        search->why = fmt::format("no address of its family to reach {} from", to.host);
        return NextAddress(search);
      }
      local = *found;
    }
    dialer.DialFrom(local, to, options.dial_timeout, [weak = weak_from_this(), search](Result<std::unique_ptr<Connection>> dialed) {
      const auto self = weak.lock();
      if (!self) return;
      if (dialed) return search->done(Connected{std::move(*dialed), search->host.host});
      search->why = dialed.error().message;
      self->NextAddress(search);
    });
  }

  const Options options;
  Dialer& dialer;
  Resolver* const resolver;
  Executor& executor;
  size_t begin = 0;
};

Connector::Connector(Options options, Dialer& dialer, Resolver* resolver, Executor& executor)
    : impl_(std::make_shared<Impl>(std::move(options), dialer, resolver, executor)) {}
Connector::~Connector() = default;

void Connector::Connect(Done done) {
  auto search = std::make_shared<Impl::Search>();
  search->done = std::move(done);
  impl_->NextHost(search);
}
void Connector::Useless() { ++impl_->begin; }
std::string Connector::name() const { return impl_->options.hosts.empty() ? "" : impl_->options.hosts.front().ToString(); }

}  // namespace maily::smtp
