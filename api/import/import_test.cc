// Imports through the real tasks: the report, merging, sealing, back-pressure, and what happens when the log gives up.
#include "api/import/import.h"

#include <gtest/gtest.h>

#include <regex>

#include "api/gateway/token.h"
#include "api/import/undo.h"
#include "maily/lists/v1/commands.pb.h"
#include "maily/tenants/v1/commands.pb.h"
#include "tests/api/sim_api.h"

namespace maily::import {
namespace {

using nlohmann::json;
using testing::SimApi;

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() {
    tenants::v1::RegisterAttribute age;
    age.set_name("age");
    age.set_attribute_type(tenants::v1::INTEGER);
    world_.Command(age);
    tenants::v1::RegisterAttribute name;
    name.set_name("first_name");
    name.set_attribute_type(tenants::v1::TEXT);
    name.set_personal(true);
    world_.Command(name);
    lists::v1::CreateList list;
    list.set_name("people");
    list_id_ = world_.Command(list)["list_id"];
    open_ = OpenImport({.gateway = *world_.gateway, .auth = *world_.auth, .jobs = jobs_, .bulk = *world_.disk, .owner = {}});
  }

  http::Request Head(const std::string& target) {
    http::Request head{.method = http::Method::kPost, .target = target};
    head.headers.Add("authorization", "Bearer " + world_.key);
    head.headers.Add("content-type", media_);
    if (!key_.empty()) head.headers.Add("idempotency-key", key_);
    return head;
  }

  // Posts a file in pieces, as the server would.
  http::Response Post(const std::string& file, const std::string& target = "/v1/imports?list=people", size_t piece = 64 * 1024) {
    auto opened = open_(Head(target));
    if (auto* refused = std::get_if<http::Response>(&opened)) return *refused;
    const auto sink = std::move(std::get<0>(opened));
    for (size_t at = 0; at < file.size(); at += piece) {
      bool resumed = false;
      sink->OnData(file.substr(at, piece), [&resumed] { resumed = true; });
      EXPECT_TRUE(world_.Until([&resumed] { return resumed; }));
    }
    std::optional<http::Response> response;
    sink->OnEnd([&response](http::Response r) { response = std::move(r); });
    EXPECT_TRUE(world_.Until([&response] { return response.has_value(); }));
    return response.value_or(http::Response());
  }

  json Report(const std::string& file, const std::string& target = "/v1/imports?list=people", size_t piece = 64 * 1024) {
    const http::Response response = Post(file, target, piece);
    EXPECT_EQ(response.status, 202) << response.body;
    const json answer = json::parse(response.body);
    EXPECT_EQ(response.headers["location"], "/v1/imports/" + answer["id"].get<std::string>());
    const json report = Ended(answer["id"]);
    EXPECT_EQ(report["status"], "completed") << report;
    EXPECT_EQ(report["rows"].get<int>(), Sum(report));
    EXPECT_EQ(Journaled(answer["id"])["row_count"], report["rows"]);
    return report;
  }
  static int Sum(const json& job) {
    int sum = 0;
    for (const char* name : {"created", "updated", "unchanged", "duplicate", "skipped", "rejected"}) sum += job[name].get<int>();
    return sum;
  }

  // What this process knows of an import.
  std::optional<json> Known(const std::string& id) {
    std::optional<std::optional<json>> answer;
    jobs_.Ask(SimApi::kTenant, id,
              [&answer](std::optional<nlohmann::ordered_json> job) { answer = job ? std::optional(json(*job)) : std::nullopt; });
    EXPECT_TRUE(world_.Until([&answer] { return answer.has_value(); }));
    return answer.value_or(std::nullopt);
  }
  // The job once it is over.
  json Ended(const std::string& id) {
    std::optional<json> job;
    EXPECT_TRUE(world_.Until([&] {
      job = Known(id);
      return !job || (*job)["status"] != "running";
    }));
    return job.value_or(json());
  }
  // What the read model shows of it.
  json Journaled(const std::string& id) {
    const auto rows = world_.views->Query("import", {{"tenant", sql::Value::Integer(1)}, {"import_id", sql::Value::Text(id)}}).value();
    json row;
    for (size_t i = 0; !rows.empty() && i < rows.columns.size(); ++i) {
      const sql::Value& value = rows.at(0, i);
      row[rows.columns[i]] = value.type == sql::Type::kInteger ? json(value.integer)
                             : value.type == sql::Type::kNull  ? json()
                                                               : json(value.bytes);
    }
    return row;
  }

