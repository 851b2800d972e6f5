// Folds what was accepted.
#include "projections/messages/fold.h"

#include "maily/messages/v1/events.pb.h"
#include "projections/messages/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class MessagesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<MessagesFold>();
    MAILY_TRY(fold->accept_, setup.Prepare("accept"));
    setup.handlers.On(fold.get(), &MessagesFold::Accepted);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Accepted(const EventAt& at, const maily::messages::v1::MessageAccepted& e) {
    return sql::Do(*accept_, at.tenant.value(), e.message_id(), at.ContactId(e.ordinal()), e.template_id(), e.template_version(),
                   std::string_view(e.source()), int{e.test()}, at.time.us, e.expires_at_us(), sql::Blob{e.contact_key()}, at.sequence(),
                   e.attachments());
  }

  sql::Statement* accept_ = nullptr;
};

}  // namespace

ReadModel MessagesReadModel() {
  return {.name = "messages",
          .version = 2,
          .schema_sql = messages_sql::kSchema,
          .queries_sql = messages_sql::kQueries,
          .tables = {{"messages"}},
          .make = &MessagesFold::Make};
}

}  // namespace maily::projections
