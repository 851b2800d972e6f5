// See rehearsal.h.
#include "tests/rehearsal/rehearsal.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <unordered_map>

#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/effects/smtp/message.h"
#include "schemas/keys.h"
#include "schemas/safety.h"
#include "schemas/types.h"
#include "streams/state/key.h"
#include "tests/sim/client.h"
#include "tests/sim/world.h"

namespace maily::rehearsal {
namespace {

using http::Method;
using nlohmann::json;
using simulation::Answer;
using simulation::Client;
using simulation::kPartitions;
using simulation::World;

// Campaigns, each of a tenant of its own: its share of the recipients, and when it is launched.
struct Launch {
  double share;
  double at;  // part of the length
};
constexpr Launch kLaunches[] = {{0.5, 0}, {0.3, 0.02}, {0.2, 0.1}};
constexpr size_t kTenants = std::size(kLaunches);
constexpr size_t kRowsAPage = 1000;
constexpr uint64_t kCampaign = 1;
constexpr uint64_t kList = 1;
constexpr size_t kWrongMax = 20;  // that are told

simulation::WorldOptions OptionsOf(const Plan& plan) {
  simulation::WorldOptions options;
  options.connections_per_worker = std::max<size_t>(1, plan.size.mx_connections / simulation::kWorkers);
  options.mx = simulation::MxWorld{.zone = [plan](sim::SimResolver& zone) { FillZone(plan, zone); },
                                   .policy_of = [plan](std::string_view site) { return PolicyOf(plan, site); }};
  options.append_fails = 0;
  options.cache_bytes_max = 64 << 20;
  options.flush_journal_bytes = 16 << 20;
  options.flush_interval = Seconds(60);
  options.commands_retention = Hours(24);
  options.snapshots = {};
  return options;
}

struct Person {
  std::string address;
  size_t site = 0;  // of the plan's sites, then its lost domains
  size_t tenant = 0;
  size_t taken = 0;  // mails
};

class Rehearsal {
 public:
  explicit Rehearsal(const Plan& plan) : plan_(plan), world_(plan.seed, OptionsOf(plan)), internet_(world_.scheduler().MakeExecutor()) {
    for (size_t s = 0; s < plan.sites.size(); ++s) {
      for (size_t i = 0; i < plan.sites[s].recipients; ++i) AddPerson(s, i, plan.sites[s].domains[i % plan.sites[s].domains.size()]);
    }
    for (size_t l = 0; l < plan.lost.size(); ++l) {
      for (size_t i = 0; i < plan.lost[l].recipients; ++i) AddPerson(plan.sites.size() + l, i, plan.lost[l].name);
    }
  }
  ~Rehearsal() {
    clients_.clear();
    servers_.clear();
  }

  Outcome Run() {
    const auto started = std::chrono::steady_clock::now();
    SetUp();
    if (outcome_.wrong.empty()) Send();
    if (outcome_.wrong.empty()) Look();
    for (uint16_t p = 0; p < kPartitions; ++p) outcome_.journals.push_back(world_.JournalDigest(PartitionId(p)));
    outcome_.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return std::move(outcome_);
  }

 private:
  void AddPerson(size_t site, size_t number, const std::string& domain) {
    Person person{.address = fmt::format("p{}@{}", number, domain), .site = site};
    double draw = Chance("tenant/" + person.address);
    while (person.tenant + 1 < kTenants && draw >= kLaunches[person.tenant].share) draw -= kLaunches[person.tenant++].share;
    by_address_[person.address] = people_.size();
    people_.push_back(std::move(person));
  }
  Duration LaunchOf(size_t tenant) const {
    return {static_cast<int64_t>(static_cast<double>(plan_.size.length.us) * kLaunches[tenant].at)};
  }
  // The last launch before: whose mail a busy site takes first is chance, how many it has taken since is not.
  Duration LaunchBefore(Duration at) const {
    Duration last;
    for (size_t t = 0; t < kTenants; ++t) last = LaunchOf(t) <= at ? LaunchOf(t) : last;
    return last;
  }
  static TenantId TenantOf(size_t index) { return TenantId(static_cast<uint32_t>(index) + 1); }
  void Wrong(const std::string& what) {
    if (outcome_.wrong.size() < kWrongMax) outcome_.wrong.push_back(what);
  }

