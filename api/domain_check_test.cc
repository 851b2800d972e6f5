// Tests the check of a sending domain against zones that are right, and wrong in one place each.
#include "api/domain_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "streams/adapters/sim/sim_resolver.h"

namespace maily::api {
namespace {

constexpr const char* kRsa = "v=DKIM1; k=rsa; p=MIIBIjANBg";
constexpr const char* kEd25519 = "v=DKIM1; k=ed25519; p=11qYAYKx";

class DomainCheckTest : public testing::Test {
 public:
  DomainCheckTest() {
    domain.name = "shop.example.com";
    domain.keys = {{"m1r", kRsa}, {"m1e", kEd25519}};
    domain.return_path = "bounces.shop.example.com";
    domain.mail_host = "in.example.com";
    domain.source_addresses = {"192.0.2.1"};
    domain.tracking_base_url = "https://news.example.com:8443/x";
    domain.live = true;
    zone.SetTxt("m1r._domainkey.shop.example.com", {kRsa});
    zone.SetTxt("m1e._domainkey.shop.example.com", {kEd25519});
    zone.SetTxt("bounces.shop.example.com", {"another", "v=spf1 ip4:192.0.2.0/24 include:_spf.example.net -all"});
    zone.SetTxt("_spf.example.net", {"v=spf1 a:out.example.net/24//64 ~all"});
    zone.SetTxt("_dmarc.shop.example.com", {"v=DMARC1; p=none"});
    zone.SetMx("bounces.shop.example.com", {{10, "in.example.com"}, {20, "in2.example.com"}});
    zone.SetAddresses("in.example.com", {"192.0.2.7"});
    zone.SetPtr("192.0.2.1", {"old.example.com", "out.example.com"});
    zone.SetAddresses("out.example.com", {"192.0.2.9", "192.0.2.1"});
    zone.SetAddresses("news.example.com", {"2001:db8::1"});
  }
  std::vector<RuleLine> Lines() {
    std::optional<std::vector<RuleLine>> lines;
    const Duration begin = scheduler.clock().Steady();
    CheckDomain(domain, zone, *executor, Seconds(10), [&](std::vector<RuleLine> found) { lines = std::move(found); });
    EXPECT_FALSE(lines);
    EXPECT_TRUE(scheduler.RunUntil([&] { return lines.has_value(); }, Seconds(60)));
    EXPECT_LE((scheduler.clock().Steady() - begin).us, Seconds(10).us);
    for (const RuleLine& line : *lines) {
      EXPECT_EQ(line.ok, line.fix.empty()) << line.rule << ": " << line.fix;
      EXPECT_FALSE(line.found.empty()) << line.rule;
      for (const char c : line.found + line.fix) EXPECT_TRUE(c >= 0x20 && c < 0x7F) << line.rule;
    }
    return *lines;
  }
  // What is not ok: "rule: found; fix", a line each.
  std::string Wrong() {
    std::string wrong;
    for (const RuleLine& line : Lines()) {
      if (!line.ok) wrong += line.rule + ": " + line.found + "; " + line.fix + "\n";
    }
    return wrong;
  }

