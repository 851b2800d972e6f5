// See world.h.
#include "bench/spine/world.h"

#include <filesystem>
#include <thread>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/journal/decision.h"
#include "streams/state/key.h"

namespace maily::bench {
namespace {

constexpr size_t kReplyTimeoutSeconds = 30;
constexpr size_t kImportChunk = 1000;

template <class T>
T Must(Result<T> result, const char* what) {
  MAILY_CHECK(result.has_value(), "{}: {}", what, result.error().ToString());
  return std::move(*result);
}
void Must(const Result<void>& result, const char* what) { MAILY_CHECK(result.has_value(), "{}: {}", what, result.error().ToString()); }

void Until(const char* what, const std::function<bool()>& test) {
  const double end = WallSeconds() + 120;
  while (!test()) {
    MAILY_CHECK(WallSeconds() < end, "{}: not within two minutes", what);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::string Prepared(const std::string& directory) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  return directory;
}

void AddText(contacts::v1::UpsertContact& command, const char* name, std::string_view value) {
  auto& attribute = *command.add_attributes();
  attribute.set_name(name);
  attribute.set_text(value.data(), value.size());
}
void AddInteger(contacts::v1::UpsertContact& command, const char* name, uint64_t value) {
  auto& attribute = *command.add_attributes();
  attribute.set_name(name);
  attribute.set_integer(static_cast<int64_t>(value));
}

}  // namespace

World::World(const Settings& settings) : settings_(settings), resources_(rocks::Limits{}), pipeline_(MakePipeline()) {
  const std::string base = Prepared(settings.directory);
  LogSettings wanted;
  wanted.partition_count = settings.partitions;
  wanted.log_id = entropy_.NextId<LogId>();
  log_ = Must(rocks::RocksLog::Open(base + "/log", wanted, resources_, clock_), "the log");
  for (uint16_t p = 0; p < settings.partitions; ++p) Must(journal::WriteGenesis(*log_, PartitionId(p)), "genesis");
  key_stores_ = std::make_unique<rocks::RocksKvStores>(base + "/keys", resources_);
  keyring::Key root;
  entropy_.Fill(root.bytes);
  keyring_ =
      Must(keyring::Keyring::Open(Must(key_stores_->Open("keyring", KvDurability::kOnWrite), "the keyring's store"), root, entropy_, {}),
           "the keyring");
  state_stores_ = std::make_unique<rocks::RocksKvStores>(base + "/state", resources_);
  slots_ = Must(disk::MmapSlots::Open(base + "/careful", settings.partitions), "slots");
  workers_ = std::make_unique<asio_net::Workers>("task", settings.workers);
  driver_ = std::make_unique<asio_net::Worker>("driver");
  sender_ = std::make_unique<command::Sender>(*log_, size_t{64} << 20);
  replies_ = std::make_unique<command::Replies>(200'000);
  environment_ = std::make_unique<task::TaskEnvironment>(task::TaskEnvironment{*log_, clock_, entropy_, *state_stores_, *slots_, *sender_,
                                                                               *replies_, pipeline_, keyring_.get(), "bench", "bench"});
  environment_->cache_bytes_max = (settings.state_cache_mb << 20) / settings.partitions;
  environment_->flush_journal_bytes = (settings.flush_journal_mb << 20) / settings.partitions;
  caches_.resize(settings.partitions);
  task::Host::Listener listener;
  listener.led = [this](PartitionId partition, Executor&, Epoch, const journal::Position&, state::Cache& cache, task::Credits&,
                        journal::Tail&) {
    const std::lock_guard lock(mutex_);
    caches_[partition.value()] = &cache;
  };
  std::vector<Executor*> executors;
  for (size_t w = 0; w < settings.workers; ++w) executors.push_back(&workers_->at(w));
  tails_ = std::make_unique<journal::Tails>(*log_);
  host_ = std::make_unique<task::Host>(*environment_, *tails_, executors, listener);
  host_->Start();
  Until("leading every partition", [this] { return host_->AllLeading(); });
}

World::~World() {
  std::promise<void> stopped;
  host_->Stop([&stopped] { stopped.set_value(); });
  stopped.get_future().wait();
  workers_->Stop();
  driver_->Stop();
}

command::Reply World::Ask(PartitionId partition, const command::Command& command) {
  std::promise<Result<command::Reply>> reply;
  replies_->Await(command.id, *driver_, Seconds(kReplyTimeoutSeconds),
                  [&reply](Result<command::Reply> answer) { reply.set_value(std::move(answer)); });
  sender_->Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});
  return Must(reply.get_future().get(), "a command");
}

template <class Message>
command::Reply World::AskHome(const Message& message) {
  const std::string payload = message.SerializeAsString();
  command::Command command;
  command.id = entropy_.NextId<CommandId>();
  command.type = TypeNumberOf<Message>();
  command.tenant = kTenant;
  command.actor = "bench";
  command.occurred_at = clock_.Now();
  command.payload = payload;
  const command::Reply reply = Ask(schema::HomeOf(kTenant, settings_.partitions), command);
  MAILY_CHECK(reply.outcome == static_cast<uint16_t>(journal::Outcome::kDone), "type {}: {}", command.type, reply.answer);
  return reply;
}

void World::Load(size_t contacts) {
  tenants::v1::CreateTenant create;
  create.set_name("default");
  const std::string payload = create.SerializeAsString();
  command::Command command;
  command.id = entropy_.NextId<CommandId>();
  command.type = TypeNumberOf<tenants::v1::CreateTenant>();
  command.tenant = TenantId(0);
  command.actor = "bench";
  command.occurred_at = clock_.Now();
  command.payload = payload;
  const command::Reply made = Ask(PartitionOf(schema::kTenantsKey, settings_.partitions), command);
  MAILY_CHECK(made.outcome == static_cast<uint16_t>(journal::Outcome::kDone), "tenant: {}", made.answer);
  ImportContacts(contacts);
  LaunchCampaign();
}

void World::ImportContacts(size_t count) {
  const keyring::TenantKeys& keys = *Must(keyring_->Tenant(kTenant), "the tenant's keys");
  const std::string domain_key = schema::DomainKey(keys, "example.com");
  std::vector<uint64_t> ordinals(settings_.partitions);
  const uint64_t before = Accepted();
  for (size_t first = 0; first < count; first += kImportChunk) {
    std::vector<std::string> contact_keys;
    for (size_t i = first; i < std::min(count, first + kImportChunk); ++i) {
      contact_keys.push_back(schema::ContactKey(keys, fmt::format("c{:07}@example.com", i)));
    }
    const std::vector<std::string_view> subjects(contact_keys.begin(), contact_keys.end());
    const auto subject_keys = Must(keyring_->GetOrCreate(kTenant, subjects), "contact keys");
    for (size_t k = 0; k < contact_keys.size(); ++k) {
      const size_t i = first + k;
      contacts::v1::UpsertContact contact;
      contact.set_contact_key(contact_keys[k]);
      contact.set_address(schema::Seal(kTenant, subject_keys[k], "address", fmt::format("c{:07}@example.com", i), entropy_));
      contact.set_domain_key(domain_key);
      contact.set_personal_digest(std::string(16, static_cast<char>('a' + i % 26)));
      auto& name = *contact.add_attributes();
      name.set_name("first_name");
      name.set_sealed(
          schema::Seal(kTenant, subject_keys[k], schema::AttributeFieldId("first_name"), fmt::format("Name{}", i % 997), entropy_));
      AddInteger(contact, "recency", i % 12 + 1);
      AddText(contact, "history_segment", i % 3 == 0 ? "1) $0 - $100" : "2) $100 - $200");
      auto& history = *contact.add_attributes();
      history.set_name("history");
      history.set_number(static_cast<double>(i % 50'000) / 100);
      AddInteger(contact, "mens", i & 1);
      AddInteger(contact, "womens", (i >> 1) & 1);
      AddText(contact, "zip_code", i % 2 == 0 ? "Surburban" : "Urban");
      AddInteger(contact, "newbie", (i >> 2) & 1);
      AddText(contact, "channel", i % 2 == 0 ? "Phone" : "Web");
      AddText(contact, "segment", i % 3 == 0 ? "Mens E-Mail" : i % 3 == 1 ? "Womens E-Mail" : "No E-Mail");
      contact.set_source("bench");
      const std::string payload = contact.SerializeAsString();
      command::Command command;
      command.id = entropy_.NextId<CommandId>();
      command.type = TypeNumberOf<contacts::v1::UpsertContact>();
      command.tenant = kTenant;
      command.key = contact_keys[k];
      command.actor = "bench";
      command.occurred_at = clock_.Now();
      command.payload = payload;
      const PartitionId partition = schema::PartitionOfContact(contact_keys[k], settings_.partitions);
      recipients_.push_back({partition, ++ordinals[partition.value()]});
      sender_->Send(partition, command, Sync::kSoon,
                    [](const Result<CommandAt>& sent) { MAILY_CHECK(sent.has_value(), "a contact: {}", sent.error().ToString()); });
    }
    Until("the contacts", [&] { return Accepted() - before + 20'000 >= first + contact_keys.size(); });  // the queue stays short
  }
  Until("the contacts", [&] { return Accepted() - before >= count; });
}

void World::LaunchCampaign() {
  tenants::v1::ChangeSettings settings;
  settings.add_senders("news@shop.example.com");
  settings.set_postal_address("1 Main Street");
  settings.set_company("Shop");
  AskHome(settings);
  tenants::v1::RegisterAttribute attribute;
  attribute.set_name("first_name");
  attribute.set_attribute_type(tenants::v1::TEXT);
  attribute.set_personal(true);
  AskHome(attribute);
  templates::v1::SaveTemplate save;
  save.set_name("bench");
  save.set_subject("{{ contact.first_name }}, the new collection");
  save.set_html("<p><a href=\"https://shop.example.com/new\">look</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></p>");
  save.set_text("https://shop.example.com/new {{ postal_address }} {{ unsubscribe_url }}");
  AskHome(save);
  campaigns::v1::CreateCampaign create;
  create.mutable_spec()->set_name("bench");
  create.mutable_spec()->set_template_id(1);
  create.mutable_spec()->set_from("Shop <news@shop.example.com>");
  AskHome(create);
  campaign_ = 1;
  campaigns::v1::LaunchCampaign launch;
  launch.set_campaign_id(campaign_);
  AskHome(launch);
  Until("planning", [this] {
    for (size_t p = 0; p < settings_.partitions; ++p) {
      std::promise<bool> planned;
      workers_->at(p).Post([&, p] {
        const auto* run = state::View<campaigns::v1::CampaignRun>(*caches_[p]).Find(state::Key(kTenant, campaign_));
        planned.set_value(run != nullptr && run->planned_to() >= run->last_ordinal());
      });
      if (!planned.get_future().get()) return false;
    }
    return true;
  });
  uint64_t seen = 0;
  Until("quiet", [&] { return std::exchange(seen, Accepted()) == Accepted(); });
}

command::Command World::Click(const Recipient& recipient, Uniform& chance, std::string& payload) const {
  thread_local engagements::v1::RecordClick click;
  thread_local std::string filler(kClickBytes, 'u');
  click.Clear();
  click.set_campaign_id(campaign_);
  click.set_ordinal(recipient.ordinal);
  click.set_link(0);                              // the only one
  const size_t fixed = click.ByteSizeLong() + 2;  // tag and size of the sealed user agent
  filler.resize(kClickBytes - fixed);
  for (size_t i = 0; i + 8 <= filler.size(); i += 8) {
    const uint64_t random = chance.Next();  // a sealed field does not compress
    std::memcpy(filler.data() + i, &random, 8);
  }
  click.set_user_agent(filler);
  payload.clear();
  click.AppendToString(&payload);
  command::Command command;
  for (size_t i = 0; i < 16; i += 8) {
    const uint64_t random = chance.Next();
    std::memcpy(command.id.bytes.data() + i, &random, 8);
    const uint64_t other = chance.Next();
    std::memcpy(command.trace.bytes.data() + i, &other, 8);
  }
  command.type = TypeNumberOf<engagements::v1::RecordClick>();
  command.tenant = kTenant;
  command.actor = "tracking";
  command.occurred_at = Instant{1'700'000'000'000'000 + static_cast<int64_t>(chance.Below(1'000'000'000))};
  command.payload = payload;
  return command;
}

uint64_t World::Accepted() const {
  uint64_t sum = 0;
  for (const task::Task::Status& status : host_->status()) sum += status.lsn;
  return sum;
}

}  // namespace maily::bench
