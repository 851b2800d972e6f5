// See cloud_event.h.
#include "app/cloud_event.h"

#include <ctime>

#include "schemas/codec.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/journal/rejected.h"

namespace maily::app {
namespace {

std::string TimeText(Instant at) {
  const std::time_t seconds = at.us / 1'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                     utc.tm_sec, at.us % 1'000'000);
}

std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return hex;
}

std::string TypeNameOf(TypeNumber number) {
  if (const schema::Type* type = schema::FindType(number)) return std::string(type->full_name);
  return number == TypeNumberOf<journal::CommandRejected>() ? "maily.CommandRejected" : fmt::format("maily.internal.{}", number);
}

std::string KeyOf(PartitionId partition, TenantId tenant, const google::protobuf::Message* message) {
  const auto* ordinal = message == nullptr ? nullptr : message->GetDescriptor()->FindFieldByName("ordinal");
  if (ordinal == nullptr) return schema::HomeKey(tenant);
  return std::to_string(schema::PackContactId({partition, message->GetReflection()->GetUInt64(*message, ordinal)}));
}

std::string CausationOf(const journal::Cause& cause) {
  if (cause.kind == journal::CauseKind::kCommand) return cause.command_id.ToHex();
  return (cause.kind == journal::CauseKind::kWork ? "work:" : "timer:") + ToHex(cause.item);
}

}  // namespace

CloudEvent MakeCloudEvent(PartitionId partition, const journal::AcceptedFrame& frame, const journal::Decision& decision,
                          const journal::Event& event) {
  CloudEvent made;
  if (schema::FindType(event.type) != nullptr) {
    if (auto message = schema::Decode(event.type, event.payload)) made.message = *std::move(message);
  }
  made.type = TypeNameOf(event.type);
  made.source = fmt::format("/partitions/{}", partition.value());
  made.key = KeyOf(partition, decision.tenant, made.message.get());
  made.time = TimeText(frame.time);
  made.tenant = std::to_string(decision.tenant.value());
  made.trace_id = decision.trace.ToHex();
  made.causation_id = CausationOf(decision.cause);
  return made;
}

}  // namespace maily::app
