// See site.h.
#include "tests/sim/site.h"

#include "processors/effects/smtp/message.h"
#include "projections/read_models.h"
#include "projections/sql/sqlite/sqlite.h"
#include "streams/journal/find.h"

namespace maily::simulation {

Site::Site(const Parts& parts) {
  databases_ = sql::OpenSqlite({.directory = parts.directory, .writer_cache_bytes = 1 << 20, .reader_cache_bytes = 256 << 10}).value();
  views_ = std::make_unique<projections::Views>(*databases_, projections::ReadModelQueries());
  const projections::ProjectionEnvironment environment{
      .databases = *databases_,
      .executor = parts.read_models,
      .background = &parts.disk,
      .clock = parts.clock,
      .partition_count = parts.log.settings().partition_count,
      .open_reader = [&tails = parts.tails](PartitionId partition,
                                            const journal::Position& from) { return tails.at(partition).Open(from); },
      .journal_end = [&log = parts.log](PartitionId partition) { return log.Ends({Topic::kJournal, partition}).durable.value(); },
      .keyring = &parts.keyring};
  for (const projections::Group& group : projections::ReadModelGroups()) {
    groups_.push_back(std::make_unique<projections::Projection>(environment, group, *views_));
    groups_.back()->Start([this, name = group.name](const Result<void>& started) {
      if (started) {
        ++ready_;
      } else {
        error_ = fmt::format("read model {}: {}", name, started.error().ToString());
      }
    });
  }
  dependencies_ = std::make_unique<api::Dependencies>(DependenciesOf(parts));
  router_ = std::make_unique<http::Router>(api::MakeRouter(*dependencies_));
}

Site::~Site() {
  connections_.clear();
  router_.reset();
  groups_.clear();
}

api::Dependencies Site::DependenciesOf(const Parts& parts) {
  return {.sender = parts.sender,
          .replies = parts.replies,
          .keyring = parts.keyring,
          .views = *views_,
          .clock = parts.clock,
          .entropy = parts.entropy,
          .executor = parts.api,
          .blocking = {&parts.disk},
          .bulk = parts.bulk,
          .log = parts.log.settings(),
          .read_message_id = [&keyring = parts.keyring](std::string_view message_id) -> Result<api::ReceivedSend> {
            MAILY_TRY(const smtp::SendId id, smtp::DecodeMessageId(message_id, keyring));
            return api::ReceivedSend{id.tenant, id.partition, id.campaign_id, id.ordinal};
          },
          .find_decision = [this, &log = parts.log](const CommandAt& at) -> Result<std::optional<api::FoundDecision>> {
            MAILY_TRY(const auto found, journal::FindDecision(log, projections::Furthest(groups_, at.partition), at));
            if (!found) return std::optional<api::FoundDecision>();
            const journal::Decision& decision = found->decision();
            return std::optional(
                api::FoundDecision{decision.tenant, static_cast<gateway::Outcome>(decision.outcome), std::string(decision.answer)});
          },
          .make_preview = [](const api::PreviewSource&) -> Result<api::Preview> { return Fail(Code::kInvalid, "not simulated"); },
          .make_signing_keys = [](uint32_t, const std::vector<std::string>&) -> Result<std::vector<api::SigningKeyPair>> {
            return Fail(Code::kInvalid, "not simulated");
          },
          .trouble = [] { return std::string(); },
          .not_ready = [] { return std::string(); },
          .version = "sim"};
}

std::string Site::trouble() const {
  if (!error_.empty()) return error_;
  for (const auto& group : groups_) {
    const projections::ProjectionStatus status = group->Status();
    if (!status.stopped.empty()) return fmt::format("read model {}: {}", status.group, status.stopped);
  }
  return {};
}

}  // namespace maily::simulation
