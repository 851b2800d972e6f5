// Random histories of a campaign: results, pauses, opt-outs, restarts in any order. What must hold of all of them is checked at each event.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/events.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/sends/v1/commands.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/suppressions/v1/commands.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "maily/templates/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

namespace sends = maily::sends::v1;
namespace campaigns = maily::campaigns::v1;

constexpr int kContacts = 40;

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

// One contact as the events tell of it.
struct Told {
  uint32_t open = 0;  // number of the open attempt
  uint32_t last = 0;  // of any
  bool unknown = false;
  bool ended = false;  // for good
  std::string contact_key;
};

class History {
 public:
  explicit History(uint32_t seed) : random_(seed), world_(ThePipeline(), 3, seed % 2 == 1) {}

  void Play() {
    Begin();
    for (int step = 0; step < 400 && !testing::Test::HasFailure(); ++step) Act();
    End();
  }

 private:
  using At = std::pair<uint16_t, uint64_t>;  // partition, ordinal

  template <class Message>
  Answered Ask(const Message& message, int partition = -1) {
    const PartitionId to = partition < 0 ? world_.PartitionFor(message) : PartitionId(static_cast<uint16_t>(partition));
    const Answered answered = world_.Command(to, TypeNumberOf<Message>(), schema::Encode(message), world_.now());
    Look();
    return answered;
  }
  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  void Begin() {
    tenants::v1::ChangeSettings settings;
    settings.add_senders("news@example.com");
    settings.set_postal_address("1 Main St");
    Ask(settings);
    templates::v1::SaveTemplate saved;
    saved.set_name("t");
    saved.set_subject("s");
    saved.set_text("{{ unsubscribe_url }} {{ postal_address }}");
    Ask(saved);
    saved.set_name("of an arm");
    Ask(saved);
    for (int i = 0; i < kContacts; ++i) {
      contacts::v1::UpsertContact contact;
      contact.set_contact_key(fmt::format("contact-{:08}", i));
      contact.set_address("sealed");
      contact.set_domain_key(DomainOf(contact.contact_key()));
      Ask(contact);
    }
    campaigns::CreateCampaign create;
    create.mutable_spec()->set_name("c");
    create.mutable_spec()->set_template_id(1);
    create.mutable_spec()->set_from("news@example.com");
    auto& arm = *create.mutable_spec()->add_arms();
    arm.set_name("a");
    arm.set_weight(50);
    auto& other = *create.mutable_spec()->add_arms();
    other.set_name("b");
    other.set_weight(30);
    other.set_template_id(2);
    auto& holdout = *create.mutable_spec()->add_arms();
    holdout.set_name("h");
    holdout.set_weight(20);
    holdout.set_holdout(true);
    Ask(create);
    campaigns::LaunchCampaign launch;
    launch.set_campaign_id(1);
    EXPECT_EQ(Ask(launch).outcome, journal::Outcome::kDone);
  }

