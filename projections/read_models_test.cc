// Tests the table of read models: schemas, queries and declarations fit each other, and no event is forgotten.
#include "projections/read_models.h"

#include <set>

#include "projections/projector/fake_journal.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class ReadModelsTest : public ProjectionFixture {};

TEST_F(ReadModelsTest, EveryTableIsDeclaredAndEveryQueryCompiles) {
  Views views(*databases, ReadModelQueries());
  for (const Group& group : ReadModelGroups()) {
    auto projector = Projector::Open(Environment(), group, group.name + "-v1", Mode::kLive, {}, {}).value();
    std::set<std::string> declared = {"positions", "read_models"};
    for (const ReadModel& model : group.models) {
      for (const Table& table : model.tables) EXPECT_TRUE(declared.insert(table.name).second) << table.name;
    }
    std::set<std::string> made;
    sql::Statement* tables = projector->connection()
                                 .Prepare(test::OnPostgres() ? "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
                                                             : "SELECT name FROM sqlite_master WHERE type = 'table'")
                                 .value();
    while (tables->Step().value()) made.insert(std::string(tables->bytes(0)));
    tables->Reset();
    EXPECT_EQ(made, declared);
    for (const QueryInfo& query : views.queries()) {
      if (query.group != group.name) continue;
      auto prepared = projector->connection().Prepare(query.sql);
      EXPECT_TRUE(prepared.has_value()) << query.name << ": " << prepared.error().message;
    }
    projector->Stop();
  }
}

TEST_F(ReadModelsTest, EveryEventTypeIsFoldedOrNamedHere) {
  // ProgressTaken repeats CampaignProgressed in the home: each partition's own is folded. SigningChanged and SuppressedDomainChanged repeat
  // what the home announced. SoftBounceCounted counts what the sends show. SiteSuspensionSet repeats what a site's home announced,
  // SitePaceSet and SiteFlushSet too; SitePaced repeats SiteSlowed and SiteRecovered for partitions; SendsFlushed says how far the RetryDue
  // of a flush have come. SiteTallied counts for its plan. ChecksDue is followed by what was decided.
  // JoinUndone is followed by MemberLeft. SuppressionUpheld changes nothing that is shown: a suppression stays for another reason, too.
  // ErasedContactMet asks that keys be destroyed. AddressReserved, AddressDenied, AddressReleased, AddressFreed and AddressForgotten are
  // steps of a change of address or an erasure, of which ContactAddressChanged, AddressChangeRefused and ContactErased tell;
  // CommandForwarded is decided elsewhere. MergeAgreed, MergeDenied, MergeGivenUp, ContactHandedOver, AddressClaimed, AddressPassedOn,
  // IntakeSettled, MergedForgotten and OptOutPassedOn are steps of a merge, of which ContactMerged, MergeRefused, ContactTakenOver,
  // ContactErased and ConsentWithdrawn tell. MessageFormMade and MessageFormHeld repeat a version of a template; MessageWanted and
  // MessageWithdrawn are followed by what comes of them. JourneyOpened, JourneyClosed and JourneyHeld repeat what a journey's home
  // announced; JourneysDue is followed by who went on, ContactUpdateWanted by ContactChanged. AudienceReached is for the last check of an
  // attempt. CampaignStartDue is followed by a launch or CampaignHeld. RunThrottled and SendingRulesAnnounced repeat what was asked,
  // SendingRulesSet too. Who is put off, or waits for a clock or the pace, is pending as before. MailCounted counts for caps.
  // RunTestClosed and RunWinnerSet repeat what a test's home announced, PinnedTemplateHeld what a launch has pinned.
  const std::set<std::string_view> passed_by = {"ProgressTaken",       "SigningChanged",   "SoftBounceCounted",  "SuppressedDomainChanged",
                                                "SiteSuspensionSet",   "SiteTallied",      "SitePaceSet",        "SiteFlushSet",
                                                "SitePaced",           "SendsFlushed",     "ChecksDue",          "SuppressionUpheld",
                                                "JourneyOpened",       "JourneyClosed",    "JourneyHeld",        "JourneysDue",
                                                "ContactUpdateWanted", "MessageFormMade",  "MessageFormHeld",    "MessageWanted",
                                                "MessageWithdrawn",    "ErasedContactMet", "JoinUndone",         "AudienceReached",
                                                "CampaignStartDue",    "RunThrottled",     "SendPutOff",         "MailCounted",
                                                "ZoneClosed",          "ZoneOpened",       "PaceWaited",         "SendingRulesAnnounced",
                                                "SendingRulesSet",     "RunTestClosed",    "RunWinnerSet",       "MessagesFlushed",
                                                "AddressReserved",     "AddressDenied",    "AddressReleased",    "AddressFreed",
                                                "AddressForgotten",    "CommandForwarded", "PinnedTemplateHeld", "AssetEnclosed",
                                                "MergeAgreed",         "MergeDenied",      "MergeGivenUp",       "ContactHandedOver",
                                                "AddressClaimed",      "AddressPassedOn",  "IntakeSettled",      "MergedForgotten",
                                                "OptOutPassedOn"};
  EventHandlers handlers;
  std::vector<std::unique_ptr<Fold>> folds;
  std::vector<std::unique_ptr<sql::Connection>> connections;
  for (const Group& group : ReadModelGroups()) {
    connections.push_back(databases->Open(group.name, sql::Purpose::kWrite).value());
    for (const ReadModel& model : group.models) {
      connections.back()->Execute(model.schema_sql).value();
      FoldSetup setup(*connections.back(), handlers, sql::ParseNamed(model.queries_sql).value(), nullptr);
      folds.push_back(model.make(setup).value());
    }
  }
  for (const schema::Type& type : schema::Types()) {
    if (type.kind != schema::Kind::kEvent) continue;
    EXPECT_NE(handlers.Handles(type.number), passed_by.contains(type.name)) << type.full_name;
  }
}

}  // namespace
}  // namespace maily::projections