  template <class Message>
  void Decide(TenantId tenant, const Message& message) {
    const std::string home = schema::HomeKey(tenant);
    world_.Ask(
        TypeNumberOf<Message>(), message.SerializeAsString(), PartitionOf(home, kPartitions), home, fmt::format("ask/{}", ++asked_), [] {},
        tenant);
  }

  // The tenants, their lists and contacts, and campaigns that are ready to be launched.
  void SetUp() {
    world_.Start();
    for (size_t t = 0; t < kTenants; ++t) {
      const TenantId tenant = TenantOf(t);
      world_.keyring().Tenant(tenant).value();
      clients_.push_back(std::make_unique<Client>(world_.scheduler(), [this] { return world_.site(); }));
      tenants::v1::ChangeSettings settings;
      settings.add_senders("news@shop.test");
      settings.set_postal_address("1 Main Street");
      settings.set_company("Shop");
      settings.mutable_safety()->set_hard_bounces_bp(schema::kNeverBp);  // sites of all tempers, in one campaign
      settings.mutable_safety()->set_policy_bp(schema::kNeverBp);
      Decide(tenant, settings);
      lists::v1::CreateList list;
      list.set_name("people");
      Decide(tenant, list);
      templates::v1::SaveTemplate saved;
      saved.set_name("t");
      saved.set_subject("hello");
      saved.set_html("<a href=\"https://shop.test/\">x</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a>");
      saved.set_text("{{ postal_address }} {{ unsubscribe_url }}");
      Decide(tenant, saved);
      const gateway::NewApiKey made = gateway::MakeApiKey(world_.scheduler().entropy());
      tenants::v1::CreateApiKey key;
      key.set_key_id(made.key_id);
      key.set_secret_hash(std::string(keyring::View(made.hash)));
      for (const char* scope : {"admin", "write", "ingest"}) key.add_scopes(scope);
      Decide(tenant, key);
      clients_.back()->UseKey(made.text);
    }
    if (!world_.scheduler().RunUntil([this] { return world_.site() != nullptr; }, Seconds(600)))
      return Wrong("the read models are not ready");
    world_.scheduler().RunFor(Seconds(10));  // until they show the keys
    for (size_t t = 0; t < kTenants; ++t) Import(t);
    if (!Settled()) return Wrong("the contacts are not imported within an hour");
    for (size_t t = 0; t < kTenants; ++t) {
      const json body = {{"name", "rehearsal"}, {"template_id", 1}, {"list_id", kList}, {"from", "news@shop.test"}};
      Ask(t, {Method::kPost, "/v1/campaigns", body.dump(), "create"}, 201);
    }
    if (!Settled()) return Wrong("the campaigns are not made within an hour");
    for (size_t i = 0; i < people_.size(); ++i) {
      const TenantId tenant = TenantOf(people_[i].tenant);
      const std::string key = schema::ContactKey(*world_.keyring().Tenant(tenant).value(), people_[i].address);
      const PartitionId partition = PartitionOf(key, kPartitions);
      const auto* ref = state::View<contacts::v1::ContactRef>(*world_.cache(partition)).Find(state::Key(tenant, std::string_view(key)));
      if (ref == nullptr) return Wrong(fmt::format("{} is not there after the import", people_[i].address));
      by_contact_[{people_[i].tenant, schema::PackContactId({partition, ref->ordinal()})}] = i;
    }
  }

  bool Settled() {
    return world_.scheduler().RunUntil(
        [this] { return std::ranges::all_of(clients_, [](const auto& client) { return client->under_way() == 0; }); }, Seconds(3600));
  }
  void Ask(size_t tenant, Client::Asked asked, int status) {
    clients_[tenant]->Ask(std::move(asked), [this, target = asked.target, status](const Answer& answer) {
      if (answer.status != status) Wrong(fmt::format("{} was answered {} {}", target, answer.status, answer.body.dump()));
    });
  }
  void Import(size_t tenant) {
    std::string csv = "email\n";
    size_t rows = 0;
    for (const Person& person : people_) {
      if (person.tenant != tenant) continue;
      csv += person.address + "\n";
      ++rows;
    }
    clients_[tenant]->Upload("/v1/imports?list=people", csv, "file", [this, rows](const Answer& answer) {
      if (answer.status != 202 || answer.body.value("created", size_t{0}) != rows)
        Wrong(fmt::format("an import of {} rows was answered {} {}", rows, answer.status, answer.body.dump()));
    });
  }

