// Bodies that no provider sends: every reader gives an error or notices within their limits, and comes back soon.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "api/esp/json.h"
#include "api/esp/mailgun.h"
#include "api/esp/postmark.h"
#include "api/esp/sendgrid.h"
#include "api/esp/ses.h"
#include "api/esp/sns.h"
#include "tests/esp_notices.h"

namespace maily::esp {
namespace {

using nlohmann::json;

struct Reader {
  const char* folder;
  Result<Elements> (*read)(std::string_view);
};
constexpr Reader kReaders[] = {
    {"esp_ses", ses::Read}, {"esp_sendgrid", sendgrid::Read}, {"esp_postmark", postmark::Read}, {"esp_mailgun", mailgun::Read}};

void ExpectSound(const Reader& reader, std::string_view body, std::string_view what) {
  const auto elements = reader.read(body);
  if (elements) {
    ASSERT_EQ(test::WrongWith(*elements), "") << reader.folder << ": " << what;
  } else {
    ASSERT_EQ(elements.error().code, Code::kInvalid);
    ASSERT_LT(elements.error().message.size(), 200u);
  }
}

std::vector<std::pair<std::string, std::string>> Samples(const Reader& reader) {
  std::vector<std::pair<std::string, std::string>> samples;
  const char* const source = std::getenv("MAILY_SOURCE_DIR");
  const std::string folder = std::string(source == nullptr ? "." : source) + "/tests/fuzz/corpus/" + reader.folder;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = std::string(reader.folder) + "/" + entry.path().filename().string();
    samples.emplace_back(name, test::WebhookBody(name));
  }
  std::ranges::sort(samples);
  return samples;
}

TEST(HostileBodies, DeepJsonIsAnError) {
  for (const Reader& reader : kReaders) {
    for (const char* open : {"[", "{\"a\":", "[{\"event\":"}) {
      std::string body;
      while (body.size() < 1'000'000) body += open;
      EXPECT_FALSE(reader.read(body).has_value());
    }
  }
  const std::string deepest = std::string(kDepthMax, '[') + std::string(kDepthMax, ']');
  EXPECT_TRUE(ParseBounded(deepest).has_value());
  EXPECT_FALSE(ParseBounded("[" + deepest + "]").has_value());
}

TEST(HostileBodies, LimitsOfABodyHold) {
  std::string many = "[";
  for (size_t i = 0; i < kElementsMax; ++i) many += "1,";
  many.back() = ']';
  EXPECT_EQ(sendgrid::Read(many)->size(), kElementsMax);
  many.back() = ',';
  EXPECT_FALSE(sendgrid::Read(many + "1]").has_value());

  std::string values = "[";
  while (values.size() < kBodyBytesMax - 8) values += "[],";
  values.back() = ']';
  EXPECT_EQ(ParseBounded(values).error().message, "it has too many values: at most 250000 values, 32 levels are taken");
  EXPECT_TRUE(ParseBounded("\"" + std::string(kBodyBytesMax - 2, 'x') + "\"").has_value());
  EXPECT_FALSE(ParseBounded("\"" + std::string(kBodyBytesMax - 1, 'x') + "\"").has_value());

  std::string recipients = R"({"eventType":"Delivery","mail":{"timestamp":"2026-03-01T10:00:00Z"},"delivery":{"recipients":[)";
  for (size_t i = 0; i < kElementsMax; ++i) recipients += R"("a@x.example",)";
  EXPECT_FALSE(ses::Read(recipients + R"("a@x.example"]}})").has_value());
  recipients.back() = ']';
  EXPECT_EQ(ses::Read(recipients + "}}")->size(), kElementsMax);
}

TEST(HostileBodies, LongFieldsAreCutAtACharacterAndIdsAreNot) {
  std::string umlauts;
  while (umlauts.size() < 20'000) umlauts += "ä";
  const json event = {{"event", "bounce"},       {"email", "a@x.example"},   {"timestamp", 1772359202},
                      {"reason", "x" + umlauts}, {"url", "x" + umlauts},     {"useragent", umlauts},
                      {"sg_event_id", umlauts},  {"sg_message_id", umlauts}, {"ip", umlauts}};
  const auto elements = sendgrid::Read(json::array({event}).dump());
  ASSERT_TRUE(elements.has_value());
  EXPECT_EQ(test::WrongWith(*elements), "");
  const Notice& notice = *(*elements)[0].notice;
  EXPECT_EQ(notice.diagnostic.size(), kDiagnosticBytesMax - 1);
  EXPECT_EQ(notice.provider_message_id, "");
  EXPECT_EQ(notice.dedup_id.size(), 64u);
}

TEST(HostileBodies, ControlCharactersDoNotPass) {
  const auto elements = sendgrid::Read(
      R"([{"event":"bounce","email":"a@x.example","timestamp":1,"reason":"550 a\r\nb\u0000c\u001b[31m","sg_event_id":"a\nb"},{"event":"open","email":"a@x\n.example","timestamp":1}])");
  ASSERT_TRUE(elements.has_value());
  EXPECT_EQ(test::WrongWith(*elements), "");
  EXPECT_EQ((*elements)[0].notice->diagnostic, "550 a  b c [31m");
  EXPECT_FALSE((*elements)[1].notice.has_value());
}

TEST(HostileBodies, ErrorsDoNotRepeatWhatStandsThere) {
  for (const Reader& reader : kReaders) {
    const auto elements =
        reader.read(R"({"eventType":"Send","RecordType":"Open","event-data":{"event":"opened"},"x":anna@customer.example)");
    ASSERT_FALSE(elements.has_value());
    EXPECT_EQ(elements.error().message.find("anna"), std::string::npos);
  }
}

// Every value of every sample, once as each other type.
TEST(HostileBodies, WrongTypesEverywhere) {
  const std::vector<json> others = {nullptr,
                                    true,
                                    -1,
                                    0,
                                    1e300,
                                    uint64_t{18446744073709551615u},
                                    "",
                                    "x",
                                    std::string(9000, 'y'),
                                    "\xf0\x9f\x98\x80",
                                    json::array(),
                                    json::object(),
                                    json::array({json::array(), nullptr, 1}),
                                    json{{"emailAddress", 1}}};
  for (const Reader& reader : kReaders) {
    for (const auto& [name, text] : Samples(reader)) {
      const json body = json::parse(text, nullptr, false);
      if (body.is_discarded()) continue;
      const json flat = body.flatten();
      std::set<std::string> done;
      for (const auto& [pointer, value] : flat.items()) {
        // The value, and what holds it, each once.
        for (json::json_pointer place(pointer); done.insert(place.to_string()).second; place = place.parent_pointer()) {
          for (const json& other : others) {
            json changed = body;
            changed[place] = other;
            ExpectSound(reader, changed.dump(), name + place.to_string());
          }
          json without = body;
          if (place.empty()) break;
          if (without[place.parent_pointer()].is_object()) {
            without[place.parent_pointer()].erase(place.back());
            ExpectSound(reader, without.dump(), name + " without " + place.to_string());
          }
        }
      }
    }
  }
}

TEST(HostileBodies, RandomChangesGiveNoticesWithinTheirLimitsOrErrors) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (const Reader& reader : kReaders) {
    const auto samples = Samples(reader);
    ASSERT_FALSE(samples.empty());
    for (int i = 0; i < 1'500; ++i) {
      std::string body = samples[random() % samples.size()].second;
      const std::string& other = samples[random() % samples.size()].second;
      for (size_t changes = random() % 4 + 1; changes > 0 && !body.empty(); --changes) {
        const size_t at = random() % body.size();
        switch (random() % 5) {
          case 0:
            body[at] = static_cast<char>(random());
            break;
          case 1:
            body.erase(at, random() % 20);
            break;
          case 2:
            body.insert(at, other.substr(random() % other.size(), random() % 50));
            break;
          case 3:
            body.insert(at, 1, "{}[]\",:\\0e-."[random() % 12]);
            break;
          default:
            body.resize(at);
        }
      }
      ExpectSound(reader, body, "random");
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Times, AreReadInEveryWayTheyAreWritten) {
  const auto at = [](const json& value) { return TimeOf(value, "t").has_value() ? TimeOf(value, "t")->us : -1; };
  EXPECT_EQ(at("1970-01-01T00:00:00.000001Z"), 1);
  EXPECT_EQ(at("2000-02-29T12:00:00Z"), 951'825'600'000'000);
  EXPECT_EQ(at("2026-03-01T10:00:00.9999999Z"), 1'772'359'200'999'999);
  EXPECT_EQ(at("2026-03-01T10:00:00+05:30"), 1'772'339'400'000'000);
  EXPECT_EQ(at("9999-12-31T23:59:59Z"), 253'402'300'799'000'000);
  for (const char* wrong : {"", "2026", "2026-03-01", "2026-03-01T10:00:00", "2026-02-29T10:00:00Z", "2026-13-01T10:00:00Z",
                            "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z", "2026-03-01T10:00:00.Z", "2026-03-01T10:00:00Zx",
                            "1969-12-31T23:59:59Z", "2026-03-01T10:00:00+24:00", "+026-03-01T10:00:00Z", "2026-03-01T10:00:00+0530"})
    EXPECT_EQ(at(wrong), -1) << wrong;
  EXPECT_EQ(at(7), -1);
  EXPECT_EQ(SecondsOf(json(1772359202.908181), "t")->us, 1'772'359'202'908'181);
  EXPECT_EQ(SecondsOf(json("1772359202"), "t")->us, 1'772'359'202'000'000);
  for (const json& wrong : {json(0), json(-1), json(1e18), json(uint64_t{1} << 63), json("1.5"), json(""), json("0"),
                            json("1772359202000000"), json(nullptr), json::array()})
    EXPECT_FALSE(SecondsOf(wrong, "t").has_value()) << wrong;
}

TEST(DedupIds, OfOtherPartsAreOthers) {
  EXPECT_NE(DedupId({"a", "bc"}), DedupId({"ab", "c"}));
  EXPECT_NE(DedupId({"a", ""}), DedupId({"a"}));
  EXPECT_EQ(DedupId(std::string_view("plain-id")), "plain-id");
  EXPECT_EQ(DedupId(std::string(201, 'x')).size(), 64u);
  EXPECT_EQ(DedupId(std::string_view("with space")).size(), 64u);
}

}  // namespace
}  // namespace maily::esp
