// See sns.h.
#include "api/esp/sns.h"

#include <algorithm>

#include "api/esp/json.h"
#include "streams/base/base64.h"

namespace maily::esp::sns {
namespace {

using nlohmann::json;

constexpr size_t kUrlMax = 2048;
constexpr size_t kFieldMax = 8192;          // of all members but Message
constexpr size_t kSignatureTextMax = 2048;  // base64 of 8192 bits

Error NoEnvelope(std::string_view why) { return Fail(Code::kInvalid, "it is no message of SNS: {}", why); }

// A member that has to be a string, as it is.
Result<std::string> Required(const json& envelope, const char* name) {
  const json& value = Member(envelope, name);
  if (!value.is_string()) return NoEnvelope(fmt::format("{} is missing, or no string", name));
  return value.get<std::string>();
}

// The same of those that have one line: a line end would let one value pass for two.
Result<std::string> RequiredLine(const json& envelope, const char* name) {
  MAILY_TRY(std::string text, Required(envelope, name));
  const bool plain = std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!plain || text.size() > kFieldMax) return NoEnvelope(fmt::format("{} has control characters, or is too long", name));
  return text;
}

Result<Type> TypeOf(std::string_view name) {
  if (name == "Notification") return Type::kNotification;
  if (name == "SubscriptionConfirmation") return Type::kSubscriptionConfirmation;
  if (name == "UnsubscribeConfirmation") return Type::kUnsubscribeConfirmation;
  return NoEnvelope("its Type is not known");
}

void Add(std::string& text, std::string_view name, std::string_view value) {
  text += name;
  text += '\n';
  text += value;
  text += '\n';
}

// The host of "https://HOST/…"; empty if the URL has another form.
std::string_view HostOf(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (url.size() > kUrlMax || !url.starts_with(kScheme)) return {};
  if (!std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f && c != '\\' && c != '#'; })) return {};
  url.remove_prefix(kScheme.size());
  return url.substr(0, url.find_first_of("/?"));
}

bool IsHostOfSns(std::string_view host) {
  constexpr std::string_view kFirst = "sns.";
  if (!host.starts_with(kFirst)) return false;
  host.remove_prefix(kFirst.size());
  for (const std::string_view last : {".amazonaws.com", ".amazonaws.com.cn"}) {
    if (!host.ends_with(last)) continue;
    const std::string_view region = host.substr(0, host.size() - last.size());
    return region.size() >= 3 &&
           std::ranges::all_of(region, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
  }
  return false;
}

}  // namespace

bool IsUrlOfSns(std::string_view url) { return IsHostOfSns(HostOf(url)); }

bool IsCertificateUrl(std::string_view url) { return IsUrlOfSns(url) && url.ends_with(".pem") && url.find('?') == url.npos; }

Result<Envelope> Verify(std::string_view body, const Trust& trust) {
  MAILY_CHECK(trust.certificate_at != nullptr, "no way to certificates");
  MAILY_TRY(const json whole, ParseBounded(body));
  if (!whole.is_object()) return NoEnvelope("it is no object");
  MAILY_TRY(const std::string type, RequiredLine(whole, "Type"));
  Envelope envelope;
  MAILY_TRY(envelope.type, TypeOf(type));
  MAILY_TRY(envelope.message, Required(whole, "Message"));
  MAILY_TRY(envelope.message_id, RequiredLine(whole, "MessageId"));
  MAILY_TRY(envelope.topic_arn, RequiredLine(whole, "TopicArn"));
  MAILY_TRY(const std::string timestamp, RequiredLine(whole, "Timestamp"));
  MAILY_TRY(envelope.at, TimeOf(timestamp, "Timestamp"));
  if (std::ranges::find(trust.topics, envelope.topic_arn) == trust.topics.end())
    return Fail(Code::kInvalid, "it is of a topic of SNS that is not configured: compare the ARN");
  MAILY_TRY_VOID(CheckWindow(envelope.at, trust.window));

  std::string text;
  Add(text, "Message", envelope.message);
  Add(text, "MessageId", envelope.message_id);
  if (envelope.type == Type::kNotification) {
    if (!Member(whole, "Subject").is_null()) {
      MAILY_TRY(const std::string subject, RequiredLine(whole, "Subject"));
      Add(text, "Subject", subject);
    }
    Add(text, "Timestamp", timestamp);
  } else {
    MAILY_TRY(envelope.subscribe_url, RequiredLine(whole, "SubscribeURL"));
    MAILY_TRY(const std::string token, RequiredLine(whole, "Token"));
    if (!IsUrlOfSns(envelope.subscribe_url)) return NoEnvelope("its SubscribeURL is none of SNS");
    Add(text, "SubscribeURL", envelope.subscribe_url);
    Add(text, "Timestamp", timestamp);
    Add(text, "Token", token);
  }
  Add(text, "TopicArn", envelope.topic_arn);
  Add(text, "Type", type);

  MAILY_TRY(const std::string version, RequiredLine(whole, "SignatureVersion"));
  if (version != "1" && version != "2") return NoEnvelope("its SignatureVersion is not known");
  MAILY_TRY(const std::string encoded, RequiredLine(whole, "Signature"));
  MAILY_TRY(const std::string url, RequiredLine(whole, "SigningCertURL"));
  if (!IsCertificateUrl(url)) return NoEnvelope("its SigningCertURL is none of SNS");
  const auto signature = encoded.size() <= kSignatureTextMax ? FromBase64(encoded) : std::nullopt;
  if (!signature) return NoEnvelope("its Signature is not base64");
  MAILY_TRY(const std::string pem, trust.certificate_at(url));
  MAILY_TRY(const PublicKey key, PublicKey::OfCertificate(pem, trust.window.now));
  if (!key.Verifies(version == "1" ? Hash::kSha1 : Hash::kSha256, {text}, *signature))
    return Fail(Code::kInvalid, "the Signature is none of SNS over this message");
  return envelope;
}

}  // namespace maily::esp::sns
