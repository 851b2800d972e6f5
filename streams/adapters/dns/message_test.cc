// Answers are read as RFC 1035 lays them out, and whatever else comes is malformed, not more.
#include "streams/adapters/dns/message.h"

#include <gtest/gtest.h>

#include <random>

#include "streams/adapters/dns/test_server.h"

namespace maily::dns {
namespace {

using test::A;
using test::Four;
using test::Mx;
using test::Question;
using test::Record;
using test::Reply;
using test::Two;
using test::Wire;

const std::string kTen("\x0A\x00\x00\x01", 4);

Result<DnsAnswer> Read(WireType type, const std::vector<std::string>& records, uint16_t flags = 0) {
  return ReadAnswer(Reply(Question("example.com", type), records, flags), "example.com", type);
}

TEST(Message, RecordsHaveValuesPreferencesAndTheLeastTtl) {
  const auto mx = Read(WireType::kMx, {Mx("example.com", 300, 10, "MX1.Example.com"), Mx("EXAMPLE.com", 200, 20, "mx2.example.net")});
  ASSERT_TRUE(mx) << mx.error().ToString();
  EXPECT_EQ(mx->kind, DnsAnswer::Kind::kRecords);
  EXPECT_EQ(mx->records, (std::vector<DnsRecord>{{"mx1.example.com", 10}, {"mx2.example.net", 20}}));
  EXPECT_EQ(mx->ttl, Seconds(200));
  EXPECT_FALSE(mx->IsNullMx());

  EXPECT_EQ(Read(WireType::kA, {A("example.com", 1, kTen)})->records, (std::vector<DnsRecord>{{"10.0.0.1"}}));
  const std::string v6("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
  EXPECT_EQ(Read(WireType::kAaaa, {Record("example.com", WireType::kAaaa, 1, v6)})->records, (std::vector<DnsRecord>{{"2001:db8::1"}}));
  EXPECT_EQ(Read(WireType::kPtr, {Record("example.com", WireType::kPtr, 1, Wire("a.b"))})->records, (std::vector<DnsRecord>{{"a.b"}}));
}

TEST(Message, StringsOfATxtRecordAreJoinedWithoutSpaces) {
  const std::string two = "\x05v=STS" + std::string("\x0Cv1; id=2026;");
  EXPECT_EQ(Read(WireType::kTxt, {Record("example.com", WireType::kTxt, 1, two)})->records,
            (std::vector<DnsRecord>{{"v=STSv1; id=2026;"}}));
  EXPECT_EQ(Read(WireType::kTxt, {Record("example.com", WireType::kTxt, 1, std::string(1, '\0'))})->records,
            (std::vector<DnsRecord>{{""}}));
}

TEST(Message, NullMxIsOneRecordOfTheRootWithPreferenceZero) {  // RFC 7505 §3
  EXPECT_TRUE(Read(WireType::kMx, {Mx("example.com", 1, 0, "")})->IsNullMx());
  EXPECT_FALSE(Read(WireType::kMx, {Mx("example.com", 1, 0, ""), Mx("example.com", 1, 5, "a.example")})->IsNullMx());
  EXPECT_FALSE(Read(WireType::kMx, {Mx("example.com", 1, 0, "a.example")})->IsNullMx());
}

TEST(Message, NoNameAndNoDataAreKeptApart) {
  EXPECT_EQ(Read(WireType::kMx, {}, test::kNxDomain)->kind, DnsAnswer::Kind::kNoName);
  EXPECT_EQ(Read(WireType::kMx, {})->kind, DnsAnswer::Kind::kNoData);
  EXPECT_EQ(Read(WireType::kMx, {A("example.com", 1, kTen)})->kind, DnsAnswer::Kind::kNoData);
  EXPECT_EQ(Read(WireType::kMx, {Mx("other.example", 1, 1, "a.example")})->kind, DnsAnswer::Kind::kNoData);
  for (const uint16_t code : {test::kServFail, test::kRefused, uint16_t{1}, uint16_t{4}}) {
    EXPECT_EQ(Read(WireType::kMx, {}, code).error().code, Code::kRetry) << code;
  }
}

TEST(Message, AliasesAreFollowedInAnyOrderAndEnd) {
  const auto alias = [](std::string_view from, std::string_view to, uint32_t ttl) { return Record(from, WireType::kCname, ttl, Wire(to)); };
  const auto found =
      Read(WireType::kA, {A("c.example", 300, kTen), alias("b.example", "c.example", 60), alias("example.com", "b.example", 90)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records, (std::vector<DnsRecord>{{"10.0.0.1"}}));
  EXPECT_EQ(found->ttl, Seconds(60));
  EXPECT_EQ(Read(WireType::kA, {alias("example.com", "b.example", 90)})->kind, DnsAnswer::Kind::kNoData);
  const auto loop = Read(WireType::kA, {alias("example.com", "b.example", 90), alias("b.example", "example.com", 90)});
  ASSERT_FALSE(loop);
  EXPECT_EQ(loop.error().code, Code::kRetry);
  EXPECT_NE(loop.error().message.find("aliases do not end"), std::string::npos) << loop.error().message;
}

TEST(Message, NamesMayPointBackwardsButNotForwardsOrInCircles) {  // RFC 1035 §4.1.4
  const std::string question = Wire("example.com") + Two(15) + Two(1);
  const std::string head = "id" + Two(0x8180) + Two(1) + Two(1) + Two(0) + Two(0) + question;
  const auto with_host = [&](const std::string& host) {
    const std::string data = Two(10) + host;
    const std::string owner = "\xC0\x0C";
    return ReadAnswer(head + owner + Two(15) + Two(1) + Four(60) + Two(static_cast<uint16_t>(data.size())) + data, "example.com",
                      WireType::kMx);
  };
  const auto good = with_host("\x02mx\xC0\x0C");
  ASSERT_TRUE(good) << good.error().ToString();
  EXPECT_EQ(good->records[0].value, "mx.example.com");
  const auto at = static_cast<uint16_t>(head.size() + 2 + 10 + 2);
  EXPECT_FALSE(with_host(Two(static_cast<uint16_t>(0xC000 | at))));             // to itself
  EXPECT_FALSE(with_host("\x02mx" + Two(static_cast<uint16_t>(0xC000 | at))));  // in a circle
  EXPECT_FALSE(with_host(Two(static_cast<uint16_t>(0xC000 | (at + 20)))));      // forwards
  EXPECT_FALSE(with_host("\x42mx\xC0\x0C"));                                    // a label type that is none
  EXPECT_FALSE(with_host("\x02mx" + std::string(1, '\0') + "behind"));          // more than a name
  EXPECT_FALSE(with_host("\x3F" + std::string(20, 'x')));                       // cut
}

TEST(Message, BytesThatNoHostNameHasAreEscaped) {
  const std::string odd = std::string("\x04") + "a.\xC3\\" + "\x02" + "B ";
  EXPECT_EQ(Read(WireType::kMx, {Record("example.com", WireType::kMx, 1, Two(1) + odd + '\0')})->records[0].value,
            "a\\046\\195\\092.b\\032");
}

TEST(Message, DataThatDoesNotFitItsTypeIsMalformed) {
  EXPECT_FALSE(Read(WireType::kA, {A("example.com", 1, "123")}));
  EXPECT_FALSE(Read(WireType::kAaaa, {Record("example.com", WireType::kAaaa, 1, "1234")}));
  EXPECT_FALSE(Read(WireType::kMx, {Record("example.com", WireType::kMx, 1, Two(1))}));
  EXPECT_FALSE(Read(WireType::kTxt, {Record("example.com", WireType::kTxt, 1, "\x09short")}));
  EXPECT_FALSE(Read(WireType::kTxt, {Record("example.com", WireType::kTxt, 1, "")}));
  EXPECT_FALSE(ReadAnswer("", "example.com", WireType::kA));
  EXPECT_FALSE(ReadAnswer(std::string(12, '\0'), "example.com", WireType::kA));  // a question
}

TEST(Message, MoreRecordsThanTheLimitAreLeftOut) {
  const std::vector<std::string> many(DnsAnswer::kRecordsMax + 100, A("example.com", 1, kTen));
  EXPECT_EQ(Read(WireType::kA, many)->records.size(), DnsAnswer::kRecordsMax);
}

TEST(Message, ATtlWithTheHighestBitIsZero) {  // RFC 2181 §8
  EXPECT_EQ(Read(WireType::kA, {A("example.com", 0x80000001, kTen)})->ttl, Seconds(0));
}

// Whatever is cut off or changed, it is read or refused with a reason.
TEST(Message, DamagedMessagesAreReadOrRefused) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const std::string whole = Reply(Question("example.com", WireType::kMx),
                                  {Record("example.com", WireType::kCname, 9, Wire("b.example")), Mx("b.example", 5, 1, "mx.b.example"),
                                   Mx("b.example", 5, 2, "mx2.b.example"), Record("b.example", WireType::kTxt, 5, "\x03xyz")});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ReadAnswer(whole.substr(0, size), "example.com", WireType::kMx)) << size;
  }
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = whole;
    for (int flips = 0; flips < 3; ++flips) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto read = ReadAnswer(damaged, "example.com", WireType::kMx);
    if (!read) {
      ASSERT_EQ(read.error().code, Code::kRetry);
      ASSERT_FALSE(read.error().message.empty());
    } else {
      ASSERT_EQ(read->records.empty(), read->kind != DnsAnswer::Kind::kRecords);
    }
  }
}

