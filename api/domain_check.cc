// See domain_check.h.
//
// The rules are a pure function of the answers known so far: what they miss is noted and asked for, and at each answer they are gone
// through again. That ends: includes of SPF count against the lookups, DMARC walks up at most kWalkMax names, hosts of PTR are cut.
#include "api/domain_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "api/domain_records.h"

namespace maily::api {
namespace {

constexpr size_t kFoundBytesMax = 160;
constexpr size_t kSpfLookupsMax = 10;  // RFC 7208 §4.6.4
constexpr size_t kWalkMax = 8;         // names that are asked for a DMARC record
constexpr size_t kPtrNamesMax = 4;     // names of one address that are looked at

// What the DNS has said, and what it is to be asked.
class Known {
 public:
  // Null: not known yet; it is asked for.
  const Result<DnsAnswer>* Look(DnsType type, const std::string& name) {
    const DnsQuestion question{type, name};
    const auto [at, fresh] = answers_.try_emplace(question);
    if (at->second) return &*at->second;
    if (end_) return &*end_;
    if (fresh) wanted_.push_back(question);
    return nullptr;
  }
  // Each question once.
  std::vector<DnsQuestion> TakeWanted() { return std::exchange(wanted_, {}); }
  void Learn(const DnsQuestion& question, Result<DnsAnswer> answer) { answers_[question] = std::move(answer); }
  // What is not known fails so from now on.
  void End(Error error) { end_ = std::move(error); }

