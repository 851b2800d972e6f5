// The rules of RFC 8461 for records, policies and hosts, section by section, and the bytes that are kept.
#include "processors/effects/mta_sts/policy.h"

#include <gtest/gtest.h>

#include <random>

#include "processors/effects/mta_sts/entry.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"

namespace maily::mta_sts {
namespace {

std::string IdOf(std::string_view record) {
  const auto id = ParseRecord(record);
  return id ? *id : CodeName(id.error().code);
}

TEST(MtaStsRecord, Section31ItsExampleHasAnId) {
  EXPECT_EQ(IdOf("v=STSv1; id=20160831085700Z;"), "20160831085700Z");
  EXPECT_EQ(IdOf("v=STSv1;id=1"), "1");
  EXPECT_EQ(IdOf("v=STSv1 \t;\t id=1 ; "), "1");
}

TEST(MtaStsRecord, Section31TheVersionComesFirstAndIsExact) {
  for (const char* record : {"id=1; v=STSv1", "v=STSv2; id=1", "V=STSv1; id=1", "v=stsv1; id=1", " v=STSv1; id=1", "v=STSv1",
                             "v=STSv11; id=1", "v=STSv1 id=1", ""}) {
    EXPECT_EQ(IdOf(record), "invalid") << record;
  }
}

TEST(MtaStsRecord, Section31TheIdIsOneTo32LettersAndDigits) {
  EXPECT_EQ(IdOf("v=STSv1; id=" + std::string(32, 'Z')), std::string(32, 'Z'));
  for (const std::string& id : {std::string(33, 'a'), std::string(), std::string("a-b"), std::string("a b"), std::string("\xC3\xA4")}) {
    EXPECT_EQ(IdOf("v=STSv1; id=" + id + ";"), "invalid") << id;
  }
  EXPECT_EQ(IdOf("v=STSv1; ID=1;"), "invalid");  // the name of the field is exact, too
}

TEST(MtaStsRecord, Section32UnknownFieldsArePassedOverAndOfTwoTheFirstCounts) {
  EXPECT_EQ(IdOf("v=STSv1; x-1.a_b=~!:<>; id=1; id=2; y=z"), "1");
  EXPECT_EQ(IdOf("v=STSv1; x; id=1"), "invalid");
  EXPECT_EQ(IdOf("v=STSv1; x=; id=1"), "invalid");
  EXPECT_EQ(IdOf("v=STSv1; x=a=b; id=1"), "invalid");
  EXPECT_EQ(IdOf("v=STSv1; -x=a; id=1"), "invalid");
  EXPECT_EQ(IdOf("v=STSv1; " + std::string(33, 'x') + "=a; id=1"), "invalid");
  EXPECT_EQ(IdOf("v=STSv1;; id=1"), "invalid");
}

TEST(MtaStsRecord, Section31OtherRecordsAreDiscardedAndExactlyOneHasToBeLeft) {
  const DnsRecord spf{.value = "v=spf1 -all"};
  const DnsRecord first{.value = "v=STSv1; id=1;"};
  const DnsRecord second{.value = "v=STSv1; id=2;"};
  EXPECT_EQ(ChooseId({spf, first}).value(), "1");
  EXPECT_EQ(ChooseId({}).error().code, Code::kNotFound);
  EXPECT_EQ(ChooseId({spf}).error().code, Code::kNotFound);
  EXPECT_EQ(ChooseId({{.value = "v=STSv10; id=1;"}}).error().code, Code::kNotFound);
  EXPECT_EQ(ChooseId({first, second}).error().code, Code::kInvalid);
  EXPECT_EQ(ChooseId({first, first}).error().code, Code::kInvalid);
  EXPECT_EQ(ChooseId({{.value = "v=STSv1; id=-;"}}).error().code, Code::kInvalid);
}

constexpr std::string_view kExample =
    "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n";

// The message of the refusal, or "" if there is none.
std::string WhyNot(std::string_view text) {
  const auto policy = ParsePolicy(text);
  if (policy) return "";
  EXPECT_EQ(policy.error().code, Code::kInvalid);
  return policy.error().message;
}

TEST(MtaStsPolicy, Section32ItsExampleIsRead) {
  const Policy expected{
      .mode = Mode::kEnforce, .mx = {"mail.example.com", "*.example.net", "backupmx.example.com"}, .max_age = Seconds(604'800)};
  EXPECT_EQ(ParsePolicy(kExample).value(), expected);
  std::string crlf;
  for (const char c : kExample) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(ParsePolicy(crlf).value(), expected);
  EXPECT_EQ(ParsePolicy(kExample.substr(0, kExample.size() - 1)).value(), expected);  // the last line need not end
  EXPECT_EQ(ParsePolicy("max_age:604800  \nmx:\t MAIL.example.com.\nmode:enforce\nmx:*.example.NET\nmx:backupmx.example.com\nversion:STSv1")
                .value(),
            expected);
}

TEST(MtaStsPolicy, Section32EveryFieldIsNeededAndKnown) {
  EXPECT_EQ(WhyNot("mode: none\nmax_age: 1"), "it has no field 'version'");
  EXPECT_EQ(WhyNot("version: STSv1\nmax_age: 1"), "it has no field 'mode'");
  EXPECT_EQ(WhyNot("version: STSv1\nmode: none"), "it has no field 'max_age'");
  EXPECT_EQ(WhyNot("version: STSv1\nmode: testing\nmax_age: 1"), "it has no field 'mx'");
  EXPECT_EQ(WhyNot("version: STSv1\nmode: enforce\nmax_age: 1"), "it has no field 'mx'");
  EXPECT_EQ(WhyNot("version: STSv1\nmode: none\nmax_age: 1"), "");
  EXPECT_NE(WhyNot("version: STSv2\nmode: none\nmax_age: 1"), "");
  EXPECT_NE(WhyNot("version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 1"), "");
  EXPECT_NE(WhyNot("version: STSv1\nmode: report\nmax_age: 1"), "");
  EXPECT_NE(WhyNot("<html>"), "");
  EXPECT_NE(WhyNot(""), "");
}

TEST(MtaStsPolicy, Section32MaxAgeIsANumberAndAYearAtMost) {
  const auto max_age = [](const std::string& value) { return ParsePolicy("version: STSv1\nmode: none\nmax_age: " + value); };
  EXPECT_EQ(max_age("0")->max_age, Seconds(0));
  EXPECT_EQ(max_age("31557600")->max_age, kMaxAgeMax);
  EXPECT_EQ(max_age("31557601")->max_age, kMaxAgeMax);
  EXPECT_EQ(max_age("9999999999")->max_age, kMaxAgeMax);
  for (const char* bad : {"", "-1", "+1", "1.5", "1 2", "12345678901", "0x10", "week"}) EXPECT_FALSE(max_age(bad)) << bad;
}

TEST(MtaStsPolicy, Section32PatternsAreHostsOrWildcardsOfTheFirstLabel) {
  const auto mx = [](const std::string& value) { return ParsePolicy("version: STSv1\nmode: testing\nmax_age: 1\nmx: " + value); };
  EXPECT_EQ(mx("*.Example.com")->mx, std::vector<std::string>{"*.example.com"});
  for (const char* bad : {"", "*", "*.", "a.*.example.com", "*a.example.com", "*.*.example.com", "a b", "b\xC3\xBC.example", "a..b"}) {
    EXPECT_FALSE(mx(bad)) << bad;
  }
}

TEST(MtaStsPolicy, Section32UnknownFieldsArePassedOverAndOfTwoTheFirstCounts) {
  const auto policy = ParsePolicy(
      "version: STSv1\nmode: testing\nmode: bogus\nx-new.field_1: any text, \xC3\xA4\nmx: a.example\n\nmax_age: 5\nmax_age: 6\nversion: "
      "STSv9\nmx: b.example");
  ASSERT_TRUE(policy) << policy.error().ToString();
  EXPECT_EQ(*policy, (Policy{.mode = Mode::kTesting, .mx = {"a.example", "b.example"}, .max_age = Seconds(5)}));
  EXPECT_NE(WhyNot("version: STSv1\nno field\nmode: none\nmax_age: 1"), "");
  EXPECT_NE(WhyNot("version: STSv1\n: x\nmode: none\nmax_age: 1"), "");
  EXPECT_NE(WhyNot(std::string_view("version: STSv1\nx: \0\nmode: none\nmax_age: 1", 42)), "");
}

TEST(MtaStsPolicy, Section33ItHas64KilobytesAtMost) {
  std::string large(kExample);
  while (large.size() + 14 <= kPolicyBytesMax) large += "mx: a.example\n";
  EXPECT_TRUE(ParsePolicy(large));
  large.append(14, '\n');
  EXPECT_FALSE(ParsePolicy(large));
}

TEST(MtaStsFits, Section41AHostIsEqualOrUnderAWildcardOfOneLabel) {
  EXPECT_TRUE(Fits("mail.example.com", "mail.example.com"));
  EXPECT_TRUE(Fits("mail.example.com", "MAIL.Example.com."));
  EXPECT_FALSE(Fits("mail.example.com", "example.com"));
  EXPECT_FALSE(Fits("mail.example.com", "a.mail.example.com"));
  EXPECT_TRUE(Fits("*.example.com", "mail.example.com"));
  EXPECT_FALSE(Fits("*.example.com", "example.com"));
  EXPECT_FALSE(Fits("*.example.com", "foo.bar.example.com"));
  EXPECT_FALSE(Fits("*.example.com", "mailexample.com"));
  EXPECT_FALSE(Fits("*.example.com", ".example.com"));
  EXPECT_FALSE(Fits("*.example.com", "*.example.com"));  // a host is no pattern
  EXPECT_FALSE(Fits("*.example.com", "example"));
  const Policy policy = ParsePolicy(kExample).value();
  EXPECT_TRUE(Fits(policy, "backupmx.example.com"));
  EXPECT_TRUE(Fits(policy, "any.example.net"));
  EXPECT_FALSE(Fits(policy, "mx.evil.example"));
  EXPECT_FALSE(Fits(Policy{}, "mail.example.com"));
}

Entry SomeEntry() {
  return {.domain = "example.com", .id = "20160831085700Z", .policy = ParsePolicy(kExample).value(), .fetched_at = {1'700'000'000'000'000}};
}

TEST(MtaStsEntry, ComesBackAsItWas) {
  EXPECT_EQ(DecodeEntry(EncodeEntry(SomeEntry())).value(), SomeEntry());
  Entry none = SomeEntry();
  none.policy = {.mode = Mode::kNone, .max_age = kMaxAgeMax};
  EXPECT_EQ(DecodeEntry(EncodeEntry(none)).value(), none);
}

TEST(MtaStsEntry, GoldenBytes) {
  const Entry entry{.domain = "a.example",
                    .id = "1",
                    .policy = {.mode = Mode::kTesting, .mx = {"*.b.example"}, .max_age = Seconds(300)},
                    .fetched_at = {1'700'000'000'000'000}};
  std::string hex;
  for (const char c : EncodeEntry(entry)) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  EXPECT_EQ(hex, "4d5354530109612e6578616d706c65013101ac0200401e18240a0600010b2a2e622e6578616d706c65260ad37b2c86e3db");
}

TEST(MtaStsEntry, OtherBytesAreRefused) {
  const std::string whole = EncodeEntry(SomeEntry());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(DecodeEntry(whole.substr(0, size)).error().code, Code::kCorrupt) << size;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(DecodeEntry(flipped)) << bit;
  }
  std::string newer = whole.substr(0, whole.size() - 8);
  newer[4] = 2;
  PutFixed(newer, Xxh3_64(newer));
  EXPECT_NE(DecodeEntry(newer).error().message.find("version 2"), std::string::npos);
}

// With a right hash, too, what is read is an entry that would be written so.
TEST(MtaStsEntry, WhatIsReadIsWrittenTheSame) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string whole = EncodeEntry(SomeEntry());
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole.substr(0, whole.size() - 8);
    for (int flips = 0; flips < 2; ++flips) damaged[random() % damaged.size()] = static_cast<char>(random());
    PutFixed(damaged, Xxh3_64(damaged));
    const auto read = DecodeEntry(damaged);
    if (read) {
      ASSERT_EQ(DecodeEntry(EncodeEntry(*read)).value(), *read);
    } else {
      ASSERT_EQ(read.error().code, Code::kCorrupt);
    }
  }
}

// A policy that is written out is read as it was; a damaged one is read or refused.
TEST(MtaStsPolicy, AnyPolicyComesBackAndDamagedOnesAreReadOrRefused) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 5'000; ++i) {
    Policy policy{.mode = static_cast<Mode>(random() % 3), .max_age = Seconds(random() % 31'557'601)};
    for (size_t hosts = 1 + random() % 5; hosts > 0; --hosts) {
      policy.mx.push_back(fmt::format("{}mx{}.example{}", random() % 2 == 0 ? "*." : "", random() % 100, random() % 10));
    }
    std::string text = fmt::format("version: STSv1\nmode: {}\nmax_age: {}\n", ModeName(policy.mode), policy.max_age.us / 1'000'000);
    for (const std::string& pattern : policy.mx) text += "mx: " + pattern + (random() % 2 == 0 ? "\n" : "\r\n");
    ASSERT_EQ(ParsePolicy(text).value(), policy) << text;
    text[random() % text.size()] = static_cast<char>(random());
    const auto damaged = ParsePolicy(text);
    if (damaged) {
      for (const std::string& pattern : damaged->mx) ASSERT_EQ(ParsePattern(pattern).value(), pattern);
    } else {
      ASSERT_EQ(damaged.error().code, Code::kInvalid);
    }
  }
}

}  // namespace
}  // namespace maily::mta_sts