  sim::Scheduler scheduler{1};
  std::unique_ptr<Executor> executor = scheduler.MakeExecutor();
  sim::SimResolver zone{scheduler, {}};
  DomainToCheck domain;
};

TEST_F(DomainCheckTest, AGoodZonePassesLineByLine) {
  std::vector<std::string> rules;
  for (const RuleLine& line : Lines()) {
    EXPECT_TRUE(line.ok) << line.rule << ": " << line.found << "; " << line.fix;
    rules.push_back(line.rule);
  }
  EXPECT_EQ(rules, (std::vector<std::string>{"dkim:m1r", "dkim:m1e", "spf", "dmarc", "alignment", "return_path_mx", "ptr:192.0.2.1",
                                             "one_click"}));
}

TEST_F(DomainCheckTest, OtherZonesThatAreGood) {
  struct Good {
    const char* what;
    std::function<void(DomainCheckTest&)> change;
  };
  const std::vector<Good> table = {
      {"tags in another order, with spaces",
       [](auto& t) { t.zone.SetTxt("m1r._domainkey.shop.example.com", {" p=MIIB IjA\tNBg ;k=rsa; v=DKIM1;"}); }},
      {"a key without k= is of RSA", [](auto& t) { t.zone.SetTxt("m1r._domainkey.shop.example.com", {"p=MIIBIjANBg"}); }},
      {"DMARC of the domain above",
       [](auto& t) {
         t.zone.SetTxt("_dmarc.shop.example.com", {"something else"});
         t.zone.SetTxt("_dmarc.example.com", {"v=DMARC1;p=reject;sp=quarantine"});
       }},
      {"SPF that redirects", [](auto& t) { t.zone.SetTxt("bounces.shop.example.com", {"v=spf1 redirect=_spf.example.net"}); }},
      {"SPF with macros and ten lookups",
       [](auto& t) {
         t.zone.SetTxt("bounces.shop.example.com",
                       {"V=SPF1 a mx a:x.example mx:y.example/24 ptr exists:%{i}.z.example a a a a ip6:2001:db8::/32 ?all exp=e.example"});
       }},
      {"no return path: the domain's own records count",
       [](auto& t) {
         t.domain.return_path.clear();
         t.zone.SetTxt("shop.example.com", {"v=spf1 a -all"});
         t.zone.SetMx("shop.example.com", {{0, "mx.example.org"}});
         t.zone.SetAddresses("mx.example.org", {"192.0.2.8"});
       }},
      {"another mail host, where this instance knows none",
       [](auto& t) {
         t.domain.mail_host.clear();
         t.zone.SetMx("bounces.shop.example.com", {{10, "in2.example.com"}});
         t.zone.SetAddresses("in2.example.com", {"192.0.2.8"});
       }},
      {"links on loopback in a sandbox",
       [](auto& t) {
         t.domain.live = false;
         t.domain.tracking_base_url = "http://127.0.0.1:8080";
       }},
  };
  for (const Good& good : table) {
    struct Fresh : DomainCheckTest {
      void TestBody() override {}
    } fresh;
    good.change(fresh);
    EXPECT_EQ(fresh.Wrong(), "") << good.what;
  }
}

TEST_F(DomainCheckTest, EachFaultIsOneLineThatSaysWhatToPublish) {
  struct Bad {
    const char* rule;
    const char* found;  // a part of it
    const char* fix;    // a part of it
    std::function<void(DomainCheckTest&)> change;
  };
  const std::string spf = "bounces.shop.example.com";
  const auto text = [](const std::string& name, std::vector<std::string> texts) {
    return [name, texts = std::move(texts)](DomainCheckTest& t) { t.zone.SetTxt(name, texts); };
  };
  const std::string key = "m1r._domainkey.shop.example.com";
  const char* publish_key = "publish one TXT at m1r._domainkey.shop.example.com: \"v=DKIM1; k=rsa; p=MIIBIjANBg\"";
  const char* publish_spf = "publish one TXT at bounces.shop.example.com: \"v=spf1 a mx ~all\"";
  const char* publish_dmarc = "publish one TXT at _dmarc.shop.example.com: \"v=DMARC1; p=none\"";
  const char* publish_mx = "publish one MX at bounces.shop.example.com: \"10 in.example.com\"";
  const char* publish_ptr = "publish a PTR at 1.2.0.192.in-addr.arpa: the name of the sending host, and an A at that name: 192.0.2.1";
  const std::string dmarc = "_dmarc.shop.example.com";
  const std::vector<Bad> table = {
      {"dkim:m1r", "no TXT", publish_key, [&](auto& t) { t.zone.Remove(key); }},
      {"dkim:m1r", "2 TXT", "take the others away", text(key, {kRsa, kRsa})},
      {"dkim:m1r", "another key", publish_key, text(key, {"v=DKIM1; k=rsa; p=MIIBOTHER"})},
      {"dkim:m1r", "another key", publish_key, text(key, {"v=DKIM1; k=ed25519; p=MIIBIjANBg"})},
      {"dkim:m1r", "a revoked key", publish_key, text(key, {"v=DKIM1; p="})},
      {"dkim:m1r", "has no \"=\"", publish_key, text(key, {"\xff\x01 nonsense"})},
      {"spf", "no v=spf1 record", publish_spf, text(spf, {"v=spf10 -all"})},
      {"spf", "no v=spf1 record", publish_spf, [&](auto& t) { t.zone.SetTxt(spf, {}); }},
      {"spf", "2 v=spf1 records", "publish one TXT with v=spf1", text(spf, {"v=spf1 -all", "v=spf1 a -all"})},
      {"spf", "no such mechanism", publish_spf, text(spf, {"v=spf1 ip:192.0.2.1 -all"})},
      {"spf", "IPv4 address", publish_spf, text(spf, {"v=spf1 ip4:192.0.2.256 -all"})},
      {"spf", "needs a domain", publish_spf, text(spf, {"v=spf1 include: -all"})},
      {"spf", "lets everybody send", publish_spf, text(spf, {"v=spf1 a +all"})},
      {"spf", "lets everybody send", publish_spf, text(spf, {"v=spf1 all"})},
      {"spf", "v=spf1 a", "v=spf1 a ~all", text(spf, {"v=spf1 a"})},
      {"spf", "behind all", "all as its last term", text(spf, {"v=spf1 -all a"})},
      {"spf", "more than 10 DNS lookups", "ip4:", text(spf, {"v=spf1 a a a a a mx mx mx mx mx mx -all"})},
      {"spf", "more than 10 DNS lookups", "ip4:", text(spf, {"v=spf1 include:bounces.shop.example.com -all"})},
      {"spf", "none.example has 0 v=spf1 records", publish_spf, text(spf, {"v=spf1 include:none.example -all"})},
      {"spf", "_spf.example.net lets everybody", publish_spf, text("_spf.example.net", {"v=spf1 +all"})},
      {"dmarc", "no v=DMARC1 record", publish_dmarc, [&](auto& t) { t.zone.Remove(dmarc); }},
      {"dmarc", "2 v=DMARC1 records", "take the others away", text(dmarc, {"v=DMARC1; p=none", "v=DMARC1; p=reject"})},
      {"dmarc", "not none, quarantine", publish_dmarc, text(dmarc, {"v=DMARC1; p=maybe"})},
      {"dmarc", "not none, quarantine", publish_dmarc, text(dmarc, {"v=DMARC1; rua=mailto:a@b.example"})},
      {"alignment", "MAIL FROM at bounces.example.net", "--return-path bounces.shop.example.com",
       [&](auto& t) {
         t.domain.return_path = "bounces.example.net";
         t.zone.SetTxt("bounces.example.net", {"v=spf1 a -all"});
         t.zone.SetMx("bounces.example.net", {{10, "in.example.com"}});
       }},
      {"return_path_mx", "no MX", publish_mx, [&](auto& t) { t.zone.SetMx(spf, {}); }},
      {"return_path_mx", "null MX", publish_mx, [&](auto& t) { t.zone.SetMx(spf, {{0, "."}}); }},
      {"return_path_mx", "5 other.example.com", publish_mx,
       [&](auto& t) { t.zone.SetMx(spf, {{10, "in.example.com"}, {5, "other.example.com"}}); }},
      {"return_path_mx", "no address", "publish one A or AAAA at in.example.com", [&](auto& t) { t.zone.Remove("in.example.com"); }},
      {"ptr:192.0.2.1", "no PTR", publish_ptr, [&](auto& t) { t.zone.SetPtr("192.0.2.1", {}); }},
      {"ptr:192.0.2.1", "has not the address", publish_ptr, [&](auto& t) { t.zone.SetAddresses("out.example.com", {"192.0.2.9"}); }},
      {"one_click", "http://news", "https", [&](auto& t) { t.domain.tracking_base_url = "http://news.example.com"; }},
      {"one_click", "http://127", "https", [&](auto& t) { t.domain.tracking_base_url = "http://127.0.0.1"; }},
      {"one_click", "no address", "publish one A or AAAA at news.example.com", [&](auto& t) { t.zone.Remove("news.example.com"); }},
      {"spf", "SERVFAIL", "try again", [&](auto& t) { t.zone.Break("_spf.example.net", "SERVFAIL"); }},
      {"dmarc", "SERVFAIL", "try again", [&](auto& t) { t.zone.Break(dmarc, "SERVFAIL"); }},
      {"one_click", "SERVFAIL", "try again", [&](auto& t) { t.zone.Break("news.example.com", "SERVFAIL"); }},
      {"dkim:m1r", "no answer within 10 s", "try again", [&](auto& t) { t.zone.SetLatency(key, Seconds(30)); }},
  };
  for (const Bad& bad : table) {
    struct Fresh : DomainCheckTest {
      void TestBody() override {}
    } fresh;
    bad.change(fresh);
    const std::string wrong = fresh.Wrong();
    const std::string shown = fmt::format("{} with {}, {}: {}", bad.rule, bad.found, bad.fix, wrong);
    EXPECT_TRUE(wrong.starts_with(std::string(bad.rule) + ": ")) << shown;
    EXPECT_NE(wrong.find(bad.found), std::string::npos) << shown;
    EXPECT_NE(wrong.find(bad.fix), std::string::npos) << shown;
    EXPECT_EQ(std::ranges::count(wrong, '\n'), 1) << shown;
  }
}

TEST_F(DomainCheckTest, OneAnswerThatIsLateKeepsNoOtherRuleFromItsAnswers) {
  zone.SetLatency("_dmarc.shop.example.com", Seconds(30));
  const std::string wrong = Wrong();
  EXPECT_TRUE(wrong.starts_with("dmarc: ")) << wrong;
  EXPECT_EQ(std::ranges::count(wrong, '\n'), 1) << wrong;
}

TEST_F(DomainCheckTest, WithoutSourceAddressesThereIsNoLineOfThem) {
  domain.source_addresses.clear();
  for (const RuleLine& line : Lines()) EXPECT_FALSE(line.rule.starts_with("ptr")) << line.rule;
}

}  // namespace
}  // namespace maily::api