TEST(HostName, IsInLowerCaseWithoutALastDot) {
  EXPECT_EQ(HostName("Mail.Example.COM.").value(), "mail.example.com");
  EXPECT_EQ(HostName("_mta-sts.xn--bcher-kva.example").value(), "_mta-sts.xn--bcher-kva.example");
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("a..b"), std::string(".a"), std::string("b\xC3\xBC.example"), std::string("a b"),
        std::string("a\\.b"), std::string(64, 'a'), "a." + std::string(252, '.'), std::string("a\0b", 3), std::string(300, 'a')}) {
    const auto name = HostName(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().code, Code::kInvalid);
  }
}

TEST(ReverseName, IsTheAddressBackwards) {  // RFC 1035 §3.5, RFC 3596 §2.5
  EXPECT_EQ(ReverseName("127.0.0.2").value(), "2.0.0.127.in-addr.arpa");
  EXPECT_EQ(ReverseName("2001:db8::567:89ab").value(), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  EXPECT_FALSE(ReverseName("example.com"));
  EXPECT_FALSE(ReverseName(""));
}

TEST(Loopback, IsTheNetOf127AndOne) {
  EXPECT_TRUE(IsLoopback("127.0.0.1"));
  EXPECT_TRUE(IsLoopback("127.9.9.9"));
  EXPECT_TRUE(IsLoopback("::1"));
  EXPECT_FALSE(IsLoopback("10.0.0.1"));
  EXPECT_FALSE(IsLoopback("localhost"));
  EXPECT_FALSE(IsLoopback("::ffff:127.0.0.1"));
}

}  // namespace
}  // namespace maily::dns