  // The hour.
  void Send() {
    sim::Scheduler& scheduler = world_.scheduler();
    // At full ten seconds of its clock, so that a calm rehearsal begins at the same moment.
    const Duration begin{(scheduler.clock().Steady().us / 600'000'000 + 1) * 600'000'000};
    for (const SitePlan& site : plan_.sites)
      servers_.push_back(std::make_unique<MailServers>(site, world_.net(), scheduler, *internet_, begin));
    scheduler.RunFor(begin - scheduler.clock().Steady());
    for (size_t t = 0; t < kTenants; ++t) {
      internet_->After(LaunchOf(t),
                       [this, t] { Ask(t, {Method::kPost, fmt::format("/v1/campaigns/{}:launch", kCampaign), "", "launch"}, 200); });
    }
    scheduler.RunFor(plan_.size.length);
  }

  // ---- what became of it ----

  void Look() {
    if (!world_.scheduler().RunUntil([this] { return Shown(); }, Seconds(10)))
      return Wrong("the read models do not reach the journal's end");
    for (const SitePlan& site : plan_.sites) {
      outcome_.sites.push_back({.name = site.name,
                                .temper = std::string(TemperName(site.temper)),
                                .healthy = site.healthy,
                                .domains = site.domains.size(),
                                .policy = site.policy,
                                .seen = servers_[outcome_.sites.size()]->seen()});
    }
    for (const LostDomain& lost : plan_.lost)
      outcome_.sites.push_back({.name = lost.name, .temper = std::string(LostDomainKindName(lost.kind)), .policy = {}, .seen = {}});
    for (size_t s = 0; s < plan_.sites.size(); ++s) CheckSite(outcome_.sites[s]);
    if (const std::string trouble = world_.site()->trouble(); !trouble.empty()) return Wrong(trouble);
    for (size_t t = 0; t < kTenants; ++t) CheckTenant(t);
    for (const Person& person : people_) {
      if (person.taken > 1) Wrong(fmt::format("{} got {} mails", person.address, person.taken));
    }
    for (size_t s = 0; s < outcome_.sites.size(); ++s) {
      SiteOutcome& site = outcome_.sites[s];
      if (const size_t not_tried = not_tried_[s]; not_tried > 0) {
        const std::string cause = HeldUp(s);
        if (cause.empty())
          Wrong(fmt::format("{} ({}): {} mails are not tried, and nothing holds them up", site.name, site.temper, not_tried));
        site.causes["not tried: " + cause] = not_tried;
      }
      outcome_.recipients += site.recipients;
      for (const auto& [status, count] : site.statuses) outcome_.statuses[status] += count;
    }
    if (outcome_.recipients != people_.size()) Wrong(fmt::format("{} recipients are told of, of {}", outcome_.recipients, people_.size()));
  }

  // A moment at which the read models show all that is decided.
  bool Shown() {
    for (uint16_t p = 0; p < kPartitions; ++p) {
      for (const auto& group : world_.site()->groups()) {
        if (group->Status().positions[p].offset_hint.value() + 1 < world_.JournalEnd(PartitionId(p))) return false;
      }
    }
    for (size_t t = 0; t < kTenants; ++t) {
      uint64_t open = 0;
      for (uint16_t p = 0; p < kPartitions; ++p) {
        const auto* run = state::View<sends::v1::SendRun>(*world_.cache(PartitionId(p))).Find(state::Key(TenantOf(t), kCampaign));
        open += run == nullptr ? 0 : run->open();
      }
      const auto rows = Sends(TenantOf(t), -1, "open");
      if (!rows || rows->size() != open) return false;
    }
    return true;
  }
  // The next page after a contact.
  Result<projections::Rows> Sends(TenantId tenant, int64_t after, const std::string& status) {
    return world_.site()->views().Query("sends", {{"tenant", sql::Value::Integer(tenant.value())},
                                                  {"campaign_id", sql::Value::Integer(kCampaign)},
                                                  {"after", sql::Value::Integer(after)},
                                                  {"status", sql::Value::Text(status)},
                                                  {"reason", sql::Value::Text("")},
                                                  {"limit", sql::Value::Integer(kRowsAPage)}});
  }

