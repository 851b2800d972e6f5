// Folds rejections.
#include "projections/dead_letters/fold.h"

#include "projections/dead_letters/sql.h"
#include "schemas/types.h"
#include "streams/journal/rejected.h"

namespace maily::projections {
namespace {

class DeadLettersFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<DeadLettersFold>();
    MAILY_TRY(fold->insert_, setup.Prepare("insert"));
    setup.handlers.On(fold.get(), &DeadLettersFold::Rejected);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  // A reason may quote what was unreadable.
  static std::string Printable(std::string text) {
    for (char& c : text) {
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) c = '?';
    }
    return text;
  }
  Result<void> Rejected(const EventAt& at, const journal::CommandRejected& e) {
    const journal::Decision& decision = *at.decision;
    const CommandAt& where = decision.cause.at;
    const std::string reason = Printable(e.reason);
    const std::string actor = Printable(std::string(decision.actor));
    return sql::Do(*insert_, at.partition.value(), at.sequence(), at.tenant.value(), std::string_view(e.code), std::string_view(reason),
                   std::string_view(e.build), e.type, sql::Blob{e.original}, where.generation, where.offset.value(), where.index,
                   sql::Blob{decision.cause.command_id.view()}, sql::Blob{decision.trace.view()}, std::string_view(actor), at.time.us);
  }

  sql::Statement* insert_ = nullptr;
};

}  // namespace

ReadModel DeadLettersReadModel() {
  return {.name = "dead_letters",
          .version = 1,
          .schema_sql = dead_letters_sql::kSchema,
          .queries_sql = dead_letters_sql::kQueries,
          .tables = {{"dead_letters"}},
          .make = &DeadLettersFold::Make};
}

}  // namespace maily::projections
