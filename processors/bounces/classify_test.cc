// What replies mean: given what was said, expect the class, the reason, and the rule that decided.
#include "processors/bounces/classify.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "processors/bounces/rules.h"

namespace maily::bounces {
namespace {

struct Case {
  Reply given;
  Class cls;
  Reason reason;
};

void Expect(const Case& one) {
  const Verdict verdict = Classify(one.given);
  EXPECT_EQ(verdict.cls, one.cls) << one.given.text << ": " << ClassName(verdict.cls) << " by " << verdict.rule;
  EXPECT_EQ(verdict.reason, one.reason) << one.given.text << ": " << ReasonName(verdict.reason) << " by " << verdict.rule;
}

Reply At(Command command, std::string_view text) { return {.text = text, .command = command}; }

TEST(Classify, AnAddressThatIsNotThereIsHard) {
  Expect({At(Command::kRcpt, "550 5.1.1 <ann@a.example>... User Unknown"), Class::kHard, Reason::kInvalidAddress});
  Expect({At(Command::kRcpt, "550 No such user here"), Class::kHard, Reason::kInvalidAddress});
  Expect({At(Command::kRcpt,
             "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550-5.1.1 double-checking the "
             "recipient's email address for typos"),
          Class::kHard, Reason::kInvalidAddress});
  Expect({At(Command::kUnknown, "550 5.1.2 <ann@a.example>: Bad destination system address"), Class::kHard, Reason::kBadDomain});
  Expect({At(Command::kUnknown, "556 5.1.10 a.example does not accept mail"), Class::kHard, Reason::kNoMail});
  Expect({At(Command::kRcpt, "551 5.1.6 <ann@a.example>: has moved"), Class::kHard, Reason::kMoved});
  Expect({{.code = 550, .enhanced = "5.1.1", .text = "no"}, Class::kHard, Reason::kInvalidAddress});
}

TEST(Classify, AServersOwnDirectoryIsBelievedWithoutACode) {
  Expect({{.text = "User ann (ann@a.example) not listed in Domino Directory", .diagnostic_type = "prose"},
          Class::kHard,
          Reason::kInvalidAddress});
  Expect({{.text = "User not listed in public Name & Address Book", .diagnostic_type = "prose"}, Class::kHard, Reason::kInvalidAddress});
  Expect({At(Command::kRcpt, "550 192.0.2.7 is listed in our directory of bad hosts"), Class::kSoft, Reason::kReputation});
  Expect({At(Command::kRcpt, "550 #5.1.0 Address rejected."), Class::kHard, Reason::kInvalidAddress});
}

TEST(Classify, AFullMailboxIsSoftUnderAnyCode) {
  for (const char* text : {"552 5.2.2 Mailbox full", "450 4.2.2 over quota", "550 5.1.1 <a@b.example>... mailbox is full",
                           "554 Quota exceeded", "552-5.2.2 The email account that you tried to reach is over quota"}) {
    Expect({At(Command::kRcpt, text), Class::kSoft, Reason::kMailboxFull});
  }
  Expect({{.enhanced = "5.2.2"}, Class::kSoft, Reason::kMailboxFull});
}

TEST(Classify, WhatIsWrongWithUsOrTheMailIsNeverHard) {
  Expect({At(Command::kRcpt, "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using rbl.example"), Class::kSoft,
          Reason::kReputation});
  Expect({At(Command::kData, "550 5.7.26 This mail has been blocked because the sender is unauthenticated"), Class::kSoft,
          Reason::kAuthFailure});
  Expect({At(Command::kData, "550 5.7.515 Access denied, sending domain a.example does not meet the required authentication level"),
          Class::kSoft, Reason::kAuthFailure});
  Expect({At(Command::kData, "554 5.7.1 Message rejected as spam by content filter"), Class::kSoft, Reason::kContent});
  Expect({At(Command::kMail, "501 5.1.8 Sender address rejected: Domain not found"), Class::kSoft, Reason::kSender});
  Expect({At(Command::kMail, "550 5.1.1 unknown user"), Class::kSoft, Reason::kSender});
  Expect({At(Command::kRcpt, "554 5.7.1 <a@b.example>: Relay access denied"), Class::kSoft, Reason::kRelay});
  Expect({At(Command::kData, "552 5.3.4 Message size exceeds fixed limit"), Class::kSoft, Reason::kSize});
  Expect({At(Command::kRcpt, "421 4.7.28 Our system has detected an unusual rate"), Class::kSoft, Reason::kRate});
  Expect({{.enhanced = "5.7.1"}, Class::kSoft, Reason::kPolicy});
  Expect({{.enhanced = "5.6.1"}, Class::kSoft, Reason::kContent});
}

TEST(Classify, TheClassDigitAloneProvesNothing) {
  Expect({{.code = 550}, Class::kSoft, Reason::kUndetermined});
  Expect({{.enhanced = "5.0.0"}, Class::kSoft, Reason::kUndetermined});
  Expect({{}, Class::kSoft, Reason::kUndetermined});
  Expect({{.enhanced = "5.2.1"}, Class::kSoft, Reason::kInactive});
  Expect({{.enhanced = "5.4.7"}, Class::kSoft, Reason::kExpired});
}

TEST(Classify, ATransientReplyIsNeverHard) {
  for (const char* text : {"450 4.1.1 User unknown", "451 4.1.2 host not found", "450 no such user", "421 4.4.4 no such domain"}) {
    EXPECT_EQ(Classify(At(Command::kRcpt, text)).cls, Class::kSoft) << text;
  }
}

TEST(Classify, AnUnknownUserSaidOfTheMailOrByHearsayIsDoubtful) {
  Expect({At(Command::kData, "550 Unknown user ann@a.example"), Class::kSoft, Reason::kFiltered});
  Expect({{.text = "550 unknown user", .diagnostic_type = "prose"}, Class::kSoft, Reason::kFiltered});
  Expect({{.text = "User unknown", .diagnostic_type = "smtp"}, Class::kSoft, Reason::kFiltered});
  Expect({{.text = "550 5.7.1 User unknown"}, Class::kSoft, Reason::kFiltered});
  Expect({{.text = "550 Unknown user ann@a.example", .diagnostic_type = "smtp"}, Class::kHard, Reason::kInvalidAddress});
}

TEST(Classify, WordsInsideAddressesUrlsAndHostNamesSayNothing) {
  EXPECT_EQ(
      Classify(At(Command::kRcpt, "550 5.1.1 <spam-over-quota@virus.example> at mx.spamhaus.example see https://a.example/blacklist")).cls,
      Class::kHard);
  EXPECT_EQ(Classify({.code = 554, .text = "554 <user.unknown@a.example> see https://a.example/no-such-user"}).cls, Class::kSoft);
}

TEST(Classify, AProvidersOwnWordsCountOnlyForIt) {
  const std::string_view text = "550 5.4.1 Recipient address rejected: Access denied";
  EXPECT_EQ(Classify({.text = text, .remote_mta = "a-example.mail.protection.outlook.com"}).rule, "microsoft.directory");
  EXPECT_EQ(Classify({.text = text, .remote_mta = "mx.a.example"}).cls, Class::kSoft);
}

TEST(Classify, AConceptIsTwoWordsNearEachOtherInOneSentence) {
  for (const char* text :
       {"550 user unknown", "550 Unknown is the user", "550 the mailbox <ann@a.example> was not found", "550 ann@a.example...User unknown",
        "550-Unknown user", "550 BAD_RECIPIENT", "550 the recipient doesn\xe2\x80\x99t exist"}) {
    Expect({At(Command::kRcpt, text), Class::kHard, Reason::kInvalidAddress});
  }
  for (const char* text : {"550 the user was asked. Unknown error", "550 users; not found",
                           "550 the user said that he would rather not have this mail and the reason is unknown", "550 userunknown"}) {
    EXPECT_EQ(Classify(At(Command::kRcpt, text)).cls, Class::kSoft) << text;
  }
}

TEST(Classify, TheServersOwnCodeAndWordsOutweighWordsOfMails) {
  Expect({At(Command::kUnknown, "550 5.1.1 Message rejected: no such user"), Class::kHard, Reason::kInvalidAddress});
  Expect({At(Command::kRcpt, "550 Message not accepted: mailbox not found"), Class::kHard, Reason::kInvalidAddress});
  // The client made 5.1.1 of a 550.
  Expect({{.status = "5.1.1", .text = "550 Message rejected by policy", .command = Command::kRcpt}, Class::kSoft, Reason::kPolicy});
  // A gateway's name for any refusal that it quotes.
  EXPECT_EQ(Classify({.text = "5.1.0 - Unknown address error 550-'5.7.1 <ann@a.example>... Access denied'"}).cls, Class::kSoft);
  Expect({{.text = "5.1.0 - Unknown address error 550-'No such user'"}, Class::kHard, Reason::kInvalidAddress});
}

TEST(Classify, AStateThatMayPassIsSoftUnderAnyCode) {
  for (const char* text : {"550 5.1.1 account suspended", "550 mailbox temporarily unavailable", "551 this is a deactivated mailbox",
                           "550 5.1.1 the user's mailbox is locked", "550 5.2.1 recipient disabled"}) {
    Expect({At(Command::kRcpt, text), Class::kSoft, Reason::kInactive});
  }
}

TEST(Classify, AFaultOfOursThatNamesAddressesAndDomainsIsNeverHard) {
  for (const char* text :
       {"550 5.7.1 <ann@a.example>: Recipient address rejected: invalid sender domain", "550 Mail from invalid domain",
        "550 Invalid address in From: address", "550 Too many invalid recipients", "501 5.5.4 Invalid domain name",
        "550 Recipient unavailable: your IP address is blacklisted", "550 Client host rejected: unknown host",
        "550 5.7.1 user unknown or blocked by policy; you are listed at rbl.example", "554 5.7.1 invalid DKIM signature of the address",
        "550 5.5.4 <ann@a.example>: Recipient address rejected: Invalid command arguments",
        "550 5.6.0 <ann@a.example>: Recipient address rejected: invalid media", "550 Unrecognized sender address",
        "550 relaying denied: unknown domain"}) {
    EXPECT_EQ(Classify(At(Command::kRcpt, text)).cls, Class::kSoft) << text << ": " << Classify(At(Command::kRcpt, text)).rule;
  }
}

TEST(Classify, DeliveredIsSaidByCodesOfTwo) {
  Expect({{.text = "250 2.1.5 OK"}, Class::kDelivered, Reason::kNone});
  Expect({{.enhanced = "2.0.0"}, Class::kDelivered, Reason::kNone});
  EXPECT_EQ(Classify({.text = "220-mx 421 4.2.1 try later"}).cls, Class::kSoft);
}

TEST(Classify, CodesAreFoundInText) {
  EXPECT_EQ(FindBasicCode("host mx[192.0.2.250] said: 550-5.1.1 no"), 550);
  EXPECT_EQ(FindBasicCode("at 10:25 we counted 1550 of 5500 in 192.168.250.1"), 0);
  EXPECT_EQ(FindBasicCode(""), 0);
  EXPECT_EQ(FindEnhancedCode("550 (#5.1.1) bad"), "5.1.1");
  EXPECT_EQ(FindEnhancedCode("550 5.0.0 then 5.7.26"), "5.7.26");
  EXPECT_EQ(FindEnhancedCode("from 5.1.1.2 or 4.5.6789 or 15.1.1"), "");
  EXPECT_EQ(FindEnhancedCode("2.1.0 Ok, then 4.3.0 failed"), "4.3.0");
}

TEST(Classify, AnyBytesGiveAnAnswer) {
  std::string all;
  for (int i = 0; i < 100'000; ++i) all.push_back(static_cast<char>(i * 31 % 256));
  EXPECT_EQ(Classify({.text = all}).cls, Class::kSoft);
  EXPECT_EQ(Classify({.enhanced = "5", .text = std::string(50'000, '5')}).cls, Class::kSoft);
  EXPECT_EQ(Classify({.enhanced = "x.y.z", .text = "5.1."}).cls, Class::kSoft);
}

TEST(Rules, IdsAreUniqueAndTheLastOneAlwaysFits) {
  std::set<std::string_view> ids;
  for (const Rule& rule : Rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    EXPECT_EQ(rule.subjects.empty(), rule.predicates.empty()) << rule.id;
    for (const std::string_view words : {rule.phrases, rule.subjects, rule.predicates}) {
      EXPECT_EQ(std::string(words).find("||"), std::string::npos) << rule.id;
      EXPECT_FALSE(words.ends_with('|') || words.starts_with('|')) << rule.id;
      for (const char c : words) EXPECT_FALSE(c >= 'A' && c <= 'Z') << rule.id << ": words are in lower case";
    }
  }
  EXPECT_EQ(Rules().back().id, "none");
}

}  // namespace
}  // namespace maily::bounces