  // No more than the policy allows.
  void CheckSite(SiteOutcome& site) {
    const Seen& seen = site.seen;
    const smtp::SitePolicy& policy = site.policy;
    if (seen.connections_at_once > policy.connections)
      Wrong(fmt::format("{} saw {} connections at once of {}", site.name, seen.connections_at_once, policy.connections));
    if (seen.mails_of_a_connection > policy.mails_per_connection)
      Wrong(fmt::format("{} saw {} mails on a connection of {}", site.name, seen.mails_of_a_connection, policy.mails_per_connection));
    if (policy.mails_per_second > 0 && seen.burst > BurstMax(policy))
      Wrong(fmt::format("{} saw a burst of {:.1f} mails over {:.2f} a second, of at most {:.1f}", site.name, seen.burst,
                        policy.mails_per_second, BurstMax(policy)));
    for (const auto& [hour, mails] : seen.by_hour) {
      if (policy.mails_per_hour > 0 && mails > policy.mails_per_hour)
        Wrong(fmt::format("{} saw {} mails in an hour of {}", site.name, mails, policy.mails_per_hour));
    }
    size_t step = 0;
    for (const auto& [day, mails] : seen.by_day) {
      const uint64_t most = OfDay(policy, step++);
      if (most > 0 && mails > most) Wrong(fmt::format("{} saw {} mails in a day of {}", site.name, mails, most));
    }
    std::vector<double> times;
    for (const Taken& taken : seen.taken) {
      const auto person = by_address_.find(taken.recipient);
      if (person == by_address_.end()) {
        Wrong(fmt::format("{} took a mail to {}, who gets none", site.name, taken.recipient));
        continue;
      }
      ++people_[person->second].taken;
      times.push_back(static_cast<double>((taken.at - LaunchBefore(taken.at)).us) / 1e6);
      const auto id = smtp::DecodeMessageId(taken.message_id, world_.keyring());
      if (!id || id->tenant != TenantOf(people_[person->second].tenant))
        Wrong(fmt::format("{} took a mail to {} with the message id of another", site.name, taken.recipient));
    }
    std::ranges::sort(times);
    if (times.empty()) return;
    site.median_s = times[times.size() / 2];
    site.mean_s = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
    site.last_s = times.back();
  }
  // The most mails of the day `step` after the first one; 0: any number.
  static uint64_t OfDay(const smtp::SitePolicy& policy, size_t step) {
    return step < policy.warm_up.size() ? policy.warm_up[step] : policy.mails_per_day;
  }
  // What the bucket of the rate holds when nothing was sent for long, and a mail for each connection that had to be opened first.
  static double BurstMax(const smtp::SitePolicy& policy) { return 1 + policy.mails_per_second + policy.connections; }

  // Every recipient's end, from the read model; and that its sums are those of the state.
  void CheckTenant(size_t t) {
    const TenantId tenant = TenantOf(t);
    std::map<std::string, uint64_t> sums;
    size_t rows = 0;
    int64_t after = -1;
    for (;;) {
      const auto page = Sends(tenant, after, "");
      if (!page) return Wrong("sends cannot be read: " + page.error().ToString());
      if (page->size() == 0) break;
      for (size_t row = 0; row < page->size(); ++row) {
        after = page->at(row, "contact_id").integer;
        ++rows;
        const auto person = by_contact_.find({t, static_cast<uint64_t>(after)});
        if (person == by_contact_.end()) return Wrong(fmt::format("nobody knows the contact {} of tenant {}", after, t + 1));
        const std::string status = page->at(row, "status").bytes;
        ++sums[status];
        CheckSend(people_[person->second], status, page->at(row, "reply_code").integer, page->at(row, "reply_text").bytes);
      }
    }
    const auto planned = static_cast<size_t>(std::ranges::count_if(people_, [&](const Person& person) { return person.tenant == t; }));
    if (rows != planned) Wrong(fmt::format("tenant {}: {} sends are planned, of {} contacts", t + 1, rows, planned));
    CheckSums(tenant, sums);
  }

