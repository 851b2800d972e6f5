// Folds events of sites. A site's rows belong to one partition, that of its key; what its flushes made due, to those of the mails.
#include "projections/sites/fold.h"

#include <fmt/format.h>

#include "maily/sends/v1/events.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "projections/sites/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace sites = maily::sites::v1;

class SitesFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<SitesFold>();
    MAILY_TRY(fold->add_site_, setup.Prepare("add_site"));
    MAILY_TRY(fold->set_slowed_, setup.Prepare("set_slowed"));
    MAILY_TRY(fold->set_recovered_, setup.Prepare("set_recovered"));
    MAILY_TRY(fold->set_suspended_, setup.Prepare("set_suspended"));
    MAILY_TRY(fold->add_leased_, setup.Prepare("add_leased"));
    MAILY_TRY(fold->subtract_leased_, setup.Prepare("subtract_leased"));
    MAILY_TRY(fold->set_limit_, setup.Prepare("set_limit"));
    MAILY_TRY(fold->set_day_, setup.Prepare("set_day"));
    MAILY_TRY(fold->add_change_, setup.Prepare("add_change"));
    MAILY_TRY(fold->add_flushed_, setup.Prepare("add_flushed"));
    setup.handlers.On(fold.get(), &SitesFold::Slowed);
    setup.handlers.On(fold.get(), &SitesFold::Recovered);
    setup.handlers.On(fold.get(), &SitesFold::Suspended);
    setup.handlers.On(fold.get(), &SitesFold::Drained);
    setup.handlers.On(fold.get(), &SitesFold::Resumed);
    setup.handlers.On(fold.get(), &SitesFold::Flushed);
    setup.handlers.On(fold.get(), &SitesFold::RetryDue);
    setup.handlers.On(fold.get(), &SitesFold::Leased);
    setup.handlers.On(fold.get(), &SitesFold::LeaseReturned);
    setup.handlers.On(fold.get(), &SitesFold::LimitReached);
    setup.handlers.On(fold.get(), &SitesFold::DayBegan);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  struct Change {
    std::string_view kind;
    std::string cause;
    sql::Value reply_code = sql::Value::Null();
    std::string_view enhanced_code = {};
    std::string_view reply_text = {};
    sql::Value pause_us = sql::Value::Null();
    sql::Value until_us = sql::Value::Null();
    sql::Value mails = sql::Value::Null();
    const sites::SiteRefusals* refusals = nullptr;
  };
  Result<void> Add(const EventAt& at, const std::string& site, const Change& change) {
    return sql::Do(*add_change_, std::string_view(site), at.sequence(), at.time.us, change.kind, std::string_view(change.cause),
                   change.reply_code, change.enhanced_code, change.reply_text, change.pause_us, change.until_us, change.mails,
                   change.refusals == nullptr ? sql::Value::Null() : sql::Value::Integer(static_cast<int64_t>(change.refusals->refused())),
                   change.refusals == nullptr ? sql::Value::Null() : sql::Value::Integer(static_cast<int64_t>(change.refusals->replies())),
                   std::string_view(at.decision->actor));
  }
  Result<void> Known(const std::string& site) { return sql::Do(*add_site_, std::string_view(site)); }

  Result<void> Slowed(const EventAt& at, const sites::SiteSlowed& e) {
    MAILY_TRY_VOID(Known(e.site()));
    MAILY_TRY_VOID(sql::Do(*set_slowed_, std::string_view(e.site()), at.time.us, at.time.us + e.pause_us(), e.reply_code(),
                           std::string_view(e.enhanced_code()), std::string_view(e.reply_text())));
    return Add(at, e.site(),
               {.kind = "slowed",
                .cause = CauseOf(e),
                .reply_code = sql::Value::Integer(e.reply_code()),
                .enhanced_code = e.enhanced_code(),
                .reply_text = e.reply_text(),
                .pause_us = sql::Value::Integer(e.pause_us()),
                .refusals = e.has_refusals() ? &e.refusals() : nullptr});
  }
  static std::string CauseOf(const sites::SiteSlowed& e) {
    const std::string reply = fmt::format("{} {} {}", e.reply_code(), e.enhanced_code(), e.reply_text());
    if (!e.has_refusals()) return reply;
    return fmt::format("{} of the last {} replies refuse the sender, limit {} % of {}; the last: {}", e.refusals().refused(),
                       e.refusals().replies(), e.refusals().limit_percent(), e.refusals().window(), reply);
  }
  Result<void> Recovered(const EventAt& at, const sites::SiteRecovered& e) {
    MAILY_TRY_VOID(Known(e.site()));
    MAILY_TRY_VOID(sql::Do(*set_recovered_, std::string_view(e.site()), at.time.us));
    return Add(at, e.site(), {.kind = "recovered", .cause = "the mails of the probes were taken"});
  }
  Result<void> Set(const EventAt& at, const std::string& site, const Change& change) {
    MAILY_TRY_VOID(Known(site));
    MAILY_TRY_VOID(sql::Do(*set_suspended_, std::string_view(site), change.kind == "suspended" ? 1 : 0, change.kind == "drained" ? 1 : 0,
                           std::string_view(change.cause), std::string_view(at.decision->actor), at.time.us));
    return Add(at, site, change);
  }
  Result<void> Suspended(const EventAt& at, const sites::SiteSuspended& e) {
    return Set(at, e.site(), {.kind = "suspended", .cause = e.reason(), .refusals = e.has_refusals() ? &e.refusals() : nullptr});
  }
  Result<void> Drained(const EventAt& at, const sites::SiteDrained& e) {
    return Set(at, e.site(), {.kind = "drained", .cause = e.reason()});
  }
  Result<void> Resumed(const EventAt& at, const sites::SiteResumed& e) {
    return Set(at, e.site(), {.kind = "resumed", .cause = e.reason()});
  }
  Result<void> Flushed(const EventAt& at, const sites::SiteFlushed& e) {
    MAILY_TRY_VOID(Known(e.site()));
    return Add(at, e.site(), {.kind = "flushed", .cause = e.reason(), .mails = sql::Value::Integer(static_cast<int64_t>(e.number()))});
  }
  // In the partition of the mail.
  Result<void> RetryDue(const EventAt& at, const maily::sends::v1::RetryDue& e) {
    if (e.flushed_site().empty()) return Ok();
    return sql::Do(*add_flushed_, std::string_view(e.flushed_site()), static_cast<int64_t>(e.flush()), at.partition.value());
  }
  Result<void> Leased(const EventAt&, const sites::SiteLeased& e) {
    MAILY_TRY_VOID(Known(e.site()));
    return sql::Do(*add_leased_, std::string_view(e.site()), e.hour(), static_cast<int64_t>(e.mails()));
  }
  Result<void> LeaseReturned(const EventAt&, const sites::SiteLeaseReturned& e) {
    return sql::Do(*subtract_leased_, std::string_view(e.site()), e.hour(), static_cast<int64_t>(e.mails()));
  }
  Result<void> LimitReached(const EventAt& at, const sites::SiteLimitReached& e) {
    MAILY_TRY_VOID(Known(e.site()));
    MAILY_TRY_VOID(sql::Do(*set_limit_, std::string_view(e.site()), e.until_us()));
    return Add(at, e.site(),
               {.kind = "limit_reached",
                .cause = fmt::format("{}: all {} mails are leased", e.limit(), e.mails()),
                .until_us = sql::Value::Integer(e.until_us()),
                .mails = sql::Value::Integer(static_cast<int64_t>(e.mails()))});
  }
  Result<void> DayBegan(const EventAt& at, const sites::SiteDayBegan& e) {
    MAILY_TRY_VOID(Known(e.site()));
    MAILY_TRY_VOID(sql::Do(*set_day_, std::string_view(e.site()), e.day(), e.step(), static_cast<int64_t>(e.mails_max())));
    return Add(at, e.site(),
               {.kind = e.held() ? "step_held" : "day_began",
                .cause = e.cause(),
                .mails = sql::Value::Integer(static_cast<int64_t>(e.mails_max()))});
  }

  sql::Statement* add_site_ = nullptr;
  sql::Statement* set_slowed_ = nullptr;
  sql::Statement* set_recovered_ = nullptr;
  sql::Statement* set_suspended_ = nullptr;
  sql::Statement* add_leased_ = nullptr;
  sql::Statement* subtract_leased_ = nullptr;
  sql::Statement* set_limit_ = nullptr;
  sql::Statement* set_day_ = nullptr;
  sql::Statement* add_change_ = nullptr;
  sql::Statement* add_flushed_ = nullptr;
};

}  // namespace

ReadModel SitesReadModel() {
  return {.name = "sites",
          .version = 2,
          .schema_sql = sites_sql::kSchema,
          .queries_sql = sites_sql::kQueries,
          .tables = {{"sites"}, {"site_changes"}, {"site_flushes"}},
          .make = &SitesFold::Make};
}

}  // namespace maily::projections