  projections::Rows Contact(const std::string& address) {
    const std::string key = schema::ContactKey(*world_.keyring->Tenant(SimApi::kTenant).value(), address);
    return world_.views->Query("contact_by_key", {{"tenant", sql::Value::Integer(1)}, {"contact_key", sql::Value::Blob(key)}}).value();
  }

  SimApi world_;
  uint64_t list_id_ = 0;
  std::string key_;  // Idempotency-Key
  std::string media_ = "text/csv; charset=utf-8";
  Jobs jobs_{*world_.disk};
  http::OpenSink open_;
};

TEST_F(ImportTest, GoodRowsGoInAndEachBadOneIsListed) {
  const json report = Report(
      "\xef\xbb\xbf"
      "Email,First Name,age\r\nann@example.com,\"Ann, the\r\nfirst\",30\r\nnot an "
      "address,Bob,31\r\ncy@example.com,Cy,old\r\ndee@example.com,Dee\r\n"
      "ANN@example.COM,Ann again,33\r\neve@stra\xc3\x9f"
      "e.example,Eve,\r\nlast@example.com,Last,37");
  EXPECT_EQ(report["created"], 3);
  EXPECT_EQ(report["duplicate"], 1);
  EXPECT_EQ(report["rejected"], 3);
  const json& rejects = report["rejects"];
  ASSERT_EQ(rejects.size(), 3u);
  EXPECT_EQ(rejects[0]["line"], 4);
  EXPECT_TRUE(rejects[0]["column"] == "email" || rejects[0]["column"] == "Email") << rejects;
  EXPECT_EQ(rejects[0]["code"], "invalid_address");
  EXPECT_EQ(rejects[1]["line"], 5);
  EXPECT_EQ(rejects[1]["column"], "age");
  EXPECT_EQ(rejects[1]["code"], "invalid_value");
  EXPECT_EQ(rejects[2]["line"], 6);
  EXPECT_EQ(rejects[2]["code"], "columns");

  // Once the token is reached, the views show all of it; the last row of an address won.
  const auto at = gateway::DecodeToken(report["token"].get<std::string>(), *world_.keyring->Tenant(SimApi::kTenant).value());
  ASSERT_TRUE(at);
  ASSERT_TRUE(world_.Fresh(*at));
  const auto members =
      world_.views->Query("list", {{"tenant", sql::Value::Integer(1)}, {"list_id", sql::Value::Integer(static_cast<int64_t>(list_id_))}})
          .value();
  EXPECT_EQ(members.at(0, "members").integer, 3);
  const auto ann = Contact("ann@example.com");
  ASSERT_EQ(ann.size(), 1u);
  EXPECT_EQ(ann.at(0, "address").bytes, "ann@example.com");
  EXPECT_EQ(ann.at(0, "attributes").bytes, "{\"age\":33}");
  EXPECT_EQ(ann.at(0, "personal_attributes").bytes, "{\"first_name\":\"Ann again\"}");
}

TEST_F(ImportTest, TheSameFileAgainChangesNothing) {
  const std::string file = "email;age\nann@example.com;30\nbob@example.com;\n";
  EXPECT_EQ(Report(file)["created"], 2);
  const json again = Report(file);
  EXPECT_EQ(again["unchanged"], 2);
  EXPECT_EQ(again["created"], 0);
  EXPECT_EQ(Report("email,age\nann@example.com,31\nbob@example.com,\n")["updated"], 1);
}

TEST_F(ImportTest, NoPlaintextReachesTheLog) {
  Report("email,first_name,shoe size\nann.secret@example.com,Annabella,41.5\n");
  for (const Topic topic : kTopics) {
    for (uint16_t p = 0; p < SimApi::kPartitions; ++p) {
      const auto records = world_.log.Read({topic, PartitionId(p)}, Offset(0), 10 << 20, ReadTo::kWritten).value();
      for (const LogRecord& record : records) {
        for (const char* secret : {"ann.secret", "Annabella", "41.5"}) EXPECT_EQ(record.bytes.find(secret), std::string::npos) << secret;
      }
    }
  }
}

TEST_F(ImportTest, ManyRowsInSmallPiecesStayWithinTheWindow) {
  std::string file = "email\n";
  for (int i = 0; i < 20'000; ++i) file += fmt::format("c{}@example.com\n", i % 15'000);
  const json report = Report(file, fmt::format("/v1/imports?list={}&source=crm", list_id_), 60'000);
  EXPECT_EQ(report["created"], 15'000);
  EXPECT_EQ(report["duplicate"], 5'000);
}

TEST_F(ImportTest, OnlyTheFirstThousandRejectsAreListed) {
  std::string file = "email\n";
  for (int i = 0; i < 1'500; ++i) file += "nobody\n";
  const json report = Report(file);
  EXPECT_EQ(report["rejected"], 1'500);
  EXPECT_EQ(report["rejects"].size(), kRejectsListedMax);
}

TEST_F(ImportTest, AFileWithoutTheColumnOrAHeaderIsRefused) {
  const http::Response missing = Post("name,age\nX,1\n");
  EXPECT_EQ(missing.status, 422);
  EXPECT_EQ(json::parse(missing.body)["details"][0]["path"], "email");
  EXPECT_EQ(Post("").status, 422);
  // Columns that can be no attribute are left out, and named.
  const json odd = Report(
      "email,gr\xc3\xb6\xc3\x9f"
      "e,,age,age\na@b.example,1,2,3,4\n");
  EXPECT_EQ(odd["created"], 1);
  EXPECT_EQ(odd["ignored_columns"], json::array({"gr\xc3\xb6\xc3\x9f"
                                                 "e",
                                                 "", "age"}));
}

TEST_F(ImportTest, UnknownListsAndWrongKeysAreRefused) {
  EXPECT_EQ(Post("email\na@b.example\n", "/v1/imports?list=nobody").status, 404);
  EXPECT_EQ(Post("email\na@b.example\n", "/v1/imports?list=999").status, 404);
  world_.scope = "ingest";
  world_.scheduler.RunFor(Seconds(5));
  EXPECT_EQ(Post("email\na@b.example\n").status, 403);
  world_.key = "mk_nobody_nothing";
  EXPECT_EQ(Post("email\na@b.example\n").status, 401);
}

TEST_F(ImportTest, AListMadeAMomentAgoIsWaitedFor) {
  lists::v1::CreateList list;
  list.set_name("new");
  bool done = false;
  world_.gateway->Submit({SimApi::kTenant, "test", {}}, gateway::PlainOrder(list, schema::HomeKey(SimApi::kTenant)), Seconds(60),
                         [&](const gateway::Verdict&) { done = true; });
  ASSERT_TRUE(world_.Until([&] { return done; }));
  EXPECT_EQ(Report("email\na@b.example\n", "/v1/imports?list=new")["created"], 1);
}

// A file in two pieces; the log takes nothing while the second is read.
class FullDiskTest : public ImportTest {
 protected:
  FullDiskTest() {
    first_ = "email\n";
    for (int i = 0; i < 2'000; ++i) first_ += fmt::format("c{}@example.com\n", i);
  }
  std::optional<http::Response> Import(Duration full) {
    auto opened = open_(Head("/v1/imports?list=people"));
    const auto sink = std::move(std::get<0>(opened));
    std::optional<http::Response> response;
    for (const std::string& piece : {first_, second_}) {
      bool resumed = false;
      sink->OnData(piece, [&resumed] { resumed = true; });
      EXPECT_TRUE(world_.Until([&resumed] { return resumed; }));
      if (piece == second_) break;
      world_.scheduler.RunFor(Seconds(5));
      world_.log.SetFull(true);
    }
    sink->OnEnd([&response](http::Response r) { response = std::move(r); });
    world_.scheduler.RunFor(full);
    world_.log.SetFull(false);
    EXPECT_TRUE(world_.Until([&response] { return response.has_value(); }));
    return response;
  }
  std::string first_;
  const std::string second_ = "x1@example.com\nx2@example.com\n";
};

TEST_F(FullDiskTest, AShortOneIsWaitedOut) {
  const auto response = Import(Seconds(5));
  ASSERT_EQ(response->status, 202) << response->body;
  EXPECT_EQ(json::parse(response->body)["created"], 2'002);
}

TEST_F(FullDiskTest, ALongOneEndsTheImportWithWhatIsKnown) {
  const auto response = Import(Seconds(300));
  EXPECT_EQ(response->status, 503);
  std::smatch said;
  ASSERT_TRUE(std::regex_search(response->body, said, std::regex("([0-9]+) rows were applied"))) << response->body;
  const int applied = std::stoi(said[1]);  // those of whole chunks
  EXPECT_GE(applied, 512);
  const std::string id(response->headers["location"].substr(std::string_view("/v1/imports/").size()));
  const json job = Ended(id);
  EXPECT_EQ(job["status"], "failed");
  EXPECT_EQ(job["rows"], 2'002);
  EXPECT_EQ(job["skipped"], 2'002 - applied);
  EXPECT_EQ(Sum(job), 2'002);
  EXPECT_TRUE(world_.Until([&] { return Journaled(id)["outcome"] == "failed"; }));
  const json again = Report(first_ + second_);
  EXPECT_EQ(again["unchanged"], applied);
  EXPECT_EQ(again["created"], 2'002 - applied);
}

TEST_F(FullDiskTest, WithAKeyTheSameFileInOnePieceGoesOnWhereItStopped) {
  key_ = "tuesday";
  EXPECT_EQ(Import(Seconds(300))->status, 503);
  const json again = Report(first_ + second_);
  EXPECT_EQ(again["created"], 2'002);  // both posts together
  EXPECT_EQ(again["unchanged"], 0);
  EXPECT_EQ(Report(first_ + second_)["created"], 2'002);  // the same answer
  key_.clear();
  EXPECT_EQ(Report(first_ + second_)["unchanged"], 2'002);  // another import: all of them are there
}

TEST_F(ImportTest, WithAnIdempotencyKeyTheSameFileGoesOnWhereItStopped) {
  key_ = "monday";
  const std::string file = "email,age\nann@example.com,30\nbob@example.com,31\n";
  const json first = Report(file);
  EXPECT_EQ(first["created"], 2);
  const json again = Report(file);
  EXPECT_EQ(again["id"], first["id"]);
  EXPECT_EQ(again["created"], 2);  // the same answer
}

TEST_F(ImportTest, AFileThatStopsComingIsInterrupted) {
  key_ = "tuesday";
  auto opened = open_(Head("/v1/imports?list=people"));
  const auto sink = std::move(std::get<0>(opened));
  bool resumed = false;
  sink->OnData("email\nann@example.com\nbob@example.com\ncy@exam", [&resumed] { resumed = true; });
  ASSERT_TRUE(world_.Until([&resumed] { return resumed; }));
  // Under way: its id is taken, and its counts are read.
  const http::Response second = Post("email\nann@example.com\n");
  EXPECT_EQ(second.status, 409) << second.body;
  const std::string id(second.headers["location"].substr(std::string_view("/v1/imports/").size()));
  const json running = Known(id).value_or(json());
  EXPECT_EQ(running["status"], "running") << running;
  EXPECT_EQ(running["rows"].get<int>(), Sum(running) + running["pending"].get<int>());
  sink->OnAbort();
  const json job = Ended(id);
  EXPECT_EQ(job["status"], "interrupted") << job;
  EXPECT_EQ(job["skipped"], 2);  // a chunk ends where the file says: what is not whole is left out
  EXPECT_TRUE(world_.Until([&] { return Journaled(id)["outcome"] == "interrupted"; }));
  EXPECT_EQ(Report("email\nann@example.com\nbob@example.com\ncy@example.com\n")["created"], 3);
}

TEST_F(ImportTest, ADryRunCountsAndAppendsNothing) {
  const auto ends = [this] {
    std::vector<uint64_t> all;
    for (const Topic topic : kTopics) {
      for (uint16_t p = 0; p < SimApi::kPartitions; ++p) all.push_back(world_.log.Ends({topic, PartitionId(p)}).written.value());
    }
    return all;
  };
  world_.scheduler.RunFor(Seconds(5));
  const auto before = ends();
  const http::Response response =
      Post("email,age\nann@example.com,30\nnobody,1\nANN@example.com,31\nbob@example.com,old\n", "/v1/imports?list=people&dry_run=true");
  ASSERT_EQ(response.status, 200) << response.body;
  const json report = json::parse(response.body);
  EXPECT_EQ(report["rows"], 4);
  EXPECT_EQ(report["valid"], 1);
  EXPECT_EQ(report["duplicate"], 1);
  EXPECT_EQ(report["rejected"], 2);
  EXPECT_EQ(report["rejects"].size(), 2u);
  world_.scheduler.RunFor(Seconds(1));
  EXPECT_EQ(ends(), before);
  EXPECT_EQ(Post("email\na@b.example\n", "/v1/imports?dry_run=perhaps").status, 422);
  EXPECT_EQ(Post("email\na@b.example\n", "/v1/imports?dryrun=true").status, 422);
}

TEST_F(ImportTest, ColumnsAreMappedWithAndWithoutAHeader) {
  const std::string map = "&map=E-Mail%20Adresse%3Demail%2Cvorname%3Dfirst_name%2CNotizen%3D";
  const json named = Report("Vorname;e-mail adresse;Notizen\nAnn;ann@example.com;secret\n", "/v1/imports?list=people" + map);
  EXPECT_EQ(named["created"], 1);
  EXPECT_EQ(named["ignored_columns"], json::array({"Notizen"}));
  EXPECT_EQ(Report("bob@example.com|Bob|x\n", "/v1/imports?list=people&header=false&map=1%3Demail%2C2%3Dfirst_name")["created"], 1);
  EXPECT_EQ(Contact("bob@example.com").at(0, "personal_attributes").bytes, "{\"first_name\":\"Bob\"}");
  EXPECT_EQ(Contact("ann@example.com").at(0, "personal_attributes").bytes, "{\"first_name\":\"Ann\"}");
  const http::Response absent = Post("email\na@b.example\n", "/v1/imports?map=Strasse%3Dstreet");
  EXPECT_EQ(absent.status, 422);
  EXPECT_NE(absent.body.find("strasse"), std::string::npos) << absent.body;
  EXPECT_EQ(Post("a@b.example\n", "/v1/imports?header=false").status, 422);
  EXPECT_EQ(Post("email\n", "/v1/imports?map=email").status, 422);
  EXPECT_EQ(Post("email\n", "/v1/imports?encoding=ebcdic&from=nobody").status, 422);
  EXPECT_EQ(Post("email\na@b.example\n", "/v1/imports?consent=true").status, 501);
}

TEST_F(ImportTest, LinesOfJsonAreRowsAndABadOneIsAReject) {
  media_ = "application/x-ndjson";
  const json report = Report(
      "{\"email\":\"ann@example.com\",\"first_name\":\"Ann\",\"age\":30}\n{\"email\":\"bob@example.com\",\"attributes\":{\"age\":31}}\n"
      "nothing\n{\"email\":\"cy@example.com\",\"age\":\"old\"}\n{\"first_name\":\"Dee\"}\n{\"email\":\"Ann@EXAMPLE.com\",\"age\":32}");
  EXPECT_EQ(report["created"], 2);
  EXPECT_EQ(report["duplicate"], 1);
  EXPECT_EQ(report["rejected"], 3);
  EXPECT_EQ(report["rejects"][0]["code"], "malformed_json");
  EXPECT_EQ(report["rejects"][0]["line"], 3);
  EXPECT_EQ(report["rejects"][0]["raw"], "nothing");
  EXPECT_EQ(report["rejects"][1]["code"], "invalid_value");
  EXPECT_EQ(report["rejects"][2]["code"], "missing_column");
  EXPECT_EQ(Contact("ann@example.com").at(0, "attributes").bytes, "{\"age\":32}");
}

TEST_F(ImportTest, TooManyErrorsStopItAndSayWhatWasApplied) {
  std::string file = "email\n";
  for (int i = 0; i < 3'000; ++i) file += fmt::format("c{}@example.com\n", i);
  file += "nobody\nnobody else\nlast@example.com\n";
  const http::Response response = Post(file, "/v1/imports?list=people&max_errors=1");
  EXPECT_EQ(response.status, 422) << response.body;
  EXPECT_EQ(json::parse(response.body)["code"], "too_many_errors");
  std::smatch said;
  ASSERT_TRUE(std::regex_search(response.body, said, std::regex("([0-9]+) rows were applied"))) << response.body;
  const json job = Ended(std::string(response.headers["location"].substr(std::string_view("/v1/imports/").size())));
  EXPECT_EQ(job["status"], "failed");
  EXPECT_EQ(job["created"], std::stoi(said[1]));
  EXPECT_EQ(job["rejected"], 2);
  EXPECT_EQ(Sum(job), job["rows"].get<int>());
}

TEST_F(ImportTest, WhoGotNoMailElsewhereGetsNoneHere) {
  const json report = Report(
      "uuid,email,name,attributes,status\n1,ann@example.com,Ann,\"{\"\"city\"\":\"\"Rome\"\"}\",enabled\n2,bob@example.com,Bob,{},"
      "blocklisted\n"
      "3,cy@example.com,Cy,{},nonsense\n",
      "/v1/imports?list=people&from=listmonk");
  EXPECT_EQ(report["created"], 2);
  EXPECT_EQ(report["suppressed"], 1);
  EXPECT_EQ(report["rejects"][0]["code"], "unknown_status");
  EXPECT_EQ(Contact("bob@example.com").at(0, "suppressed_reason").bytes, "blocked");
  EXPECT_EQ(Contact("ann@example.com").at(0, "personal_attributes").bytes, "{\"city\":\"Rome\",\"name\":\"Ann\"}");
  const auto members =
      world_.views->Query("list", {{"tenant", sql::Value::Integer(1)}, {"list_id", sql::Value::Integer(static_cast<int64_t>(list_id_))}})
          .value();
  EXPECT_EQ(members.at(0, "members").integer, 1);
}

TEST_F(ImportTest, RejectsComeBackAsTheyCame) {
  const json report = Report("email,first_name\nnobody,\"Ann \"\"A\"\", x\"\nann@example.com,Ann\nb\xff@example.com,B\n");
  std::optional<std::string> csv;
  jobs_.AskRejects(SimApi::kTenant, report["id"],
                   [&csv](std::shared_ptr<const Rejects> rejects) { csv = rejects ? rejects->Csv() : "none"; });
  EXPECT_TRUE(world_.Until([&csv] { return csv.has_value(); }));
  EXPECT_NE(csv->find("2,email,invalid_address,"), std::string::npos) << *csv;
  EXPECT_NE(csv->find("\"nobody,\"\"Ann \"\"\"\"A\"\"\"\", x\"\"\"\r\n"), std::string::npos) << *csv;
  EXPECT_NE(csv->find("\"b\xff@example.com,B\"\r\n"), std::string::npos) << *csv;
}

TEST_F(ImportTest, ADryRunSaysWhatWouldChange) {
  Report("email,first_name,age\nann@example.com,Ann,30\nbob@example.com,Bob,31\n");
  const http::Response response = Post("email,first_name,age\nann@example.com,Anna,30\nbob@example.com,Bob,31\ncy@example.com,Cy,\n",
                                       "/v1/imports?list=people&dry_run=true");
  const json report = json::parse(response.body);
  EXPECT_EQ(report["created"], 1);
  EXPECT_EQ(report["updated"], 1);
  EXPECT_EQ(report["unchanged"], 1);
  ASSERT_EQ(report["diffs"].size(), 2u);
  EXPECT_EQ(report["diffs"][0]["line"], 2);
  EXPECT_EQ(report["diffs"][0]["fields"][0], (json{{"name", "first_name"}, {"old", "Ann"}, {"new", "Anna"}})) << report;
}

TEST_F(ImportTest, AnUndonePutsBackWhatNobodyHasChangedSince) {
  Report("email,first_name,age\nann@example.com,Ann,30\nbob@example.com,Bob,31\n", "/v1/imports?source=first");
  const json second =
      Report("email,first_name,age\nann@example.com,Anna,40\nbob@example.com,Bobby,41\nnew@example.com,New,5\nann@example.com,Anne,42\n");
  Report("email,age\nbob@example.com,50\n", "/v1/imports?source=third");
  const auto undo = [&] {
    auto what = LookAtUndo(*world_.views, SimApi::kTenant, second["id"]);
    EXPECT_TRUE(std::holds_alternative<Undoable>(what));
    StartUndo({.gateway = *world_.gateway, .jobs = jobs_, .bulk = *world_.disk, .owner = {}}, {SimApi::kTenant, "test", {}}, second["id"],
              std::get<Undoable>(what), [](auto) {});
    const std::string id = UndoIdOf(second["id"]);
    EXPECT_TRUE(world_.Until([&] {
      const auto job = Known(id);
      return job && (*job)["status"] != "running";
    }));
    return Known(id).value_or(json());
  };
  const json undone = undo();
  EXPECT_EQ(undone["status"], "completed") << undone;
  EXPECT_EQ(undone["rows"], 4);
  EXPECT_EQ(undone["updated"], 3);  // both changes of ann, and new
  EXPECT_EQ(undone["skipped"], 1);  // the age of bob
  EXPECT_EQ(undone["rows"].get<int>(), Sum(undone));
  const auto ann = Contact("ann@example.com");
  EXPECT_EQ(ann.at(0, "attributes").bytes, "{\"age\":30}");
  EXPECT_EQ(ann.at(0, "personal_attributes").bytes, "{\"first_name\":\"Ann\"}");
  const auto bob = Contact("bob@example.com");
  EXPECT_EQ(bob.at(0, "attributes").bytes, "{\"age\":50}");
  EXPECT_EQ(bob.at(0, "personal_attributes").bytes, "{\"first_name\":\"Bob\"}");
  EXPECT_EQ(Contact("new@example.com").at(0, "attributes").bytes, "{}");
  const auto members =
      world_.views->Query("list", {{"tenant", sql::Value::Integer(1)}, {"list_id", sql::Value::Integer(static_cast<int64_t>(list_id_))}})
          .value();
  EXPECT_EQ(members.at(0, "members").integer, 0);
  // Again, and it is done already; the first import again gives what was there.
  EXPECT_EQ(undo()["updated"], 0);
  EXPECT_EQ(Report("email,first_name,age\nann@example.com,Ann,30\n", "/v1/imports?source=first")["unchanged"], 1);
}

}  // namespace
}  // namespace maily::import