  // planned = delivered + bounced + expired + unknown + skipped + under way + waiting + not tried yet, in the state as in the read model.
  void CheckSums(TenantId tenant, std::map<std::string, uint64_t> rows) {
    std::map<std::string, uint64_t> state;
    uint64_t audience = 0;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      state::Cache& cache = *world_.cache(PartitionId(p));
      const auto* run = state::View<sends::v1::SendRun>(cache).Find(state::Key(tenant, kCampaign));
      if (run == nullptr) return Wrong(fmt::format("tenant {}: partition {} knows nothing of the campaign", tenant.value(), p));
      audience += run->counts().audience();
      state["delivered"] += run->counts().delivered();
      state["bounced"] += run->counts().bounced();
      state["expired"] += run->counts().failed();
      state["unknown"] += run->counts().unknown();
      state["skipped"] += run->counts().skipped();
      state["open"] += run->open();
      state["waiting"] += run->waiting();
      state::View<sends::v1::SendLane>(cache).Scan(state::Key(tenant, kCampaign), {},
                                                   [&](std::string_view, const sends::v1::SendLane& lane) {
                                                     state["pending"] += lane.left();
                                                     return true;
                                                   });
    }
    uint64_t sum = 0;
    for (const auto& [status, count] : state) {
      sum += count;
      if (rows[status] != count)
        Wrong(fmt::format("tenant {}: {} are {} by the state, {} by the read model", tenant.value(), count, status, rows[status]));
    }
    if (sum != audience) Wrong(fmt::format("tenant {}: {} were planned, and {} are accounted for", tenant.value(), audience, sum));
  }

  void CheckSend(const Person& person, const std::string& status, int64_t code, const std::string& text) {
    SiteOutcome& site = outcome_.sites[person.site];
    ++site.recipients;
    ++site.statuses[status];
    const auto wrong = [&](std::string_view what) {
      Wrong(fmt::format("{} ({}, {}): {}: {} mails, reply {} {}", person.address, site.temper, status, what, person.taken, code, text));
    };
    if (status == "delivered") {
      if (person.taken != 1) wrong("delivered, and not taken once");
      return;
    }
    if (person.taken > 0 && status != "unknown" && status != "open") wrong("taken, and not told so");
    if (status == "bounced" || status == "expired" || status == "unknown" || (status == "waiting" && !text.empty())) {
      if (text.empty()) wrong("not delivered without a cause");
      ++site.causes[fmt::format("{}: {} {}", status, code, text.substr(0, 60))];
    } else if (status == "open") {
      ++site.causes["open: on its way"];
    } else if (status == "pending" || status == "waiting") {
      ++not_tried_[person.site];  // or opened while its site was not known, and not begun
    } else {
      wrong("no end that is expected here");
    }
  }

  // Why mails to a site have not been tried yet, as `maily site list` tells; empty: it does not.
  std::string HeldUp(size_t s) {
    const std::shared_ptr<smtp::Site> site = world_.mail_sites().Find(outcome_.sites[s].name);
    if (site == nullptr) {
      const auto& statuses = outcome_.sites[s].statuses;
      return statuses.contains("open") || statuses.contains("waiting") ? "its domain is looked up, one mail at a time" : std::string();
    }
    const smtp::Site::Status status = site->Look(world_.scheduler().clock().Steady(), world_.scheduler().clock().Now());
    if (status.paused_for.us > 0) return "the site pauses: " + status.last_reply;
    if (status.policy.mails_per_hour > 0 && status.this_hour >= status.policy.mails_per_hour) return "the hour's mails are sent";
    if (status.policy.mails_per_day > 0 && status.today >= status.policy.mails_per_day) return "the day's mails are sent";
    const auto& warm_up = status.policy.warm_up;
    if (std::ranges::find(warm_up, status.today) != warm_up.end()) return "the warm-up's mails of the day are sent";
    if (status.limit < 2 * status.policy.connections) return "the site is tried out again: " + status.last_reply;
    if (status.policy.mails_per_second > 0) return "as many a second as it takes";
    return status.connections > 0 || outcome_.sites[s].statuses.contains("open") ? "as many at once as it takes" : std::string();
  }

  const Plan plan_;
  World world_;
  const std::unique_ptr<Executor> internet_;
  std::vector<std::unique_ptr<Client>> clients_;  // of each tenant
  std::vector<std::unique_ptr<MailServers>> servers_;
  std::vector<Person> people_;
  std::unordered_map<std::string, size_t> by_address_;
  std::map<std::pair<size_t, uint64_t>, size_t> by_contact_;  // tenant, contact id
  std::map<size_t, size_t> not_tried_;                        // by site
  size_t asked_ = 0;
  Outcome outcome_;
};

}  // namespace

Outcome Rehearse(const Plan& plan) { return Rehearsal(plan).Run(); }

}  // namespace maily::rehearsal