 private:
  std::map<DnsQuestion, std::optional<Result<DnsAnswer>>> answers_;
  std::optional<Result<DnsAnswer>> end_;
  std::vector<DnsQuestion> wanted_;
};

std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kFoundBytesMax));
  std::ranges::replace_if(shown, [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return text.size() > kFoundBytesMax ? shown + "..." : shown;
}

// Whether `name` is `above`, or below it.
bool IsWithin(const std::string& name, const std::string& above) { return name == above || name.ends_with("." + above); }

// How a rule stands, without its name. None: an answer is missing.
struct Finding {
  bool ok = false;
  std::string found;
  std::string fix = {};
};
using Found = std::optional<Finding>;

Finding Unanswered(const std::string& domain, const Error& error) {
  if (error.code == Code::kInvalid) {
    return {false, Shown(error.message), "let this instance ask: set dns_servers to a server that it may reach, then check again"};
  }
  return {false, Shown(error.message), fmt::format("a temporary failure of the DNS: try again, maily domain check {}", domain)};
}

std::string Publish(std::string_view type, std::string_view at, std::string_view value) {
  return fmt::format("publish one {} at {}: \"{}\"", type, at, value);
}

// The TXT records that `fits` takes.
template <class Fits>
std::vector<std::string> TextsOf(const DnsAnswer& answer, Fits fits) {
  std::vector<std::string> texts;
  for (const DnsRecord& record : answer.records) {
    if (fits(record.value)) texts.push_back(record.value);
  }
  return texts;
}

// RFC 6376 §3.6.1: what is published is the key, whatever its white space and the order of its tags.
Found Dkim(const DomainToCheck& domain, const PublishedKey& key, Known& known) {
  const std::string at = key.selector + "._domainkey." + domain.name;
  const auto* answer = known.Look(DnsType::kTxt, at);
  if (answer == nullptr) return {};
  if (!*answer) return Unanswered(domain.name, answer->error());
  const std::string fix = Publish("TXT", at, key.dns_value);
  const auto& records = (*answer)->records;
  if (records.empty()) return Finding{false, fmt::format("no TXT at {}", at), fix};
  if (records.size() > 1) return Finding{false, fmt::format("{} TXT at {}", records.size(), at), fix + ", and take the others away"};
  const auto published = ParseTags(records[0].value);
  const auto own = ParseTags(key.dns_value);
  if (!published) return Finding{false, Shown(fmt::format("{}: {}", published.error().message, records[0].value)), fix};
  if (!own) return Finding{false, "the domain's own record cannot be read", fix};
  const auto value = [](const std::vector<Tag>& tags, std::string_view name, std::string_view fallback) {
    return WithoutSpace(TagValue(tags, name, fallback));
  };
  const std::string found = value(*published, "p", "");
  if (value(*published, "v", "DKIM1") != "DKIM1" || value(*published, "k", "rsa") != value(*own, "k", "rsa") ||
      found != value(*own, "p", "")) {
    const char* what = found.empty() ? "a revoked key" : "another key";
    return Finding{false, Shown(fmt::format("{}: {}", what, records[0].value)), fix};
  }
  return Finding{true, Shown(records[0].value)};
}

// RFC 7208. One walk over a record and those that it includes.
class SpfWalk {
 public:
  explicit SpfWalk(Known& known) : known_(known) {}

  // Of a record that is included; `all_matters`: if it lets everybody send, so does the whole.
  void Include(const std::string& name, bool all_matters) {
    const auto* answer = known_.Look(DnsType::kTxt, name);
    if (answer == nullptr) {
      missing_ = true;
      return;
    }
    if (!*answer) {
      if (!failed_) failed_ = answer->error();
      return;
    }
    const auto records = TextsOf(**answer, IsSpf);
    if (records.size() != 1) return Object(fmt::format("{} has {} v=spf1 records, which is an error (RFC 7208)", name, records.size()));
    Record(name, records[0], all_matters);
  }
  void Record(const std::string& name, const std::string& record, bool all_matters) {
    const auto terms = ParseSpf(record);
    if (!terms) return Object(fmt::format("at {}: {}", name, terms.error().message));
    const SpfTerm* redirect = nullptr;
    const SpfTerm* all = nullptr;
    for (const SpfTerm& term : *terms) {
      if (term.name == "redirect") redirect = &term;
      if (all != nullptr || term.modifier) continue;  // what follows all is not looked at (§5.1)
      if (term.name == "all") all = &term;
      if (term.asks() && ++lookups_ > kSpfLookupsMax) return;
      if (term.name == "include" && !term.has_macro()) Include(HostName(term.value).value(), all_matters && term.qualifier == '+');
      if (lookups_ > kSpfLookupsMax) return;
    }
    if (all != nullptr) {
      if (all->qualifier == '+' && all_matters) Object(fmt::format("+all at {} lets everybody send", name));
      return;
    }
    if (redirect == nullptr || ++lookups_ > kSpfLookupsMax || redirect->has_macro()) return;
    Include(HostName(redirect->value).value(), all_matters);
  }

  size_t lookups() const { return lookups_; }
  bool missing() const { return missing_; }
  const std::optional<Error>& failed() const { return failed_; }
  const std::string& objection() const { return objection_; }

 private:
  void Object(std::string why) {
    if (objection_.empty()) objection_ = std::move(why);
  }

  Known& known_;
  size_t lookups_ = 0;
  bool missing_ = false;
  std::optional<Error> failed_;
  std::string objection_;
};

Found Spf(const DomainToCheck& domain, Known& known) {
  const std::string& at = domain.return_path.empty() ? domain.name : domain.return_path;
  const auto* answer = known.Look(DnsType::kTxt, at);
  if (answer == nullptr) return {};
  if (!*answer) return Unanswered(domain.name, answer->error());
  const std::string good = Publish("TXT", at, "v=spf1 a mx ~all") + ", with every address that mails leave from: ip4:, ip6: or include:";
  const auto records = TextsOf(**answer, IsSpf);
  if (records.empty()) return Finding{false, fmt::format("no v=spf1 record at {}", at), good};
  if (records.size() > 1) {
    return Finding{false, fmt::format("{} v=spf1 records at {}", records.size(), at),
                   fmt::format("publish one TXT with v=spf1 at {}: put what the {} say into one record", at, records.size())};
  }
  const std::string& record = records[0];
  const auto terms = ParseSpf(record);
  if (!terms) return Finding{false, Shown(terms.error().message + ": " + record), good};
  SpfWalk walk(known);
  walk.Record(at, record, true);
  if (walk.missing() && walk.lookups() <= kSpfLookupsMax) return {};
  if (walk.lookups() > kSpfLookupsMax) {
    return Finding{false, Shown(fmt::format("more than {} DNS lookups: {}", kSpfLookupsMax, record)),
                   Publish("TXT", at, "v=spf1 ip4:... ~all") + ", with addresses in place of include:, a and mx"};
  }
  if (!walk.objection().empty()) return Finding{false, Shown(walk.objection() + ": " + record), good};
  if (walk.failed()) return Unanswered(domain.name, *walk.failed());
  const auto all = std::ranges::find(*terms, "all", &SpfTerm::name);
  const bool redirects = std::ranges::find(*terms, "redirect", &SpfTerm::name) != terms->end();
  if (all == terms->end() && !redirects) {
    return Finding{false, Shown(record),
                   Publish("TXT", at, Shown(record) + " ~all") + ": without all at its end it says nothing of others"};
  }
  if (all != terms->end() && std::any_of(all + 1, terms->end(), [](const SpfTerm& term) { return !term.modifier; })) {
    return Finding{false, Shown("terms behind all count for nothing: " + record),
                   fmt::format("publish the TXT at {} with all as its last term", at)};
  }
  return Finding{true, Shown(fmt::format("{} ({} of {} lookups)", record, walk.lookups(), kSpfLookupsMax))};
}

// RFC 7489 §6.6.3, with a walk in the place of a list of public suffixes: the record of the domain itself, else the first one on the way
// up to names of two labels.
Found Dmarc(const DomainToCheck& domain, Known& known) {
  const std::string fix = Publish("TXT", "_dmarc." + domain.name, "v=DMARC1; p=none");
  std::string above = domain.name;
  for (size_t step = 0; step < kWalkMax && above.find('.') != std::string::npos; ++step, above.erase(0, above.find('.') + 1)) {
    const std::string at = "_dmarc." + above;
    const auto* answer = known.Look(DnsType::kTxt, at);
    if (answer == nullptr) return {};
    if (!*answer) return Unanswered(domain.name, answer->error());
    const auto records = TextsOf(**answer, [](std::string_view text) { return BeginsWithTag(text, "v", "DMARC1"); });
    if (records.empty()) continue;
    if (records.size() > 1) {
      return Finding{false, fmt::format("{} v=DMARC1 records at {}", records.size(), at), fix + ", and take the others away"};
    }
    const auto tags = ParseTags(records[0]);
    const auto is_policy = [](const std::string& p) { return p == "none" || p == "quarantine" || p == "reject"; };
    const std::string policy = tags ? TagValue(*tags, "p") : "";
    if (!is_policy(policy) || !is_policy(TagValue(*tags, "sp", policy))) {
      return Finding{false, Shown(fmt::format("p= is not none, quarantine or reject at {}: {}", at, records[0])), fix};
    }
    return Finding{true, Shown(fmt::format("{} at {}", records[0], at))};
  }
  return Finding{false, fmt::format("no v=DMARC1 record at _dmarc.{}, nor above it", domain.name), fix};
}

// RFC 7489 §3.1: From is of this domain, or below it; d= is this domain, as signatures are made here; MAIL FROM is of the return path.
Finding Alignment(const DomainToCheck& domain) {
  const std::string& path = domain.return_path;
  if (path.empty()) return {true, fmt::format("d={}, MAIL FROM is the address in From", domain.name)};
  if (IsWithin(path, domain.name)) return {true, fmt::format("d={}, MAIL FROM at {}", domain.name, path)};
  return {false, fmt::format("MAIL FROM at {}, From at {}", path, domain.name),
          fmt::format("remove the domain and add it with --return-path bounces.{0}, and publish the records of bounces.{0}", domain.name)};
}

Found ReturnPathMx(const DomainToCheck& domain, Known& known) {
  const bool own = !domain.return_path.empty();
  const std::string& at = own ? domain.return_path : domain.name;
  const auto* answer = known.Look(DnsType::kMx, at);
  if (answer == nullptr) return {};
  if (!*answer) return Unanswered(domain.name, answer->error());
  const bool ours = own && !domain.mail_host.empty();
  const std::string wanted = ours ? domain.mail_host : "the host that takes bounces in";
  const std::string fix = Publish("MX", at, "10 " + wanted);
  const DnsAnswer& mx = **answer;
  if (mx.records.empty()) return Finding{false, fmt::format("no MX at {}", at), fix};
  const DnsRecord& best = *std::ranges::min_element(mx.records, {}, &DnsRecord::preference);
  if (mx.IsNullMx() || best.value == ".") return Finding{false, fmt::format("a null MX at {}: it takes no mail", at), fix};
  const std::string found = Shown(fmt::format("{} {}", best.preference, best.value));
  if (ours && best.value != domain.mail_host) return Finding{false, found, fix};
  const auto host = HostName(best.value);
  if (!host) return Finding{false, found + ": no host name", fix};
  const auto* addresses = known.Look(DnsType::kAddress, *host);
  if (addresses == nullptr) return {};
  if (!*addresses) return Unanswered(domain.name, addresses->error());
  if ((*addresses)->records.empty()) return Finding{false, found + ", which has no address", Publish("A or AAAA", *host, "<its address>")};
  return Finding{true, found};
}

// RFC 8601 §2.7.3 (iprev): an address of one of the names that the address has is the address.
Found Ptr(const DomainToCheck& domain, const std::string& ip, Known& known) {
  const auto reverse = ReverseName(ip);
  if (!reverse) return Finding{false, Shown(reverse.error().message), "set source_addresses to IP addresses"};
  const auto* answer = known.Look(DnsType::kPtr, *reverse);
  if (answer == nullptr) return {};
  if (!*answer) return Unanswered(domain.name, answer->error());
  const std::string fix = fmt::format("publish a PTR at {}: the name of the sending host, and an {} at that name: {}", *reverse,
                                      ip.find(':') == std::string::npos ? "A" : "AAAA", ip);
  if ((*answer)->records.empty()) return Finding{false, fmt::format("no PTR at {}", *reverse), fix};
  bool missing = false;
  std::optional<Error> failed;
  for (size_t i = 0; i < std::min((*answer)->records.size(), kPtrNamesMax); ++i) {
    const auto host = HostName((*answer)->records[i].value);
    if (!host) continue;
    const auto* addresses = known.Look(DnsType::kAddress, *host);
    missing = missing || addresses == nullptr;
    if (addresses == nullptr) continue;
    if (!*addresses) {
      failed = addresses->error();
      continue;
    }
    for (const DnsRecord& record : (*addresses)->records) {
      const auto back = ReverseName(record.value);
      if (back && *back == *reverse) return Finding{true, *host};
    }
  }
  if (missing) return {};
  if (failed) return Unanswered(domain.name, *failed);
  return Finding{false, Shown(fmt::format("{}, which has not the address {}", (*answer)->records[0].value, ip)), fix};
}

// The host of "https://news.example.com:8443/x".
std::string HostOf(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  if (url.starts_with('[')) return std::string(url.substr(1, url.find(']') - 1));
  return std::string(url.substr(0, url.rfind(':')));
}

// RFC 8058 §3.1: the URI of List-Unsubscribe is https.
Found OneClick(const DomainToCheck& domain, Known& known) {
  const std::string& url = domain.tracking_base_url;
  const std::string host = HostOf(url);
  const bool loopback = host == "localhost" || IsLoopback(host);
  const std::string fix =
      "set tracking_base_url to the https address under which the world reaches this server, and publish an A or AAAA at its host";
  if (!url.starts_with("https://") && !(url.starts_with("http://") && loopback && !domain.live)) return Finding{false, Shown(url), fix};
  if (ReverseName(host) || loopback) return Finding{true, Shown(url)};
  const auto name = HostName(host);
  if (!name) return Finding{false, Shown(url), fix};
  const auto* answer = known.Look(DnsType::kAddress, *name);
  if (answer == nullptr) return {};
  if (!*answer) return Unanswered(domain.name, answer->error());
  if ((*answer)->records.empty()) {
    return Finding{false, fmt::format("{} has no address", *name),
                   Publish("A or AAAA", *name, "<the address under which the world reaches this server>")};
  }
  return Finding{true, Shown(url)};
}

// Every rule, by what is known. A line without its answers is not ok, and stands for nothing.
std::vector<RuleLine> Lines(const DomainToCheck& domain, Known& known) {
  std::vector<RuleLine> lines;
  const auto add = [&](std::string rule, Found found) {
    Finding finding = found.value_or(Finding{});
    lines.push_back({std::move(rule), finding.ok, std::move(finding.found), std::move(finding.fix)});
  };
  for (const PublishedKey& key : domain.keys) add("dkim:" + key.selector, Dkim(domain, key, known));
  add("spf", Spf(domain, known));
  add("dmarc", Dmarc(domain, known));
  add("alignment", Alignment(domain));
  add("return_path_mx", ReturnPathMx(domain, known));
  for (const std::string& ip : domain.source_addresses) add("ptr:" + ip, Ptr(domain, ip, known));
  add("one_click", OneClick(domain, known));
  return lines;
}

// One check, on its executor.
struct Check : std::enable_shared_from_this<Check> {
  Check(DomainToCheck checked, Resolver& asked, Executor& on, RuleLinesDone then)
      : domain(std::move(checked)), resolver(asked), executor(on), done(std::move(then)) {}

  void Start(Duration timeout) {
    timer = executor.After(timeout, [self = shared_from_this(), timeout] {
      self->timer = 0;
      self->known.End(Fail(Code::kRetry, "the DNS gave no answer within {} s", timeout.us / 1'000'000));
      self->Go();
    });
    Go();
  }
  void Go() {
    std::vector<RuleLine> lines = Lines(domain, known);
    const std::vector<DnsQuestion> wanted = known.TakeWanted();
    waiting += wanted.size();
    if (waiting == 0 || timer == 0) return End(std::move(lines));
    for (const DnsQuestion& question : wanted) {
      resolver.Ask(question, executor, [self = shared_from_this(), question](Result<DnsAnswer> answer) {
        if (!self->done) return;
        self->known.Learn(question, std::move(answer));
        --self->waiting;
        self->Go();
      });
    }
  }
  void End(std::vector<RuleLine> lines) {
    if (timer != 0) executor.Cancel(timer);
    std::exchange(done, nullptr)(std::move(lines));
  }

  const DomainToCheck domain;
  Resolver& resolver;
  Executor& executor;
  RuleLinesDone done;  // null once it was called
  Known known;
  size_t waiting = 0;  // answers
  TimerId timer = 0;   // 0 = it ran
};

}  // namespace

void CheckDomain(DomainToCheck domain, Resolver& resolver, Executor& executor, Duration timeout, RuleLinesDone done) {
  auto check = std::make_shared<Check>(std::move(domain), resolver, executor, std::move(done));
  executor.Post([check = std::move(check), timeout] { check->Start(timeout); });
}

}  // namespace maily::api
