// See inbox.h.
#include "app/inbox.h"

#include <charconv>
#include <set>

#include "api/inbox.h"
#include "app/inbox_road.h"
#include "app/open_log.h"
#include "streams/adapters/kafka/feed.h"
#include "streams/adapters/kafka/outlet.h"
#include "streams/observe/metrics.h"

namespace maily::app {
namespace {

constexpr TenantId kDefaultTenant(1);
constexpr Duration kInboxRetention = Days(7);  // what was not taken in by then is lost, and said to be
constexpr Duration kDeadRetention = Days(30);  // personal data in plain is not kept for ever
constexpr size_t kDeadInFlightBytes = 16 << 20;

class Gateway final : public InboxGateway {
 public:
  ~Gateway() override { Stop(Duration{}); }

  Result<void> Connect(const Config& config, const std::string& build) {
    build_ = build;
    RegisterInboxMetrics();
    const auto lag = [this] { return feed_ ? static_cast<double>(feed_->lag()) : 0.0; };
    if (WantsInbox(config)) {
      if (!IsOnKafka(config)) {
        return Fail(Code::kInvalid, "{}: inbox is on, and the log is in the data directory: it needs a log on Kafka (setting log)",
                    config.Source("inbox"));
      }
      MAILY_TRY(const kafka::Options options, KafkaOptions(config));
      MAILY_TRY(topics_, InboxTopicsOf(config, options));
      MAILY_TRY(const auto all, TopicsOfInbox(config, options));
      MAILY_TRY(const auto findings, kafka::ExaminePublicTopics(options, all, 0));
      for (const kafka::Finding& finding : findings) {
        if (finding.level != kafka::Finding::Level::kFail) continue;
        return Fail(Code::kConflict, "topic {}: {} is {}, wanted is {}; run: {}; or set inbox: off", finding.where, finding.setting,
                    finding.found, finding.wanted, finding.fix);
      }
      const std::string dead = DeadLetterTopicOf(options);
      MAILY_TRY(const uint16_t partitions, kafka::PartitionsOf(options, dead));
      kafka::OutletOptions outlet{.topics = {dead}, .partitions = partitions, .in_flight_bytes_max = kDeadInFlightBytes};
      MAILY_TRY(dead_, kafka::OpenOutlet(options, outlet));
      options_ = options;
    }
    lag_ = observe::Metrics::Process().AddProbe("maily_inbox_lag_records", "Records of the inbox that wait in this process's partitions.",
                                                {}, lag);
    return Ok();
  }

  void Start(const api::Dependencies& needs) override {
    if (!dead_) return;
    kafka::FeedOptions wanted{.topics = {}, .group = options_.prefix + ".inbox"};
    for (const InboxTopic& topic : topics_) wanted.topics.push_back(topic.name);
    auto feed = kafka::OpenFeed(options_, wanted);
    MAILY_CHECK(feed, "the properties that served the log serve the inbox: {}", feed.error().ToString());
    feed_ = *std::move(feed);
    inbox_ = std::make_unique<api::Inbox>(needs);
    road_ = std::make_unique<InboxRoad>(InboxRoadParts{
        .feed = *feed_,
        .dead = *dead_,
        .decide =
            [this](const FeedRecord& record, auto done) {
              const InboxTopic& topic = topics_[record.topic];
              inbox_->Take({.tenant = topic.tenant, .actor = "inbox:" + topic.name, .value = record.value, .headers = record.headers},
                           std::move(done));
            },
        .clock = needs.clock,
        .build = build_});
    road_->Start();
  }

  void Stop(Duration patience) override {
    if (road_) road_->Stop(patience);
    lag_ = {};
    road_.reset();
    feed_.reset();  // leaves the group
  }

 private:
  std::string build_;
  kafka::Options options_;
  std::vector<InboxTopic> topics_;
  std::unique_ptr<Outlet> dead_;
  std::unique_ptr<Feed> feed_;
  std::unique_ptr<api::Inbox> inbox_;
  std::unique_ptr<InboxRoad> road_;
  observe::Metrics::Probe lag_;
};

}  // namespace

bool WantsInbox(const Config& config) {
  const std::string& wanted = config.Text("inbox");
  return wanted == "on" || (wanted == "auto" && IsOnKafka(config));
}

std::string DeadLetterTopicOf(const kafka::Options& options) { return options.prefix + ".inbox.dead"; }

Result<std::vector<InboxTopic>> InboxTopicsOf(const Config& config, const kafka::Options& options) {
  const std::string inbox = options.prefix + ".inbox";
  std::vector<InboxTopic> topics{{inbox, kDefaultTenant}};
  const std::string& text = config.Text("inbox_tenants");
  std::set<uint32_t> listed{kDefaultTenant.value()};
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string part = text.substr(at, end - at);
    std::erase(part, ' ');
    uint32_t number = 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || stop != part.data() + part.size() || number == 0) {
      return Fail(Code::kInvalid, "{}: inbox_tenants lists numbers of tenants, as in 2,3; '{}' is none", config.Source("inbox_tenants"),
                  part);
    }
    if (listed.insert(number).second) topics.push_back({fmt::format("{}.{}", inbox, number), TenantId(number)});
    at = end + 1;
  }
  return topics;
}

Result<std::vector<kafka::PublicTopic>> TopicsOfInbox(const Config& config, const kafka::Options& options) {
  std::vector<kafka::PublicTopic> all;
  if (!WantsInbox(config)) return all;
  MAILY_TRY(const std::vector<InboxTopic> topics, InboxTopicsOf(config, options));
  // By the broker's time: a producer whose clock is wrong must not have his records deleted at once.
  for (const InboxTopic& topic : topics) all.push_back({topic.name, kInboxRetention, "LogAppendTime"});
  all.push_back({DeadLetterTopicOf(options), kDeadRetention, "LogAppendTime"});
  return all;
}

Result<std::unique_ptr<InboxGateway>> InboxGateway::Open(const Config& config, const std::string& build) {
  auto gateway = std::make_unique<Gateway>();
  MAILY_TRY_VOID(gateway->Connect(config, build));
  return std::unique_ptr<InboxGateway>(std::move(gateway));
}

}  // namespace maily::app
