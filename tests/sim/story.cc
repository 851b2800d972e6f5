// See story.h.
#include "tests/sim/story.h"

#include <algorithm>
#include <unordered_map>

#include "maily/campaigns/v1/state.pb.h"
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
#include "streams/state/timers.h"

namespace maily::simulation {
namespace {

using http::Method;
using nlohmann::json;

constexpr size_t kSingles = 20;
constexpr size_t kFiles = 2;
constexpr size_t kEventsABatch = 250;
constexpr size_t kSuppressed = 8;
constexpr size_t kGarbage = 6;
constexpr uint64_t kCampaigns = 2;
constexpr size_t kRebuilds = 2;
constexpr size_t kOptOutEvery = 8;  // mails
constexpr Duration kLimit = Seconds(4 * 3600);
constexpr uint64_t kList = 1;

std::string Between(std::string_view text, std::string_view begin, std::string_view end) {
  const size_t at = text.find(begin);
  if (at == std::string_view::npos) return {};
  const size_t from = at + begin.size();
  return std::string(text.substr(from, text.find_first_of(end, from) - from));
}

// Quoted-printable undone, as far as links go: soft line breaks, and "=3D".
std::string Plain(std::string text) {
  for (size_t at = 0; (at = text.find("=\r\n", at)) != std::string::npos;) text.erase(at, 3);
  for (size_t at = 0; (at = text.find("=3D", at)) != std::string::npos; ++at) text.replace(at, 3, "=");
  return text;
}

// Of five seeds one sends by the DNS: one site, on the machine of the receiver, with as many connections as a relay would have.
WorldOptions OptionsOf(uint64_t seed) {
  WorldOptions options;
  options.machines = 1 + seed % 3;
  if (seed % 5 != 0) return options;
  options.mx = MxWorld{.zone =
                           [](sim::SimResolver& zone) {
                             for (const char* domain : {"mail.test", "soft.test", "hard.test"}) zone.SetMx(domain, {{10, "mx.test"}});
                             zone.SetAddresses("mx.test", {"127.0.0.1"});
                           },
                       .policy_of = [](std::string_view) { return smtp::SitePolicy{.connections = kWorkers * kConnectionsPerWorker}; },
                       .port = 2525};
  return options;
}

}  // namespace

Story::Story(uint64_t seed, const StorySize& size)
    : size_(size),
      world_(seed, OptionsOf(seed)),
      trouble_(world_, size.faults, size.jobs_a_fault),
      client_(world_.scheduler(), [this] { return world_.site(); }),
      began_(world_.scheduler().clock().Steady()) {
  const keyring::TenantKeys& keys = *world_.keyring().Tenant(kTenant).value();
  for (size_t i = 0; i < size_.rows + kSingles; ++i) {
    // One in twelve does not exist at the receiver, one in twelve is put off now and then.
    const char* domain = i % 12 == 5 ? "hard.test" : (i % 12 == 7 ? "soft.test" : "mail.test");
    const std::string address = fmt::format("c{}@{}", i, domain);
    by_address_[address] = people_.size();
    Person person;
    person.address = address;
    person.key = schema::ContactKey(keys, address);
    person.held = i % 2 == 1 && i % 12 > 7;
    people_.push_back(std::move(person));
  }
}

template <class Message>
World::Decided Story::Decide(const Message& message, const std::string& key) {
  return world_.Ask(TypeNumberOf<Message>(), message.SerializeAsString(), PartitionOf(key, kPartitions), key,
                    fmt::format("ask/{}", ++asked_), [this] { trouble_.AfterJob(); });
}

std::string Story::Run() {
  for (size_t m = 0; m < world_.machines(); ++m) world_.Start(m);
  Settle();
  if (!world_.scheduler().RunUntil([this] { return world_.site() != nullptr; }, Seconds(600))) return "the read models are not ready";
  world_.scheduler().RunFor(Seconds(10));  // until they show the key
  trouble_.Begin();
  Import();
  AddSingles();
  Garbage();
  const bool done = world_.scheduler().RunUntil(
      [this] {
        trouble_.AfterJob();
        if (!failure_.empty()) return true;
        if (world_.scheduler().Random(64) == 0) ReadMails();
        return Done();
      },
      kLimit);
  if (!failure_.empty()) return failure_;
  if (!done) return "it did not come to its end in four hours of virtual time" + Unfinished();
  // What is still on its way: acknowledgements of links, flushes; and the time that a clock was ahead.
  world_.scheduler().RunFor(Seconds(160));
  for (const auto check :
       {&Story::CheckPeople, &Story::CheckState, &Story::CheckTotals, &Story::CheckReadModels, &Story::ResumeAfterTrim}) {
    if (std::string why = (this->*check)(); !why.empty()) return why;
  }
  return failure_;
}

// The tenant as its owner set it up, before anything goes wrong.
void Story::Settle() {
  const std::string home = schema::HomeKey(kTenant);
  tenants::v1::ChangeSettings settings;
  // One address in twelve is bad: no stop for that.
  settings.mutable_safety()->set_hard_bounces_bp(schema::kNeverBp);
  settings.mutable_safety()->set_policy_bp(schema::kNeverBp);
  settings.add_senders("news@shop.test");
  settings.set_postal_address("1 Main Street");
  settings.set_company("Shop");
  Decide(settings, home);
  for (const char* name : {"kind", "score"}) {
    tenants::v1::RegisterAttribute attribute;
    attribute.set_name(name);
    attribute.set_attribute_type(std::string_view(name) == "kind" ? tenants::v1::TEXT : tenants::v1::INTEGER);
    Decide(attribute, home);
  }
  lists::v1::CreateList list;
  list.set_name("people");
  Decide(list, home);
  templates::v1::SaveTemplate saved;
  saved.set_name("t");
  saved.set_subject("hello {{ contact.kind }}");
  saved.set_html("<a href=\"https://shop.test/\">x</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a>");
  saved.set_text("{{ postal_address }} {{ unsubscribe_url }}");
  Decide(saved, home);
  saved.set_name("of an arm");
  saved.set_subject("hello again {{ contact.kind }}");
  Decide(saved, home);
  const gateway::NewApiKey made = gateway::MakeApiKey(world_.scheduler().entropy());
  tenants::v1::CreateApiKey key;
  key.set_key_id(made.key_id);
  key.set_secret_hash(std::string(keyring::View(made.hash)));
  for (const char* scope : {"admin", "write", "ingest"}) key.add_scopes(scope);
  Decide(key, home);
  client_.UseKey(made.text);
}

// ---- what people do ----

void Story::Import() {
  for (size_t file = 0; file < kFiles; ++file) ImportFile(file);
}

void Story::ImportFile(size_t file) {
  std::string csv = "email,kind\n";
  size_t rows = 0;
  size_t wrong = 0;
  for (size_t i = file; i < size_.rows; i += kFiles) {
    csv += fmt::format("{},{}\n", people_[i].address, people_[i].held ? "held" : "sent");
    ++rows;
    if (i % 97 != 0) continue;
    csv += "nobody at all,sent\n";
    ++wrong;
  }
  client_.Upload("/v1/imports?list=people", csv, fmt::format("file-{}", file), [this, file, rows, wrong](const Answer& answer) {
    if (answer.status != 202) return Fail(fmt::format("an import was answered {} {}", answer.status, answer.body.dump()));
    const size_t applied = answer.body.value("created", size_t{0}) + answer.body.value("updated", size_t{0}) +
                           answer.body.value("unchanged", size_t{0}) + answer.body.value("duplicate", size_t{0});
    if (answer.body.value("rejected", size_t{0}) != wrong || applied != rows)
      return Fail(fmt::format("an import of {} rows and {} wrong ones came to {}", rows, wrong, answer.body.dump()));
    for (size_t i = file; i < size_.rows; i += kFiles) people_[i].imported = true;
    if (++files_ < kFiles) return;
    SendEvents();
    Suppress();
  });
}

void Story::AddSingles() {
  for (size_t i = 0; i < kSingles; ++i) AddSingle(size_.rows + i, 0);
}

// A contact is made, or changed, and read back: as often as its score is below three.
void Story::AddSingle(size_t person, int64_t score) {
  const Person& who = people_[person];
  const json body = {
      {"email", who.address}, {"attributes", {{"kind", who.held ? "held" : "sent"}, {"score", score}}}, {"lists", json::array({kList})}};
  client_.Ask({Method::kPost, "/v1/contacts", body.dump(), fmt::format("single-{}-{}", person, score)},
              [this, person, score](const Answer& answer) {
                if (answer.status != 200 && answer.status != 201)
                  return Fail(fmt::format("a contact was answered {} {}", answer.status, answer.body.dump()));
                people_[person].imported = true;
                people_[person].score = score;
                CheckFresh(person, score, answer.token);
              });
}

// Who read their own write must see it, or be told that it is not there yet.
void Story::CheckFresh(size_t person, int64_t score, const std::string& token) {
  if (token.empty()) return Fail("a write was acknowledged without a token");
  const std::string target =
      fmt::format("/v1/contacts?email={}&min={}&strict=true", http::PercentEncode(people_[person].address), http::PercentEncode(token));
  client_.Ask({Method::kGet, target, ""}, [this, person, score](const Answer& answer) {
    const json* seen = nullptr;
    if (answer.status == 200 && answer.body.contains("items") && answer.body["items"].size() == 1)
      seen = &answer.body["items"][0]["attributes"]["score"];
    if (seen == nullptr || *seen != score)
      return Fail(fmt::format("{} was read as {} {} after the score {} was acknowledged", people_[person].address, answer.status,
                              answer.body.dump(), score));
    if (score < 2) return AddSingle(person, score + 1);
    ++singles_;
  });
}

void Story::SendEvents() {
  std::vector<size_t> batch;
  for (size_t i = 0; i < size_.events; ++i) {
    batch.push_back(i);
    if (batch.size() < kEventsABatch && i + 1 < size_.events) continue;
    SendBatch(batch);
    batch.clear();
  }
}

void Story::SendBatch(const std::vector<size_t>& events) {
  json body = {{"events", json::array()}};
  for (const size_t event : events) {
    body["events"].push_back(
        {{"id", fmt::format("visit-{}", event)}, {"type", "visit"}, {"contact", {{"email", people_[event % size_.rows].address}}}});
  }
  client_.Ask({Method::kPost, "/v1/events:batch", body.dump()}, [this, events](const Answer& answer) {
    if (answer.status != 202 || answer.body["events"].size() != events.size())
      return Fail(fmt::format("events were answered {} {}", answer.status, answer.body.dump()));
    std::vector<size_t> again;
    for (size_t i = 0; i < events.size(); ++i) {
      const json& verdict = answer.body["events"][i];
      const std::string said = verdict["verdict"];
      if (said == "accepted" || said == "duplicate") {
        ++events_;
      } else if (verdict.value("code", "") == "unavailable") {
        again.push_back(events[i]);
      } else {
        return Fail("an event came to " + verdict.dump());
      }
    }
    if (!again.empty()) SendBatch(again);
  });
}

void Story::Suppress() {
  for (size_t i = 0; i < kSuppressed; ++i) {
    const size_t person = 8 + i * 12;  // one of those that would get a mail
    people_[person].refuses = true;
    client_.Ask({Method::kPost, "/v1/suppressions", json{{"email", people_[person].address}}.dump(), fmt::format("suppress-{}", i)},
                [this, person](const Answer& answer) {
                  if (answer.status != 200 && answer.status != 201)
                    return Fail(fmt::format("a suppression was answered {} {}", answer.status, answer.body.dump()));
                  people_[person].refused = true;
                  if (++suppressed_ == kSuppressed) StartCampaign(1);
                });
  }
}

// Commands of types that there are not, and of bytes that are no message.
void Story::Garbage() {
  for (size_t i = 0; i < kGarbage; ++i) {
    const std::string key = fmt::format("garbage-{}", i);
    const auto type = static_cast<TypeNumber>(i % 2 == 0 ? 60'000 + i : TypeNumberOf<lists::v1::CreateList>());
    const World::Decided decided =
        world_.Ask(type, "\xff\xff\xff", PartitionOf(key, kPartitions), key, "garbage/" + key, [this] { trouble_.AfterJob(); });
    if (decided.outcome != static_cast<uint16_t>(journal::Outcome::kRejected) &&
        decided.outcome != static_cast<uint16_t>(journal::Outcome::kDuplicate))
      return Fail(fmt::format("a command that nobody can read was answered {} {}", decided.outcome, decided.answer));
    ++garbage_;
  }
}

void Story::StartCampaign(uint64_t campaign) {
  json sent{{"name", "sent"}, {"where", {{"attribute", "kind"}, {"value", "sent"}}}};
  if (campaign % 2 == 0) sent["template_id"] = 2;  // the launch pins it besides the campaign's
  const json body = {
      {"name", fmt::format("campaign {}", campaign)},
      {"template_id", 1},
      {"list_id", kList},
      {"from", "news@shop.test"},
      {"arms", json::array({sent, {{"name", "held"}, {"where", {{"attribute", "kind"}, {"value", "held"}}}, {"holdout", true}}})}};
  const std::string target = fmt::format("/v1/campaigns/{}", campaign);
  client_.Ask(
      {Method::kPost, "/v1/campaigns", body.dump(), fmt::format("create-{}", campaign)}, [this, campaign, target](const Answer& made) {
        if (made.status != 201 && made.status != 200)
          return Fail(fmt::format("a campaign was answered {} {}", made.status, made.body.dump()));
        for (Person& person : people_) {
          if (person.imported) person.known_before.insert(campaign);
          if (person.refused) person.refused_before.insert(campaign);
        }
        client_.Ask({Method::kPost, target + ":launch", "", fmt::format("launch-{}", campaign)}, [this, campaign,
                                                                                                  target](const Answer& launched) {
          if (launched.status != 200) return Fail(fmt::format("a launch was answered {} {}", launched.status, launched.body.dump()));
          launched_ = campaign;
          client_.Ask({Method::kPost, target + ":pause", "", fmt::format("pause-{}", campaign)}, [this, campaign, target](const Answer&) {
            client_.Ask({Method::kPost, target + ":resume", "", fmt::format("resume-{}", campaign)},
                        [this, campaign](const Answer&) { Watch(campaign); });
          });
        });
      });
}

// Until the campaign is completed; then the next one begins.
void Story::Watch(uint64_t campaign) {
  client_.Ask({Method::kGet, fmt::format("/v1/campaigns/{}", campaign), ""}, [this, campaign](const Answer& answer) {
    if (answer.status == 200 && answer.body.value("status", "") == "completed") {
      completed_ = campaign;
      if (campaign < kCampaigns) StartCampaign(campaign + 1);
      return;
    }
    if (answer.status != 200 && answer.status != 404)
      return Fail(fmt::format("a campaign was read as {} {}", answer.status, answer.body.dump()));
    const auto wake = std::make_shared<std::unique_ptr<Executor>>(world_.scheduler().MakeExecutor());
    (*wake)->After(Seconds(2), [this, campaign, wake] { Watch(campaign); });
  });
}

// What came is opened, clicked, and sometimes answered by the wish to get no more.
void Story::ReadMails() {
  if (world_.site() == nullptr) return;
  for (const app::ReceivedMail& mail : world_.sink().List(mails_read_, 8)) {
    mails_read_ = mail.number;
    const auto message = world_.sink().Message(mail.number);
    if (!message) return Fail("a mail that came cannot be read: " + message.error().ToString());
    const std::string text = Plain(*message);
    if (text.find(mail.message_id) == std::string::npos) return Fail("the receiver keeps another mail than it lists");
    const std::string click = Between(text, "http://track.test/c/", "\" \r\n>");
    const std::string open = Between(text, "http://track.test/o/", "\" \r\n>");
    const std::string out = Between(text, "http://track.test/u/", "\" \r\n>");
    if (click.empty() || open.empty() || out.empty()) return Fail("a mail came without its links: " + text);
    for (size_t i = 0; i < size_.signals_a_mail; ++i) client_.Tell({Method::kGet, i % 4 == 0 ? "/o/" + open : "/c/" + click, ""});
    if (mail.number % kOptOutEvery != 0) continue;
    people_[by_address_.at(mail.recipient)].refuses = true;
    client_.Ask({Method::kPost, "/u/" + out, "List-Unsubscribe=One-Click"}, [this, address = mail.recipient](const Answer& answer) {
      if (answer.status != 200) return Fail(fmt::format("an opt-out was answered {}", answer.status));
      people_[by_address_.at(address)].refused = true;
    });
  }
  if (rebuilds_ < kRebuilds && world_.scheduler().Random(20) == 0) RebuildSomething();
}

void Story::RebuildSomething() {
  const auto& groups = world_.site()->groups();
  ++rebuilds_;
  groups[world_.scheduler().Random(groups.size())]->Rebuild(projections::Projection::Then::kSwitch,
                                                            [this](const Result<projections::RebuildStatus>& rebuilt) {
                                                              if (!rebuilt && rebuilt.error().code == Code::kDiverged)
                                                                Fail("a rebuild gave other rows: " + rebuilt.error().message);
                                                            });
}

bool Story::Done() const {
  return trouble_.over() && client_.under_way() == 0 && singles_ == kSingles && garbage_ == kGarbage && completed_ == kCampaigns &&
         mails_read_ == world_.sink().counts().mails && world_.AllLeading() && world_.site() != nullptr;
}

// ---- what must hold ----

std::string Story::CheckPeople() {
  if (std::string wrong = client_.wrong(); !wrong.empty()) return wrong;
  // By campaign and recipient; a subject is the same in both, the message id is not.
  std::unordered_map<std::string, std::map<uint64_t, size_t>> received;
  for (const app::ReceivedMail& mail : world_.sink().List(0, 1'000'000)) {
    const auto id = smtp::DecodeMessageId(mail.message_id, world_.keyring());
    if (!id) return "a mail came with a message id that is not ours: " + mail.message_id;
    ++received[mail.recipient][id->campaign_id];
  }
  for (const Person& person : people_) {
    for (uint64_t campaign = 1; campaign <= kCampaigns; ++campaign) {
      if (std::string why = CheckPerson(person, campaign, received[person.address][campaign]); !why.empty()) return why;
    }
  }
  // After a kill at most one a connection; after a power cut all that was open. A process that is stopped tells when it wakes up, unless it
  // dies; but the reply to a dot may be lost meanwhile, as it is when a connection breaks.
  const size_t open_max = kWorkers * kConnectionsPerWorker * (world_.kills() + world_.stops()) + world_.open_at_power_cuts() +
                          trouble_.lost_replies() + world_.replies_dropped();
  if (unknown_ > open_max) return fmt::format("{} unknown, more than the {} that can have been open", unknown_, open_max);
  return {};
}

std::string Story::CheckPerson(const Person& person, uint64_t campaign, size_t mails) {
  using sends::v1::SendStatus;
  if (!person.imported) return fmt::format("{} was never acknowledged", person.address);
  state::Cache& cache = *world_.cache(PartitionOf(person.key, kPartitions));
  const auto* ref = state::View<contacts::v1::ContactRef>(cache).Find(state::Key(kTenant, std::string_view(person.key)));
  if (ref == nullptr) return fmt::format("the acknowledged contact {} is lost", person.address);
  const uint64_t ordinal = ref->ordinal();
  const auto* chunk = state::View<sends::v1::SendChunk>(cache).Find(state::Key(kTenant, campaign, (ordinal - 1) / 4096));
  const bool decided = chunk != nullptr && chunk->statuses().size() >= ordinal;
  const auto status = decided ? static_cast<SendStatus>(chunk->statuses()[(ordinal - 1) % 4096]) : sends::v1::NONE;
  const auto wrong = [&](std::string_view what) {
    return fmt::format("{} in campaign {}: {}: {} mails, status {}, verdict {}", person.address, campaign, what, mails,
                       static_cast<int>(status), decided ? static_cast<int>(chunk->verdicts()[(ordinal - 1) % 4096]) : 0);
  };
  if (mails > 1) return wrong("more than one mail");
  if (person.refused_before.contains(campaign) && mails > 0) return wrong("wanted none before it was launched");
  if (person.held && mails > 0) return wrong("held out");
  if (person.address.ends_with("@hard.test") && mails > 0) return wrong("does not exist");
  if (status == sends::v1::SENT && mails != 1) return wrong("recorded as delivered");
  if (status != sends::v1::SENT && status != sends::v1::UNKNOWN && mails > 0) return wrong("came, and is not recorded");
  if (status == sends::v1::NONE && !person.known_before.contains(campaign)) return {};  // too late for this audience
  if (status == sends::v1::NONE || status == sends::v1::PENDING || status == sends::v1::OPEN || status == sends::v1::WAITING)
    return wrong("not settled");
  const bool would_get = !person.held && !person.refuses && !person.address.ends_with("@hard.test");
  if (would_get && status != sends::v1::SENT && status != sends::v1::UNKNOWN) return wrong("did not get it");
  if (status == sends::v1::UNKNOWN) ++unknown_;
  return {};
}

std::string Story::CheckState() {
  for (uint16_t p = 0; p < kPartitions; ++p) {
    const auto folded = world_.Fold(PartitionId(p));
    if (!folded) return fmt::format("partition {}: {}", p, folded.error().ToString());
    if (!(folded->digest == world_.LiveDigest(PartitionId(p))))
      return fmt::format("partition {}: the state is not the fold of its journal", p);
    commands_ += folded->commands;
  }
  return {};
}

// What is counted in the tenant's home, by links, is what stands in the partitions.
std::string Story::CheckTotals() {
  for (uint64_t campaign = 1; campaign <= kCampaigns; ++campaign) {
    std::map<int, uint64_t> statuses;
    for (uint16_t p = 0; p < kPartitions; ++p) {
      state::View<sends::v1::SendChunk>(*world_.cache(PartitionId(p)))
          .Scan(state::Key(kTenant, campaign), {}, [&](std::string_view, const sends::v1::SendChunk& chunk) {
            for (const char status : chunk.statuses()) ++statuses[status];
            return true;
          });
    }
    const auto* home =
        state::View<campaigns::v1::Campaign>(*world_.cache(schema::HomeOf(kTenant, kPartitions))).Find(state::Key(kTenant, campaign));
    if (home == nullptr) return fmt::format("campaign {} is lost", campaign);
    if (home->status() != campaigns::v1::COMPLETED)
      return fmt::format("campaign {} is not completed: {}", campaign, home->ShortDebugString());
    campaigns::v1::CampaignCounts sum;
    for (const auto& partition : home->partitions()) {
      sum.set_delivered(sum.delivered() + partition.counts().delivered());
      sum.set_bounced(sum.bounced() + partition.counts().bounced());
      sum.set_holdout(sum.holdout() + partition.counts().holdout());
    }
    if (sum.delivered() != statuses[sends::v1::SENT] || sum.bounced() != statuses[sends::v1::HARD_BOUNCED] ||
        sum.holdout() != statuses[sends::v1::HELD_OUT])
      return fmt::format("campaign {}: home counts {}, the partitions hold {} delivered, {} bounced, {} held out", campaign,
                         sum.ShortDebugString(), statuses[sends::v1::SENT], statuses[sends::v1::HARD_BOUNCED],
                         statuses[sends::v1::HELD_OUT]);
  }
  return {};
}

std::string Story::CheckReadModels() {
  Site& site = *world_.site();
  if (std::string trouble = site.trouble(); !trouble.empty()) return trouble;
  const auto number = [&](std::string_view query, std::string_view column, const std::vector<projections::Parameter>& more = {}) {
    std::vector<projections::Parameter> parameters = {{"tenant", sql::Value::Integer(kTenant.value())}};
    parameters.insert(parameters.end(), more.begin(), more.end());
    const auto rows = site.views().Query(query, parameters);
    return rows && rows->size() > 0 ? rows->at(0, column).integer : int64_t{-1};
  };
  if (const int64_t contacts = number("contact_count", "contacts"); contacts != static_cast<int64_t>(people_.size()))
    return fmt::format("the read models count {} contacts of {}", contacts, people_.size());
  const int64_t visits = number("engagement_count", "count", {{"type", sql::Value::Text("visit")}});
  if (visits != static_cast<int64_t>(size_.events)) return fmt::format("the read models count {} visits of {}", visits, size_.events);
  const auto dead = site.views().Query("dead_letters", {{"tenant", sql::Value::Integer(kTenant.value())},
                                                        {"after_partition", sql::Value::Integer(-1)},
                                                        {"after", sql::Value::Integer(-1)},
                                                        {"limit", sql::Value::Integer(1000)}});
  if (!dead) return "dead letters cannot be read: " + dead.error().ToString();
  std::set<std::string> ids;
  for (size_t row = 0; row < dead->size(); ++row) ids.insert(dead->at(row, "command_id").bytes);
  if (ids.size() < kGarbage || ids.size() != dead->size())
    return fmt::format("{} dead letters of {} commands; {} at least were rejected", dead->size(), ids.size(), kGarbage);
  // Every one of them, built anew, has the same rows.
  size_t compared = 0;
  for (const auto& group : site.groups()) {
    group->Rebuild(projections::Projection::Then::kCompare, [this, &compared](const Result<projections::RebuildStatus>& rebuilt) {
      ++compared;
      if (!rebuilt) Fail("a read model built anew: " + rebuilt.error().ToString());
    });
  }
  if (!world_.scheduler().RunUntil([&] { return compared == site.groups().size(); }, Seconds(3600)))
    return "a rebuild does not come to its end";
  return failure_;
}

// Old commands are gone, and a task that starts again does not miss them.
std::string Story::ResumeAfterTrim() {
  std::vector<Hash128> before;
  const uint64_t mails = world_.sink().counts().mails;
  const uint64_t connections = world_.sink().counts().connections;
  for (uint16_t p = 0; p < kPartitions; ++p) {
    if (world_.commands_trimmed(PartitionId(p)) == 0) return fmt::format("partition {}: no command was trimmed", p);
    before.push_back(world_.LiveDigest(PartitionId(p)));
  }
  world_.Restart();
  if (!world_.scheduler().RunUntil([&] { return world_.AllLeading() && world_.site() != nullptr; }, Seconds(600)))
    return "not all is led and read after commands were trimmed" + world_.Describe();
  for (uint16_t p = 0; p < kPartitions; ++p) {
    if (!(world_.LiveDigest(PartitionId(p)) == before[p])) return fmt::format("partition {}: another state after a restart", p);
  }
  world_.scheduler().RunFor(Seconds(10));
  const auto counts = world_.sink().counts();
  if (counts.mails != mails || counts.connections != connections) return "a restart with nothing to send opened a connection";
  bool answered = false;
  client_.Ask({Method::kPost, "/v1/contacts", json{{"email", people_[0].address}, {"attributes", {{"score", 7}}}}.dump(), "after-trim"},
              [&](const Answer& answer) {
                answered = true;
                if (answer.status != 200)
                  Fail(fmt::format("a command after the trim was answered {} {}", answer.status, answer.body.dump()));
              });
  if (!world_.scheduler().RunUntil([&] { return answered; }, Seconds(600))) return "a command after the trim is not answered";
  return failure_;
}

// What is not settled, for a person.
std::string Story::Unfinished() {
  std::string text = world_.Describe();
  text += fmt::format(
      "\n{} requests under way, {} files, {} singles, {} events, {} suppressed, campaigns {} launched and {} completed, {} of {} mails "
      "read, {} faults played, over: {}",
      client_.under_way(), files_, singles_, events_, suppressed_, launched_, completed_, mails_read_, world_.sink().counts().mails,
      trouble_.played(), trouble_.over());
  if (world_.site() == nullptr) return text + "\nno site";
  text += "\n" + world_.site()->trouble();
  for (uint16_t p = 0; p < kPartitions; ++p) {
    state::Cache* cache = world_.cache(PartitionId(p));
    if (cache == nullptr) continue;
    for (uint64_t campaign = 1; campaign <= kCampaigns; ++campaign) {
      if (const auto* run = state::View<sends::v1::SendRun>(*cache).Find(state::Key(kTenant, campaign)))
        text += fmt::format("\npartition {}, campaign {}: {}", p, campaign, run->ShortDebugString());
    }
    if (const auto due = state::Timers(*cache).Next()) text += fmt::format("\npartition {}: the next timer is due at {}", p, due->us);
    state::View<sends::v1::RetryQueued>(*cache).Scan({}, {}, [&](std::string_view key, const sends::v1::RetryQueued& retry) {
      text += fmt::format("\n  contact {} is to be tried again, attempt {}", static_cast<int>(key.back()), retry.attempt());
      return true;
    });
    state::View<sends::v1::OpenAttempt>(*cache).Scan({}, {}, [&](std::string_view key, const sends::v1::OpenAttempt& attempt) {
      text += fmt::format("\n  contact {}: {}", static_cast<int>(key.back()), attempt.ShortDebugString());
      return true;
    });
  }
  return text;
}

}  // namespace maily::simulation
