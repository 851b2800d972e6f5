// See public_topics.h.
#include "app/public_topics.h"

#include <google/protobuf/message.h>

#include "app/cloud_event.h"
#include "app/open_log.h"
#include "schemas/codec.h"
#include "schemas/json.h"
#include "schemas/sealed.h"
#include "schemas/types.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/kafka/outlet.h"
#include "streams/observe/logging.h"

namespace maily::app {
namespace {

constexpr Duration kContactsRetention = Days(30);  // personal data in plain is not kept for ever; docs/adr/0021
constexpr size_t kInFlightBytes = 64 << 20;

std::string TopicNameOf(const kafka::Options& options, schema::PublicTopic topic) {
  return fmt::format("{}.{}", options.prefix, schema::PublicTopicName(topic));
}

class PublicMapping final : public link::Mapping {
 public:
  PublicMapping(keyring::Keyring& keyring, PublicFormat format) : keyring_(keyring), format_(format) {}

  std::optional<size_t> TopicOf(const journal::Event& event) override {
    const schema::Type* const type = schema::FindType(event.type);
    if (type == nullptr || type->public_topic == schema::PublicTopic::kNone) return std::nullopt;
    return static_cast<size_t>(type->public_topic) - 1;
  }

  Result<void> Map(const Source& source, OutletBatch& out) override {
    const CloudEvent made = MakeCloudEvent(source.partition, source.frame, source.decision, source.event);
    if (!made.message) return Fail(Code::kCorrupt, "its bytes are no {}", made.type);
    MAILY_TRY_VOID(Unseal(source, *made.message));
    const bool json = format_ == PublicFormat::kJson;
    const OutletHeader headers[] = {
        {"ce_specversion", "1.0"},
        {link::kEventIdHeader, source.id},
        {"ce_source", made.source},
        {"ce_type", made.type},
        {"ce_time", made.time},
        {"ce_subject", made.key},
        {"ce_tenant", made.tenant},
        {"ce_traceid", made.trace_id},
        {"ce_causationid", made.causation_id},
        {"content-type", json ? "application/json" : "application/protobuf"},
    };
    out.Add(made.key, json ? schema::ToJson(*made.message, schema::PersonalAs::kPlaintext) : schema::Encode(*made.message), headers,
            source.frame.time);
    return Ok();
  }

 private:
  Result<void> Unseal(const Source& source, google::protobuf::Message& message) {
    if (schema::FindType(source.event.type)->public_topic == schema::PublicTopic::kContacts) {
      const auto opened = schema::OpenPersonal(message, source.decision.tenant, keyring_);
      if (opened) return Ok();
      if (opened.error().code != Code::kInvalid) return opened.error();
      // Never opened by anybody again: the event goes out without it.
      observe::Log(observe::Level::kWarn, "a personal field does not open", {{"event", source.id}, {"error", opened.error()}});
    }
    schema::ClearPersonal(message);
    return Ok();
  }

  keyring::Keyring& keyring_;
  const PublicFormat format_;
};

// What there is to see, whether anything is published or not: every name is there from the start.
class Metrics {
 public:
  Metrics(const std::vector<std::string>& topics, const std::vector<std::unique_ptr<link::Publisher>>& publishers) : counters_(topics) {
    auto& process = observe::Metrics::Process();
    const auto sum = [&publishers] {
      uint64_t records = 0;
      for (const auto& publisher : publishers) records += publisher->lag().records;
      return static_cast<double>(records);
    };
    const auto oldest = [&publishers] {
      Duration age;
      for (const auto& publisher : publishers) age = std::max(age, publisher->lag().age);
      return static_cast<double>(age.us) / 1e6;
    };
    records_ =
        process.AddProbe("maily_public_lag_records", "Journal records that are not published yet, over all partitions led here.", {}, sum);
    seconds_ = process.AddProbe("maily_public_lag_seconds",
                                "Age of the last published frame of the partition that is behind the most; 0: none is.", {}, oldest);
  }

 private:
  const link::PublisherMetrics counters_;
  observe::Metrics::Probe records_, seconds_;
};

class Publishing final : public PublicTopics {
 public:
  ~Publishing() override { Stop(); }