  void Act() {
    switch (Below(14)) {
      case 0: {
        campaigns::PauseCampaign pause;
        pause.set_campaign_id(1);
        Ask(pause);
        break;
      }
      case 1:
      case 2: {
        campaigns::ResumeCampaign resume;
        resume.set_campaign_id(1);
        Ask(resume);
        break;
      }
      case 3: {
        suppressions::v1::AddSuppression suppression;
        suppression.set_contact_key(fmt::format("contact-{:08}", Below(kContacts)));
        if (Below(4) == 0) {
          suppressed_.insert(suppression.contact_key());
          Ask(suppression);
        }
        if (Below(8) == 0) SuppressDomain();
        break;
      }
      case 4:
        world_.Restart();
        break;
      case 5:
        world_.Advance(Seconds(Below(7'200)));
        break;
      case 6:
        world_.Grant(Below(8));
        break;
      case 7:
        Resolve(Below(2) == 0);
        break;
      case 8:
        Notice();
        break;
      case 9:
        TakeOutOfUse();
        break;
      default:
        Record(static_cast<sends::AttemptResult>(1 + Below(7)));
        break;
    }
    if (Below(3) != 0) world_.Run();
    Look();
  }

  // The template of an arm is edited, archived, restored; nothing of it reaches the campaign that runs, and it is never deleted.
  void TakeOutOfUse() {
    templates::v1::SaveTemplate saved;
    saved.set_name("of an arm");
    saved.set_subject(fmt::format("s{}", Below(100)));
    saved.set_text("{{ unsubscribe_url }} {{ postal_address }}");
    templates::v1::ArchiveTemplate archive;
    archive.set_template_id(2);
    templates::v1::RestoreTemplate restore;
    restore.set_template_id(2);
    templates::v1::DeleteTemplate gone;
    gone.set_template_id(2);
    if (Below(2) == 0) Ask(saved);
    if (Below(2) == 0) Ask(archive);
    if (Below(2) == 0) Ask(restore);
    EXPECT_EQ(Ask(gone).outcome, journal::Outcome::kConflict);
  }

  // To the end: everyone gets an answer.
  void End() {
    campaigns::ResumeCampaign resume;
    resume.set_campaign_id(1);
    Ask(resume);
    for (int i = 0; i < 200; ++i) {
      world_.Grant(100);
      world_.Run();
      Look();
      bool any = false;
      while (Record(sends::DELIVERED)) any = true;
      while (Resolve(true)) any = true;
      world_.Advance(Hours(3));
      Look();
      if (!any && completed_) break;
    }
    world_.Run();
    Look();
    EXPECT_TRUE(completed_);
    for (const auto& [at, told] : told_) EXPECT_TRUE(told.ended) << at.first << "/" << at.second;
    EXPECT_EQ(sums_.delivered(), counted_.delivered());
    EXPECT_EQ(sums_.bounced(), counted_.bounced());
    EXPECT_EQ(sums_.failed(), counted_.failed());
    EXPECT_EQ(sums_.skipped(), counted_.skipped());
    EXPECT_EQ(sums_.unknown(), 0u);
    EXPECT_EQ(sums_.audience(), static_cast<uint64_t>(kContacts));
    EXPECT_EQ(sums_.audience(), sums_.delivered() + sums_.bounced() + sums_.failed() + sums_.skipped() + sums_.holdout());
    EXPECT_EQ(world_.CheckRestore(), "");
  }

  bool Record(sends::AttemptResult result) {
    std::vector<At> open;
    for (const auto& [at, told] : told_) {
      if (told.open != 0) open.push_back(at);
    }
    if (open.empty()) return false;
    const At at = open[Below(static_cast<uint32_t>(open.size()))];
    sends::RecordAttempt record;
    record.set_campaign_id(1);
    record.set_ordinal(at.second);
    record.set_attempt(told_[at].open);
    record.set_result(result);
    record.set_stage(Below(2) == 0 ? "connect" : "rcpt");
    record.set_reply_code(550);
    EXPECT_EQ(Ask(record, at.first).outcome, journal::Outcome::kDone);
    // A second copy is stale.
    EXPECT_EQ(Ask(record, at.first).outcome, journal::Outcome::kUnchanged);
    return true;
  }

  // Something comes back about anybody's mail: it changes no sum, whatever is known of that mail.
  void Notice() {
    if (told_.empty()) return;
    auto about = told_.begin();
    std::advance(about, Below(static_cast<uint32_t>(told_.size())));
    sends::RecordNotice notice;
    notice.set_campaign_id(1);
    notice.set_ordinal(about->first.second);
    notice.set_kind(static_cast<sends::NoticeKind>(1 + Below(5)));
    notice.set_hard(Below(2) == 0);
    notice.set_reason("mailbox_full");
    const auto outcome = Ask(notice, about->first.first).outcome;
    EXPECT_TRUE(about->second.last == 0 || outcome == journal::Outcome::kDone || outcome == journal::Outcome::kUnchanged);
  }

  bool Resolve(bool delivered) {
    for (const auto& [at, told] : told_) {
      if (!told.unknown) continue;
      sends::ResolveUnknown resolve;
      resolve.set_campaign_id(1);
      resolve.set_ordinal(at.second);
      resolve.set_delivered(delivered);
      EXPECT_EQ(Ask(resolve, at.first).outcome, journal::Outcome::kDone);
      return true;
    }
    return false;
  }

  // Of a contact, by its number: each domain has a quarter of them.
  static std::string DomainOf(std::string_view contact_key) { return fmt::format("domain-of-num-{:02}", (contact_key.back() - '0') % 4); }
  void SuppressDomain() {
    const std::string key = fmt::format("domain-of-num-{:02}", Below(4));
    if (Below(3) == 0) {
      suppressions::v1::RemoveDomainSuppression remove;
      remove.set_domain(key);
      Ask(remove);
      return;
    }
    suppressions::v1::AddDomainSuppression add;
    add.set_domain(key);
    add.set_domain_key(key);
    add.set_stream(static_cast<suppressions::v1::Stream>(Below(3)));
    Ask(add);
  }

  template <class Event, class Visit>
  bool If(const Seen& seen, Visit visit) {
    if (seen.type != TypeNumberOf<Event>()) return false;
    const Event event = schema::Decode<Event>(seen.payload).value();
    visit(event, told_[{seen.partition.value(), event.ordinal()}]);
    return true;
  }
  void Close(Told& told, bool ended) {
    EXPECT_FALSE(told.ended);
    told.open = 0;
    told.unknown = false;
    told.ended = ended;
  }

  void Look() {
    for (const Seen& seen : world_.TakeSeen()) {
      if (seen.type == TypeNumberOf<suppressions::v1::SuppressedDomainChanged>()) {
        const auto changed = schema::Decode<suppressions::v1::SuppressedDomainChanged>(seen.payload).value();
        const std::pair at(seen.partition.value(), changed.domain_key());
        domains_.erase(at);
        if (changed.suppressed() && changed.stream() != suppressions::v1::TRANSACTIONAL) domains_.insert(at);
      }
      If<sends::AttemptOpened>(seen, [&](const sends::AttemptOpened& event, Told& told) {
        EXPECT_EQ(told.open, 0u) << "opened twice at once";
        EXPECT_FALSE(told.ended) << "opened after its end";
        EXPECT_FALSE(suppressed_.contains(event.contact_key())) << "opened for someone who is suppressed";
        EXPECT_FALSE(domains_.contains({seen.partition.value(), DomainOf(event.contact_key())})) << "opened for a suppressed domain";
        EXPECT_EQ(event.attempt(), told.last + 1);
        told.open = told.last = event.attempt();
        told.contact_key = event.contact_key();
      });
      If<sends::AttemptDelivered>(seen, [&](const auto&, Told& told) {
        Close(told, true);
        counted_.set_delivered(counted_.delivered() + 1);
      });
      If<sends::AttemptBounced>(seen, [&](const auto& event, Told& told) {
        Close(told, true);
        counted_.set_bounced(counted_.bounced() + 1);
        if (event.recipient_invalid()) suppressed_.insert(event.contact_key());
      });
      If<sends::BounceReceived>(seen, [&](const auto& event, Told&) {
        if (event.recipient_invalid()) suppressed_.insert(event.contact_key());
      });
      If<sends::ComplaintReceived>(seen, [&](const auto& event, Told&) { suppressed_.insert(event.contact_key()); });
      If<sends::SendSkipped>(seen, [&](const auto&, Told& told) {
        Close(told, true);
        counted_.set_skipped(counted_.skipped() + 1);
      });
      If<sends::SendExpired>(seen, [&](const auto&, Told& told) {
        Close(told, true);
        counted_.set_failed(counted_.failed() + 1);
      });
      If<sends::AttemptDeferred>(seen, [&](const auto&, Told& told) { Close(told, false); });
      If<sends::RetryDue>(seen, [&](const auto&, Told& told) { Close(told, false); });
      If<sends::AttemptUnknown>(seen, [&](const auto&, Told& told) {
        Close(told, false);
        told.unknown = true;
      });
      If<sends::UnknownResolved>(seen, [&](const auto& event, Told& told) {
        Close(told, event.delivered());
        if (event.delivered()) counted_.set_delivered(counted_.delivered() + 1);
      });
      if (seen.type == TypeNumberOf<campaigns::AudiencePlanned>()) {
        const auto planned = schema::Decode<campaigns::AudiencePlanned>(seen.payload).value();
        for (const char verdict : planned.verdicts()) {
          if (verdict > 0 && verdict < 64) counted_.set_skipped(counted_.skipped() + 1);
        }
      }
      if (seen.type == TypeNumberOf<campaigns::CampaignProgressed>()) {
        const auto progress = schema::Decode<campaigns::CampaignProgressed>(seen.payload).value();
        last_[progress.partition()] = progress.counts();
        sums_.Clear();
        for (const auto& [partition, counts] : last_) {
          sums_.set_audience(sums_.audience() + counts.audience());
          sums_.set_delivered(sums_.delivered() + counts.delivered());
          sums_.set_bounced(sums_.bounced() + counts.bounced());
          sums_.set_unknown(sums_.unknown() + counts.unknown());
          sums_.set_skipped(sums_.skipped() + counts.skipped());
          sums_.set_holdout(sums_.holdout() + counts.holdout());
          sums_.set_failed(sums_.failed() + counts.failed());
        }
      }
      if (seen.type == TypeNumberOf<campaigns::CampaignCompleted>()) {
        EXPECT_FALSE(completed_) << "completed twice";
        completed_ = true;
      }
    }
  }

  std::mt19937 random_;
  World world_;
  std::map<At, Told> told_;
  std::set<std::string> suppressed_;
  std::set<std::pair<uint16_t, std::string>> domains_;  // suppressed for mails of campaigns, by partition
  campaigns::CampaignCounts counted_;                   // from the events of sends
  std::map<uint32_t, campaigns::CampaignCounts> last_;  // by partition, as reported
  campaigns::CampaignCounts sums_;
  bool completed_ = false;
};

TEST(Sends, KeepTheirSumsInAnyHistory) {
  for (uint32_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History(seed).Play();
  }
}

}  // namespace
}  // namespace maily::flow
