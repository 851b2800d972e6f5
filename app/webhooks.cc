// See webhooks.h.
#include "app/webhooks.h"

#include "app/held.h"

namespace maily::app {
namespace {

constexpr size_t kTopicsMax = 100;
constexpr size_t kTopicBytesMax = 512;  // an ARN of SNS has fewer

// "user:password" is of HTTP basic, anything else stands in the URL. Empty setting: an empty secret.
Result<esp::Secret> SecretOf(const Config& config, std::string_view name) {
  esp::Secret secret;
  if (config.Text(name).empty()) return secret;
  MAILY_TRY(std::string text, Held(name, config.Text(name)));
  const size_t colon = text.find(':');
  const size_t size = colon == std::string::npos ? text.size() : text.size() - colon - 1;
  if (size < esp::kSecretBytesMin || colon == 0) {
    return Fail(Code::kInvalid, "{}: {} holds a secret of {} bytes{}: use {} at least", config.Source(name), name, size,
                colon == 0 ? ", without a user" : "", esp::kSecretBytesMin);
  }
  if (colon == std::string::npos) {
    secret.in_url = std::move(text);
  } else {
    secret.user = text.substr(0, colon);
    secret.password = text.substr(colon + 1);
  }
  return secret;
}

}  // namespace

Result<api::WebhookSettings> WebhookSettingsOf(const Config& config) {
  api::WebhookSettings settings;
  MAILY_TRY(settings.ses_topics, ListOf(config, "webhook_ses_topics", kTopicsMax));
  for (const std::string& topic : settings.ses_topics) {
    if (!topic.starts_with("arn:") || topic.size() > kTopicBytesMax) {
      return Fail(Code::kInvalid, "{}: webhook_ses_topics: '{}' is no ARN of a topic", config.Source("webhook_ses_topics"),
                  topic.substr(0, kTopicBytesMax));
    }
  }
  MAILY_TRY(settings.ses_raw, SecretOf(config, "webhook_ses_secret"));
  if (settings.ses_topics.empty() && !config.Text("webhook_ses_secret").empty()) {
    return Fail(Code::kInvalid, "{}: webhook_ses_secret: say whose notices are taken: set webhook_ses_topics",
                config.Source("webhook_ses_secret"));
  }
  MAILY_TRY(settings.postmark, SecretOf(config, "webhook_postmark_secret"));
  if (!config.Text("webhook_sendgrid_key").empty()) {
    MAILY_TRY(const std::string text, Held("webhook_sendgrid_key", config.Text("webhook_sendgrid_key")));
    auto key = esp::PublicKey::OfP256(text);
    if (!key) return Fail(Code::kInvalid, "{}: webhook_sendgrid_key: {}", config.Source("webhook_sendgrid_key"), key.error().message);
    settings.sendgrid_key = std::make_shared<const esp::PublicKey>(*std::move(key));
  }
  if (!config.Text("webhook_mailgun_key").empty()) {
    MAILY_TRY(settings.mailgun_key, Held("webhook_mailgun_key", config.Text("webhook_mailgun_key")));
  }
  return settings;
}

}  // namespace maily::app
