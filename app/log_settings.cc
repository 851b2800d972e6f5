// See log_settings.h.
#include "app/log_settings.h"

#include "app/inbox.h"
#include "app/open_log.h"
#include "app/public_topics.h"

namespace maily::app {

Result<kafka::Examination> ExamineLogSettings(const Config& config) {
  MAILY_TRY(const kafka::Options options, KafkaOptions(config));
  MAILY_TRY(kafka::Examination examined, kafka::ExamineTopics(options));
  if (!examined.found) return examined;
  const auto add = [&](const std::vector<kafka::PublicTopic>& topics, uint16_t partitions) -> Result<void> {
    MAILY_TRY(const auto found, kafka::ExaminePublicTopics(options, topics, partitions));
    examined.findings.insert(examined.findings.end(), found.begin(), found.end());
    return Ok();
  };
  if (WantsPublicTopics(config)) MAILY_TRY_VOID(add(PublicTopicsOf(options), examined.settings ? examined.settings->partition_count : 0));
  MAILY_TRY(const auto inbox, TopicsOfInbox(config, options));
  if (!inbox.empty()) MAILY_TRY_VOID(add(inbox, 0));
  return examined;
}

}  // namespace maily::app
