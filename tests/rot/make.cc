// See make.h.
#include "tests/rot/make.h"

#include <filesystem>
#include <thread>

#include "app/instance.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/engagements/v1/commands.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/effects/smtp/delivery.h"
#include "processors/pipeline.h"
#include "projections/sql/sqlite/sqlite.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/journal/decision.h"

namespace maily::rot {
namespace {

// What clients did.
class Story {
 public:
  Story(Files& files, Leader& leader) : files_(files), leader_(leader) {}

  void Prepare() {
    tenants::v1::CreateTenant create;
    create.set_name("default");
    Ask(create, TenantId(0));
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@shop.test");
    settings.set_postal_address("1 Main Street");
    settings.set_company("Shop");
    Ask(settings, kTenant);
    tenants::v1::RegisterAttribute attribute;
    attribute.set_name("kind");
    attribute.set_attribute_type(tenants::v1::TEXT);
    Ask(attribute, kTenant);
    templates::v1::SaveTemplate save;
    save.set_name("t");
    save.set_subject("hello {{ contact.kind }}");
    save.set_html("<a href=\"https://shop.test/\">x</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a>");
    save.set_text("{{ postal_address }} {{ unsubscribe_url }}");
    Ask(save, kTenant);
  }

  void AddContact(size_t i, Known& known) {
    const keyring::TenantKeys& keys = *files_.keyring->Tenant(kTenant).value();
    const std::string address = fmt::format("c{}@mail.test", i);
    contacts::v1::UpsertContact upsert;
    upsert.set_contact_key(schema::ContactKey(keys, address));
    upsert.set_address(address);
    auto* kind = upsert.add_attributes();
    kind->set_name("kind");
    kind->set_text(i % 3 == 2 ? "held" : "sent");
    const auto subject = files_.keyring->GetOrCreate(kTenant, upsert.contact_key()).value();
    schema::SealPersonal(upsert, kTenant, subject, files_.entropy);
    known.subjects.push_back(upsert.contact_key());
    known.boxes.push_back(upsert.address());
    Ask(upsert, kTenant);
  }

  void Launch() {
    campaigns::v1::CreateCampaign create;
    auto& spec = *create.mutable_spec();
    spec.set_name("c");
    spec.set_template_id(1);
    spec.set_from("news@shop.test");
    Ask(create, kTenant);
    campaigns::v1::LaunchCampaign launch;
    launch.set_campaign_id(1);
    Ask(launch, kTenant);
  }

  void Click(uint64_t ordinal) {
    engagements::v1::RecordClick click;
    click.set_campaign_id(1);
    click.set_ordinal(ordinal);
    Ask(click, kTenant);
  }

 private:
  template <class Message>
  void Ask(const Message& message, TenantId tenant) {
    const std::string payload = message.SerializeAsString();
    command::Command command;
    command.id = files_.entropy.NextId<CommandId>();
    command.type = TypeNumberOf<Message>();
    command.tenant = tenant;
    command.actor = "rot";
    command.occurred_at = files_.clock.Now();
    command.payload = payload;
    const command::Reply reply = leader_.Ask(command);
    MAILY_CHECK(reply.outcome <= static_cast<uint16_t>(journal::Outcome::kUnchanged), "type {}: {}", command.type, reply.answer);
  }

  Files& files_;
  Leader& leader_;
};

// Attempts as a process that is sending has them; what it says of itself is in `known`.
void FillSlots(disk::MmapSlots& slots, Entropy& entropy, Epoch epoch, Known& known) {
  smtp::AttemptSlots attempts(slots, 1, entropy);
  known.opener = attempts.opener();
  known.slots_place = slots.place();
  for (size_t i = 0; i + 1 < kAttemptsKnown; ++i) {
    const size_t slot = attempts.Open(AttemptOf(i), epoch).value();
    if (i >= 1) attempts.DotSent(slot);
    if (i >= 2) attempts.Replied(slot, {.result = 1, .code = 250, .stage = 1, .enhanced = "2.0.0"});
  }
}

// Until plans, flushes and snapshots have ended.
void WaitUntilQuiet(const Leader& leader) {
  for (uint64_t seen = 0; std::exchange(seen, leader.lsn()) != leader.lsn() || seen == 0;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

}  // namespace

Known MakeData(const std::string& data, size_t contacts, const std::function<void()>& killed) {
  Known known;
  auto instance = app::Instance::Open(data).value();
  Files files(instance->data());
  files.OpenLog(Files::Make::kYes).value();
  files.OpenKeys().value();
  files.OpenCareful().value();
  instance->DecideMode({.log_id = files.log->settings().log_id, .name = instance->data()}, 0).value();
  auto smtp_slots = disk::MmapSlots::Open(data + "/slots/smtp", smtp::SlotCount(1)).value();
  const task::Pipeline pipeline = MakePipeline();
  const auto databases = sql::OpenSqlite({.directory = data + "/views"}).value();
  {
    Leader leader(files, pipeline, Leader::Snapshots::kYes);
    leader.Start().value();
    instance->RecordEpoch(leader.epoch().value()).value();
    app::Arm(data, true).value();
    FillSlots(*smtp_slots, files.entropy, leader.epoch(), known);
    Folder folder(files, *databases);
    Story story(files, leader);
    story.Prepare();
    for (size_t i = 0; i < contacts; ++i) story.AddContact(i, known);
    story.Launch();
    WaitUntilQuiet(leader);
    for (size_t i = 0; i < contacts / 4; ++i) story.Click(i + 1);
    WaitUntilQuiet(leader);
    folder.Reach(Lsn(leader.lsn())).value();
    killed();
    leader.Stop();
  }
  return known;
}

}  // namespace maily::rot