  Result<void> Open(const Config& config, Log& log, keyring::Keyring& keyring, Clock& clock) {
    if (!WantsPublicTopics(config)) {
      std::vector<std::string> names;
      for (const schema::PublicTopic topic : schema::kPublicTopics) names.push_back(TopicNameOf(kafka::Options(), topic));
      metrics_ = std::make_unique<Metrics>(names, publishers_);
      return Ok();
    }
    if (!IsOnKafka(config)) {
      return Fail(Code::kInvalid, "{}: public_topics is on, and the log is in the data directory: they need a log on Kafka (setting log)",
                  config.Source("public_topics"));
    }
    MAILY_TRY(const kafka::Options options, KafkaOptions(config));
    MAILY_TRY(const std::vector<kafka::Finding> findings,
              kafka::ExaminePublicTopics(options, PublicTopicsOf(options), log.settings().partition_count));
    for (const kafka::Finding& finding : findings) {
      if (finding.level != kafka::Finding::Level::kFail) continue;
      return Fail(Code::kConflict, "topic {}: {} is {}, wanted is {}; run: {}; or set public_topics: off", finding.where, finding.setting,
                  finding.found, finding.wanted, finding.fix);
    }
    const uint16_t partitions = log.settings().partition_count;
    kafka::OutletOptions wanted{.topics = {}, .partitions = partitions, .in_flight_bytes_max = kInFlightBytes};
    for (const kafka::PublicTopic& topic : PublicTopicsOf(options)) wanted.topics.push_back(topic.name);
    MAILY_TRY(outlet_, kafka::OpenOutlet(options, wanted));
    worker_ = std::make_unique<asio_net::Worker>("public");
    mapping_ = MakePublicMapping(keyring, config.Text("public_format") == "json" ? PublicFormat::kJson : PublicFormat::kProtobuf);
    link::PublisherOptions each;
    each.round_bytes = std::clamp<size_t>(kInFlightBytes / 2 / partitions, 16 << 10, 1 << 20);
    for (uint16_t p = 0; p < partitions; ++p) {
      publishers_.push_back(std::make_unique<link::Publisher>(log, *outlet_, *mapping_, *worker_, clock, PartitionId(p), each));
    }
    metrics_ = std::make_unique<Metrics>(wanted.topics, publishers_);
    return Ok();
  }

  void Led(PartitionId partition, const journal::Position& position, journal::Tail& tail) override {
    if (!publishers_.empty()) publishers_[partition.value()]->Lead(tail, position);
  }
  void Stopped(PartitionId partition) override {
    if (!publishers_.empty()) publishers_[partition.value()]->Stop();
  }
  void Stop() override {
    if (worker_) worker_->Stop();
  }

 private:
  // Destroyed in reverse: what calls back dies before what it calls.
  std::unique_ptr<asio_net::Worker> worker_;
  std::unique_ptr<link::Mapping> mapping_;
  std::unique_ptr<Outlet> outlet_;
  std::vector<std::unique_ptr<link::Publisher>> publishers_;
  std::unique_ptr<Metrics> metrics_;
};

}  // namespace

bool WantsPublicTopics(const Config& config) {
  const std::string& wanted = config.Text("public_topics");
  return wanted == "on" || (wanted == "auto" && IsOnKafka(config));
}

std::vector<kafka::PublicTopic> PublicTopicsOf(const kafka::Options& options) {
  std::vector<kafka::PublicTopic> topics;
  for (const schema::PublicTopic topic : schema::kPublicTopics) {
    topics.push_back({TopicNameOf(options, topic), topic == schema::PublicTopic::kContacts ? kContactsRetention : Duration{}});
  }
  return topics;
}

std::unique_ptr<link::Mapping> MakePublicMapping(keyring::Keyring& keyring, PublicFormat format) {
  return std::make_unique<PublicMapping>(keyring, format);
}

Result<std::unique_ptr<PublicTopics>> PublicTopics::Open(const Config& config, Log& log, keyring::Keyring& keyring, Clock& clock) {
  auto publishing = std::make_unique<Publishing>();
  MAILY_TRY_VOID(publishing->Open(config, log, keyring, clock));
  return std::unique_ptr<PublicTopics>(std::move(publishing));
}

}  // namespace maily::app
