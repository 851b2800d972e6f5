// Folds events of segments. Rows of a segment in a partition belong to that partition; those of its definition to the tenant's home.
#include "projections/segments/fold.h"

#include <map>

#include "maily/segments/v1/events.pb.h"
#include "projections/segments/sql.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace segments = maily::segments::v1;

class SegmentsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<SegmentsFold>();
    MAILY_TRY(fold->define_, setup.Prepare("define"));
    MAILY_TRY(fold->add_version_, setup.Prepare("add_version"));
    MAILY_TRY(fold->archive_, setup.Prepare("archive"));
    MAILY_TRY(fold->open_part_, setup.Prepare("open_part"));
    MAILY_TRY(fold->plan_part_, setup.Prepare("plan_part"));
    MAILY_TRY(fold->add_slice_, setup.Prepare("add_slice"));
    MAILY_TRY(fold->close_part_, setup.Prepare("close_part"));
    MAILY_TRY(fold->add_change_, setup.Prepare("add_change"));
    MAILY_TRY(fold->add_members_, setup.Prepare("add_members"));
    MAILY_TRY(fold->request_preview_, setup.Prepare("request_preview"));
    MAILY_TRY(fold->count_preview_, setup.Prepare("count_preview"));
    MAILY_TRY(fold->count_missing_, setup.Prepare("count_missing"));
    MAILY_TRY(fold->add_sample_, setup.Prepare("add_sample"));
    setup.handlers.On(fold.get(), &SegmentsFold::Defined);
    setup.handlers.On(fold.get(), &SegmentsFold::Archived);
    setup.handlers.On(fold.get(), &SegmentsFold::Opened);
    setup.handlers.On(fold.get(), &SegmentsFold::Planned);
    setup.handlers.On(fold.get(), &SegmentsFold::Closed);
    setup.handlers.On(fold.get(), &SegmentsFold::Decided);
    setup.handlers.On(fold.get(), &SegmentsFold::PreviewRequested);
    setup.handlers.On(fold.get(), &SegmentsFold::PreviewOpened);
    setup.handlers.On(fold.get(), &SegmentsFold::PreviewCounted);
    return std::unique_ptr<Fold>(std::move(fold));
  }

 private:
  Result<void> Defined(const EventAt& at, const segments::SegmentDefined& e) {
    const segments::SegmentVersion& version = e.version();
    MAILY_TRY_VOID(sql::Do(*define_, at.tenant.value(), e.segment_id(), std::string_view(e.name()), version.number(),
                           std::string_view(version.text()), std::string_view(version.json()), at.time.us));
    return sql::Do(*add_version_, at.tenant.value(), e.segment_id(), version.number(), std::string_view(version.text()),
                   std::string_view(version.json()), at.time.us);
  }
  Result<void> Archived(const EventAt& at, const segments::SegmentArchived& e) {
    return sql::Do(*archive_, at.tenant.value(), e.segment_id(), at.time.us);
  }
  Result<void> Opened(const EventAt& at, const segments::SegmentOpened& e) {
    return sql::Do(*open_part_, at.tenant.value(), e.segment_id(), at.partition.value(), e.version().number(), e.last_ordinal(),
                   at.time.us);
  }
  Result<void> Planned(const EventAt& at, const segments::SegmentPlanned& e) {
    const uint64_t to = e.first_ordinal() + e.count() - 1;
    if (e.count() > 0) {
      MAILY_TRY_VOID(sql::Do(*add_slice_, at.tenant.value(), e.segment_id(), at.partition.value(), e.first_ordinal(), at.sequence(), to,
                             at.time.us, e.version(), sql::Blob{e.members()}));
    }
    return sql::Do(*plan_part_, at.tenant.value(), e.segment_id(), at.partition.value(), to, e.last() ? 1 : 0, e.entered(), e.left(),
                   e.undecided(), at.time.us);
  }
  Result<void> Closed(const EventAt& at, const segments::SegmentClosed& e) {
    return sql::Do(*close_part_, at.tenant.value(), e.segment_id(), at.partition.value(), at.time.us);
  }
  Result<void> Decided(const EventAt& at, const segments::MembershipsDecided& e) {
    std::map<uint64_t, int64_t> members;
    for (const segments::MembershipChange& change : e.changes()) {
      for (const auto& [ids, member] : {std::pair{&change.entered(), 1}, {&change.left(), 0}}) {
        for (const uint64_t segment_id : *ids) {
          members[segment_id] += member == 1 ? 1 : -1;
          MAILY_TRY_VOID(
              sql::Do(*add_change_, at.tenant.value(), segment_id, at.ContactId(change.ordinal()), at.sequence(), at.time.us, member));
        }
      }
    }
    for (const auto& [segment_id, more] : members) {
      MAILY_TRY_VOID(sql::Do(*add_members_, at.tenant.value(), segment_id, at.partition.value(), more, at.time.us));
    }
    return Ok();
  }

  Result<void> PreviewRequested(const EventAt& at, const segments::SegmentPreviewRequested& e) {
    return sql::Do(*request_preview_, at.tenant.value(), e.preview_id(), e.segment_id(), std::string_view(e.text()),
                   std::string_view(e.json()), at.time.us);
  }
  Result<void> PreviewOpened(const EventAt& at, const segments::PreviewOpened& e) {
    return Count(at, e.preview_id(), false, segments::PreviewCounts());
  }
  Result<void> PreviewCounted(const EventAt& at, const segments::PreviewCounted& e) {
    MAILY_TRY_VOID(Count(at, e.preview_id(), e.last(), e.counts()));
    for (const auto& one : e.counts().missing()) {
      MAILY_TRY_VOID(sql::Do(*count_missing_, at.tenant.value(), e.preview_id(), std::string_view(one.name()), one.contacts()));
    }
    for (const auto& [ordinals, kind] : {std::pair{&e.samples(), "match"}, {&e.enter_samples(), "enter"}, {&e.leave_samples(), "leave"}}) {
      for (const uint64_t ordinal : *ordinals) {
        MAILY_TRY_VOID(sql::Do(*add_sample_, at.tenant.value(), e.preview_id(), std::string_view(kind), at.ContactId(ordinal)));
      }
    }
    return Ok();
  }
  Result<void> Count(const EventAt& at, uint64_t preview_id, bool last, const segments::PreviewCounts& counts) {
    return sql::Do(*count_preview_, at.tenant.value(), preview_id, at.partition.value(), last ? 1 : 0, counts.contacts(), counts.matching(),
                   counts.undecided(), counts.members(), counts.enter(), counts.leave(), counts.pending(), counts.kept_hash(),
                   counts.decided_hash(), at.time.us);
  }

  sql::Statement* define_ = nullptr;
  sql::Statement* add_version_ = nullptr;
  sql::Statement* archive_ = nullptr;
  sql::Statement* open_part_ = nullptr;
  sql::Statement* plan_part_ = nullptr;
  sql::Statement* add_slice_ = nullptr;
  sql::Statement* close_part_ = nullptr;
  sql::Statement* add_change_ = nullptr;
  sql::Statement* add_members_ = nullptr;
  sql::Statement* request_preview_ = nullptr;
  sql::Statement* count_preview_ = nullptr;
  sql::Statement* count_missing_ = nullptr;
  sql::Statement* add_sample_ = nullptr;
};

}  // namespace

ReadModel SegmentsReadModel() {
  return {.name = "segments",
          .version = 1,
          .schema_sql = segments_sql::kSchema,
          .queries_sql = segments_sql::kQueries,
          .tables = {{"segments"},
                     {"segment_versions"},
                     {"segment_parts"},
                     {"segment_slices"},
                     {"segment_changes"},
                     {"segment_previews"},
                     {"segment_preview_parts"},
                     {"segment_preview_missing"},
                     {"segment_preview_samples"}},
          .make = &SegmentsFold::Make};
}

}  // namespace maily::projections
