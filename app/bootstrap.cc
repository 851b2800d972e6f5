// See bootstrap.h.
#include "app/bootstrap.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>

#include "api/gateway/auth.h"
#include "maily/tenants/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/journal/decision.h"

namespace maily::app {
namespace {

constexpr TenantId kDefaultTenant(1);

template <class Message>
Result<command::Reply> Ask(const BootstrapNeeds& needs, TenantId tenant, PartitionId partition, const Message& message) {
  const std::string payload = message.SerializeAsString();
  command::Command command;
  command.id = needs.entropy.NextId<CommandId>();
  command.type = TypeNumberOf<Message>();
  command.tenant = tenant;
  command.actor = "bootstrap";
  command.occurred_at = needs.clock.Now();
  command.trace = needs.entropy.NextId<TraceId>();
  command.payload = payload;
  std::promise<Result<command::Reply>> promise;
  needs.replies.Await(command.id, needs.executor, needs.patience,
                      [&promise](Result<command::Reply> reply) { promise.set_value(std::move(reply)); });
  needs.sender.Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});
  return promise.get_future().get();
}

}  // namespace

Result<std::vector<CommandAt>> Bootstrap(const BootstrapNeeds& needs, const std::string& key_path) {
  if (std::filesystem::exists(key_path)) return std::vector<CommandAt>();
  MAILY_TRY_VOID(needs.keyring.Tenant(kDefaultTenant));
  tenants::v1::CreateTenant create;
  create.set_name("default");
  MAILY_TRY(const command::Reply created, Ask(needs, TenantId(0), PartitionOf("tenants", needs.partition_count), create));
  if (created.outcome != static_cast<uint16_t>(journal::Outcome::kDone) &&
      created.outcome != static_cast<uint16_t>(journal::Outcome::kConflict)) {
    return Fail(Code::kFatal, "tenant `default` was not made: {}", created.answer);
  }
  const gateway::NewApiKey key = gateway::MakeApiKey(needs.entropy);
  tenants::v1::CreateApiKey make;
  make.set_key_id(key.key_id);
  make.set_secret_hash(key.hash.data(), key.hash.size());
  make.add_scopes("admin");
  make.set_label("first start");
  MAILY_TRY(const command::Reply made, Ask(needs, kDefaultTenant, schema::HomeOf(kDefaultTenant, needs.partition_count), make));
  if (made.outcome != static_cast<uint16_t>(journal::Outcome::kDone))
    return Fail(Code::kFatal, "the first API key was not made: {}", made.answer);
  const std::string beside = key_path + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Fail(Code::kRetry, "{}: {}", beside, std::strerror(errno));
  const std::string line = key.text + "\n";
  const bool written = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(file) == 0;
  ::close(file);
  if (!written || ::rename(beside.c_str(), key_path.c_str()) != 0) return Fail(Code::kRetry, "{}: {}", key_path, std::strerror(errno));
  return std::vector{created.at, made.at};
}

}  // namespace maily::app
