// What real servers answer: replies of mail servers and providers as their sources, manuals and postmaster pages give them, and what each
// says of an address. Names, addresses and ids are replaced; the words are theirs.
#include <gtest/gtest.h>

#include "processors/bounces/classify.h"

namespace maily::bounces {
namespace {

constexpr Class kHard = Class::kHard;
constexpr Class kSoft = Class::kSoft;
using enum Reason;
using enum Command;

struct Answer {
  const char* text;
  Class cls;
  Reason reason;
  Command at = kRcpt;
};

template <size_t kCount>
void ExpectAll(const Answer (&answers)[kCount], const char* remote_mta = "") {
  for (const Answer& one : answers) {
    const Verdict verdict = Classify({.text = one.text, .remote_mta = remote_mta, .command = one.at});
    EXPECT_EQ(ClassName(verdict.cls), std::string(ClassName(one.cls))) << one.text << ": by " << verdict.rule;
    EXPECT_EQ(ReasonName(verdict.reason), std::string(ReasonName(one.reason))) << one.text << ": by " << verdict.rule;
  }
}

// RFC 5321 §4.2.3, RFC 3463 §3, RFC 7504, RFC 7505.
TEST(Replies, OfTheStandards) {
  ExpectAll({
      {"550 Requested action not taken: mailbox unavailable", kHard, kInvalidAddress},
      {"550 5.1.1 Bad destination mailbox address", kHard, kInvalidAddress},
      {"550 5.1.2 Bad destination system address", kHard, kBadDomain},
      {"501 5.1.3 Bad destination mailbox address syntax", kHard, kInvalidAddress},
      {"551 5.1.6 Destination mailbox has moved, No forwarding address", kHard, kMoved},
      {"551 User not local; please try <bob@b.example>", kHard, kInvalidAddress},
      {"553 Requested action not taken: mailbox name not allowed", kHard, kInvalidAddress},
      {"556 5.1.10 Recipient address has null MX", kHard, kNoMail},
      {"550 5.7.27 Sender address has null MX", kSoft, kSender, kMail},
      {"521 mail.example does not accept mail", kHard, kNoMail},
      {"552 Requested mail action aborted: exceeded storage allocation", kSoft, kMailboxFull},
      {"452 Requested action not taken: insufficient system storage", kSoft, kSystem},
      {"450 Requested mail action not taken: mailbox unavailable", kSoft, kFiltered},
      {"451 Requested action aborted: local error in processing", kSoft, kSystem, kData},
      {"554 Transaction failed", kSoft, kUndetermined, kData},
      {"554 No SMTP service here", kSoft, kSender, kConnect},
      {"550 5.2.1 Mailbox disabled, not accepting messages", kSoft, kInactive},
      {"550 5.2.3 Message length exceeds administrative limit", kSoft, kSize},
      {"553 5.1.8 Bad sender's system address", kSoft, kSender, kMail},
      {"503 5.5.1 Bad sequence of commands", kSoft, kProtocol},
      {"450 4.4.7 Delivery time expired", kSoft, kExpired, kUnknown},
      {"500 Syntax error, command unrecognized", kSoft, kProtocol},
      {"535 5.7.8 Authentication credentials invalid", kSoft, kSender, kMail},
  });
}

// smtpd.c, smtpd_check.c and smtp_addr.c of Postfix.
TEST(Replies, OfPostfix) {
  ExpectAll({
      {"550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown in local recipient table", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown in virtual alias table", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown in virtual mailbox table", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown in relay recipient table", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@a.example>: Recipient address rejected: undeliverable address: unknown user: \"ann\"", kHard, kInvalidAddress},
      {"550 <ann@a.example>: Recipient address rejected: User unknown in local recipient table", kHard, kInvalidAddress},
      {"550 5.1.0 <ann@a.example>: Recipient address rejected: User unknown in local recipient table", kHard, kInvalidAddress},
      {"450 4.1.1 <ann@a.example>: Recipient address rejected: unverified address: Address verification in progress", kSoft, kSender},
      {"450 4.2.0 <ann@a.example>: Recipient address rejected: Greylisted, see http://postgrey.example/help/a.html", kSoft, kRate},
      {"554 5.7.1 <ann@a.example>: Relay access denied", kSoft, kRelay},
      {"554 5.7.1 <ann@a.example>: Recipient address rejected: Access denied", kHard, kInvalidAddress},
      {"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.rbl.example", kSoft, kReputation},
      {"550 5.7.1 Service unavailable; Sender address [me@s.example] blocked using dbl.rbl.example", kSoft, kReputation},
      {"550 5.1.8 <me@s.example>: Sender address rejected: Domain not found", kSoft, kSender},
      {"550 5.1.0 <me@s.example>: Sender address rejected: User unknown in virtual mailbox table", kSoft, kSender},
      {"550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", kSoft, kReputation},
      {"504 5.5.2 <mta>: Helo command rejected: need fully-qualified hostname", kSoft, kReputation},
      {"552 5.3.4 Message size exceeds fixed limit", kSoft, kSize, kMail},
      {"452 4.5.3 Error: too many recipients", kSoft, kRate},
      {"550 5.7.1 Message rejected by content filter", kSoft, kContent, kData},
      {"Host or domain name not found. Name service error for name=a.example type=A: Host not found", kHard, kBadDomain, kUnknown},
      {"Host or domain name not found. Name service error for name=a.example type=MX: Host not found, try again", kSoft, kRouting,
       kUnknown},
      {"connect to mx.a.example[192.0.2.1]:25: Connection refused", kSoft, kRouting, kUnknown},
      {"connect to mx.a.example[192.0.2.1]:25: Connection timed out", kSoft, kRouting, kUnknown},
      {"unknown user: \"ann\"", kSoft, kFiltered, kUnknown},
      {"5.1.1 unknown user: \"ann\"", kHard, kInvalidAddress, kUnknown},
      {"5.4.6 mail for a.example loops back to myself", kSoft, kRouting, kUnknown},
      {"5.1.0 Domain a.example does not accept mail (nullMX)", kHard, kNoMail, kUnknown},
      {"5.2.2 maildir delivery failed: create maildir file /home/ann: Disk quota exceeded", kSoft, kMailboxFull, kUnknown},
  });
}

// Exim: the routers and access lists of its specification and default configuration.
TEST(Replies, OfExim) {
  ExpectAll({
      {"550 Unrouteable address", kHard, kInvalidAddress},
      {"550 unknown user", kHard, kInvalidAddress},
      {"550 No such user here", kHard, kInvalidAddress},
      {"550-No Such User Here\r\n550 Sender verify OK", kHard, kInvalidAddress},
      {"550 Unknown user", kHard, kInvalidAddress},
      {"550 relay not permitted", kSoft, kRelay},
      {"550 Sender verify failed", kSoft, kSender},
      {"550-Verification failed for <me@s.example>\r\n550-The mail server could not deliver mail to me@s.example. The account or domain "
       "may "
       "not exist\r\n550 Sender verify failed",
       kSoft, kSender},
      {"550-Callback setup failed while verifying <me@s.example>\r\n550 Sender verify failed", kSoft, kSender},
      {"550 Administrative prohibition", kSoft, kReputation},
      {"550 This message contains malware (Eicar)", kSoft, kContent, kData},
      {"552 Message size exceeds maximum permitted", kSoft, kSize, kMail},
      {"an MX or SRV record indicated no SMTP service", kHard, kNoMail, kUnknown},
      {"all relevant MX records point to non-existent hosts", kHard, kBadDomain, kUnknown},
      {"retry timeout exceeded", kSoft, kExpired, kUnknown},
      {"Too many \"Received\" headers - suspected mail loop", kSoft, kRouting, kData},
      {"lowest numbered MX record points to local host", kSoft, kRouting, kUnknown},
      {"550 The mail server detected your message as spam and has prevented delivery.", kSoft, kContent, kData},
      {"550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", kSoft, kReputation, kHello},
  });
}

// err.c, deliver.c, parseaddr.c and cf.m4 of sendmail.
TEST(Replies, OfSendmail) {
  ExpectAll({
      {"550 5.1.1 <ann@a.example>... User unknown", kHard, kInvalidAddress},
      {"553 5.1.3 <ann@a@b.example>... Invalid route address", kHard, kInvalidAddress},
      {"550 5.1.2 <ann@a.example>... Host unknown (Name server: a.example: host not found)", kHard, kBadDomain},
      {"501 5.1.8 Domain of sender address me@s.example does not exist", kSoft, kSender, kMail},
      {"553 5.1.8 <me@s.example>... Domain of sender address me@s.example does not exist", kSoft, kSender},
      {"550 5.7.1 <ann@a.example>... Relaying denied. IP name lookup failed [192.0.2.1]", kSoft, kRelay},
      {"550 5.7.1 Access denied", kSoft, kSystem},
      {"553 5.3.5 system config error", kSoft, kSystem},
      {"554 5.3.5 Local configuration error", kSoft, kSystem},
      {"554 5.4.6 Too many hops 27 (25 max)", kSoft, kRouting, kData},
      {"550 5.2.1 <ann@a.example>... Mailbox disabled for this recipient", kSoft, kInactive},
      {"451 4.1.8 Domain of sender address me@s.example does not resolve", kSoft, kSender, kMail},
      {"452 4.4.5 Insufficient disk space; try again later", kSoft, kSender, kMail},
      {"550 5.1.1 User unknown", kHard, kInvalidAddress, kData},
      {"550 <ann@a.example>... User unknown", kSoft, kFiltered, kData},
      {"550 ann@a.example...User unknown", kHard, kInvalidAddress},
  });
}

// qmail-send, qmail-remote, qmail-local, qmail-smtpd, vpopmail and netqmail.
TEST(Replies, OfQmail) {
  ExpectAll({
      {"Sorry, no mailbox here by that name. (#5.1.1)", kHard, kInvalidAddress, kUnknown},
      {"Sorry, I couldn't find any host named a.example. (#5.1.2)", kHard, kBadDomain, kUnknown},
      {"Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)", kHard, kNoMail, kUnknown},
      {"Sorry. Although I'm listed as a best-preference MX or A for that host, it isn't in my control/locals file, so I don't treat it as "
       "local. (#5.4.6)",
       kSoft, kRouting, kUnknown},
      {"This message is looping: it already has my Delivered-To line. (#5.4.6)", kSoft, kRouting, kUnknown},
      {"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", kSoft, kRelay},
      {"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)", kSoft, kSender},
      {"550 sorry, no mailbox here by that name (#5.1.1 - chkusr)", kHard, kInvalidAddress},
      {"552 sorry, that message size exceeds my databytes limit (#5.3.4)", kSoft, kSize, kData},
      {"511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", kHard, kInvalidAddress},
      {"user is over quota", kSoft, kMailboxFull, kUnknown},
      {"550 sorry, mailbox ann@a.example is disabled (#5.2.1)", kSoft, kInactive},
      {"554 mail server permanently rejected message (#5.3.0)", kSoft, kContent, kData},
  });
}

// Microsoft: the codes of non-delivery reports of Exchange and Exchange Online; postmaster.live.com.
TEST(Replies, OfMicrosoft) {
  ExpectAll(
      {
          {"550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", kHard, kInvalidAddress, kUnknown},
          {"550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found", kHard, kInvalidAddress, kUnknown},
          {"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ann@a.example not found by SMTP address lookup", kHard, kInvalidAddress,
           kUnknown},
          {"550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 No such user", kHard, kInvalidAddress,
           kUnknown},
          {"550 5.4.1 [ann@a.example]: Recipient address rejected: Access denied. AS(201806281) "
           "[DB5EUR01FT031.eop-EUR01.prod.protection.outlook.com]",
           kHard, kInvalidAddress},
          {"550 5.4.310 DNS domain a.example does not exist [Message=InfoDomainNonexistent]", kHard, kBadDomain, kUnknown},
          {"550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", kHard, kInvalidAddress},
          {"550 5.1.1 User unknown", kHard, kInvalidAddress},
          {"550 5.2.2 STOREDRV.Deliver; mailbox full", kSoft, kMailboxFull, kUnknown},
          {"554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", kSoft,
           kMailboxFull, kUnknown},
          {"550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient", kSoft, kSize, kUnknown},
          {"550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized", kSoft, kPolicy, kUnknown},
          {"550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", kSoft, kPolicy, kUnknown},
          {"550 5.7.124 RESOLVER.RST.SenderNotInAllowedSendersList; sender not in group's allowed-senders list", kSoft, kSender, kUnknown},
          {"550 5.4.14 Hop count exceeded - possible mail loop ATTR34", kSoft, kRouting, kUnknown},
          {"554 5.4.6 Hop count exceeded - possible mail loop", kSoft, kRouting, kUnknown},
          {"550 4.4.7 QUEUE.Expired; message expired", kSoft, kExpired, kUnknown},
          {"550 5.4.300 Message expired -> 421 4.4.1 Connection timed out", kSoft, kExpired, kUnknown},
          {"550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit "
           "https://sender.office.com/",
           kSoft, kReputation},
          {"550 5.7.511 Access denied, banned sender[192.0.2.1]. To request removal from this list please forward this message", kSoft,
           kReputation},
          {"550 5.7.64 TenantAttribution; Relay Access Denied", kSoft, kRelay},
          {"550 5.7.501 Service unavailable. Spam abuse detected from IP range", kSoft, kContent},
          {"550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of "
           "their network is on our block list (S3150).",
           kSoft, kReputation, kMail},
          {"550 5.7.509 Access denied, sending domain s.example does not pass DMARC verification and has a DMARC policy of reject.", kSoft,
           kAuthFailure, kData},
          {"550 5.7.515 Access denied, sending domain s.example does not meet the required authentication level", kSoft, kAuthFailure,
           kData},
          {"451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", kSoft, kSender, kMail},
          {"550 5.1.8 Access denied, bad outbound sender AS(42004)", kSoft, kSender, kMail},
          {"550 5.0.350 Remote server returned an error -> 550 Message was considered spam", kSoft, kContent, kUnknown},
          {"550 SC-001 Mail rejected by Outlook.com for policy reasons. Reasons for rejection may be related to content", kSoft, kSender,
           kMail},
      },
      "a-example.mail.protection.outlook.com");
}

// support.google.com/a/answer/3726730.
TEST(Replies, OfGoogle) {
  ExpectAll({
      {"550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550-5.1.1 double-checking the recipient's email "
       "address for typos or\r\n550-5.1.1 unnecessary spaces. For more information, go to\r\n550 5.1.1  "
       "https://support.google.com/mail/?p=NoSuchUser - gsmtp",
       kHard, kInvalidAddress},
      {"550-5.2.1 The email account that you tried to reach is inactive. For more\r\n550 5.2.1 information, go to "
       "https://support.google.com/mail/?p=DisabledUser",
       kSoft, kInactive},
      {"550 5.2.1 The email account that you tried to reach is disabled. - gsmtp", kSoft, kInactive},
      {"450 4.2.1 The user you are trying to contact is receiving mail too quickly.", kSoft, kRate},
      {"450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.",
       kSoft, kRate},
      {"550-5.2.1 The user you are trying to contact is receiving mail at a rate that\r\n550 5.2.1 prevents additional messages from being "
       "delivered.",
       kSoft, kRate},
      {"452-4.2.2 The recipient's inbox is out of storage space. Please direct the\r\n452 4.2.2 recipient to "
       "https://support.google.com/mail/?p=OverQuotaTemp",
       kSoft, kMailboxFull},
      {"552-5.2.2 The email account that you tried to reach is over quota and inactive. For more", kSoft, kMailboxFull},
      {"553-5.1.2 We weren't able to find the recipient domain. Please check for any spelling errors", kHard, kBadDomain},
      {"553-5.1.3 The recipient address <ann@a@b> is not a valid RFC 5321 address.", kHard, kInvalidAddress},
      {"550-5.7.26 This mail has been blocked because the sender is unauthenticated.", kSoft, kAuthFailure, kData},
      {"550-5.7.1 Our system has detected that this message is likely unsolicited mail.", kSoft, kReputation, kData},
      {"421-4.7.28 Our system has detected an unusual rate of unsolicited mail", kSoft, kReputation, kData},
      {"550-5.7.25 The IP address sending this message does not have a PTR record", kSoft, kReputation, kData},
      {"552-5.7.0 This message was blocked because its content presents a potential security issue.", kSoft, kReputation, kData},
      {"550 5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent.", kSoft,
       kPolicy, kData},
      {"552 5.2.3 Your message exceeded Google's message size limits.", kSoft, kSize, kData},
      {"421 4.7.0 Try again later, closing connection.", kSoft, kSender, kHello},
      {"550 5.4.6 Message exceeded the maximum number of hops", kSoft, kRouting, kData},
      {"550-5.7.1 Email quota exceeded.", kSoft, kMailboxFull, kData},
  });
}

// senders.yahooinc.com/smtp-error-codes, postmaster.aol.com/error-codes.
TEST(Replies, OfYahooAndAol) {
  ExpectAll({
      {"554 delivery error: dd This user doesn't have a yahoo.com account (ann@yahoo.example) [0] - mta1.mail.example", kHard,
       kInvalidAddress},
      {"552 1 Requested mail action aborted, mailbox not found", kHard, kInvalidAddress},
      {"554 30 Sorry, your message to ann@a.example cannot be delivered. This mailbox is disabled (554.30).", kSoft, kInactive, kData},
      {"554 delivery error: dd Sorry your message to ann@a.example cannot be delivered. This account has been disabled or discontinued "
       "[#102].",
       kSoft, kInactive, kData},
      {"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", kSoft, kReputation,
       kMail},
      {"553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", kSoft, kReputation,
       kConnect},
      {"554 5.7.9 Message not accepted for policy reasons. See https://senders.yahooinc.com/error-codes", kSoft, kPolicy, kData},
      {"550 5.1.1 <ann@aol.example>: Recipient address rejected: aol.example", kHard, kInvalidAddress},
      {"550 MAILBOX NOT FOUND", kHard, kInvalidAddress},
      {"521 5.2.1 :  (CON:B1)  https://postmaster.aol.example/error-codes#554conb1", kSoft, kSender, kConnect},
      {"550 5.7.9 (DMARC:DR) This message failed DMARC evaluation", kSoft, kAuthFailure, kData},
      {"451 Resources temporarily unavailable. Please try again later [#4.16.1].", kSoft, kSystem, kData},
      {"550 5.2.2 <ann@aol.example>: Recipient address rejected: user's mailbox is over quota", kSoft, kMailboxFull},
      {"421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred", kSoft, kSender, kConnect},
  });
}

// Postmaster pages of Apple, AT&T, Comcast, Cox, Charter, Facebook.
TEST(Replies, OfAmericanProviders) {
  ExpectAll({
      {"550 5.1.1 unknown or illegal alias: ann@me.example", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@icloud.example>: inactive email address", kHard, kInvalidAddress},
      {"550 5.1.6 recipient no longer on server: ann@me.example", kHard, kMoved},
      {"552 5.2.2 <ann@icloud.example>: user is over quota", kSoft, kMailboxFull},
      {"554 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137", kSoft, kPolicy,
       kData},
      {"554 5.7.1 [HME1] This message was blocked for reputation", kSoft, kReputation, kData},
      {"551 not our customer", kHard, kMoved},
      {"550 5.1.1 Not our Customer", kHard, kMoved},
      {"554 resimta-po-01v.sys.example 192.0.2.1 found on one or more DNSBLs, see http://postmaster.example/smtp-error-codes.php#BL000010",
       kSoft, kReputation, kConnect},
      {"421 Try again later - Too many sessions opened", kSoft, kRate, kConnect},
      {"550 5.2.1 <ann@prodigy.example>... Addressee unknown, relay=[192.0.2.1]", kHard, kInvalidAddress},
      {"550 5.2.1 <ann@prodigy.example>... blank mailhost - invalid address, relay=[192.0.2.1]", kHard, kInvalidAddress},
      {"550 5.7.1 Connections not accepted from servers without a valid sender domain.flph Fix reverse DNS for 192.0.2.1", kSoft,
       kReputation},
      {"553 5.3.0 flpd594 DNSBL:RBL 521< 192.0.2.1 >_is_blocked.For assistance forward this email to abuse@example", kSoft, kReputation},
      {"550 5.1.1 <ann@cox.example> recipient rejected", kHard, kInvalidAddress},
      {"554 cox cmsmtp 192.0.2.1 blocked. Error Code: CXBL", kSoft, kReputation, kConnect},
      {"550 5.1.1 Invalid recipient: <ann@charter.example> E3210", kHard, kInvalidAddress},
      {"550 5.1.0 <me@s.example> sender rejected : invalid sender domain AUP#In-1310", kSoft, kSender},
      {"550 5.1.1 RCP-P1 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#rcp", kHard, kInvalidAddress},
      {"550 5.1.1 RCP-P2 http://postmaster.facebook.com/response_codes?ip=192.0.2.1#rcp", kSoft, kFiltered},
      {"552 5.3.4 MSG-P1 http://postmaster.facebook.com/response_codes#msg The message exceeds the maximum allowed size", kSoft, kSize,
       kData},
      {"550 Mailbox unavailable or access denied - <ann@cox.example>", kHard, kInvalidAddress},
      {"550 5.1.1 <ann@a.example> recipient rejected. IB603", kHard, kInvalidAddress},
      {"550 Recipient not found. <http://x.co/irbounce>", kHard, kInvalidAddress},
      {"552 5.2.0 Account storage limit for ann@a.example", kSoft, kMailboxFull},
      {"550 5.1.1 <ann@a.example> account does not exist", kHard, kInvalidAddress},
      {"554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.", kSoft, kReputation, kConnect},
  });
}

// Postmaster pages of GMX and Web.de, 1&1, T-Online, Orange, La Poste, Free, i.ua, Mail.ru, Yandex.
TEST(Replies, OfEuropeanProviders) {
  ExpectAll({
      {"550 Requested action not taken: mailbox unavailable\r\n550 For explanation visit https://postmaster.gmx.example/error", kHard,
       kInvalidAddress},
      {"552-Requested mail action aborted: exceeded storage allocation\r\n552 Quota exceeded. The recipients mailbox is full.", kSoft,
       kMailboxFull},
      {"554-Transaction failed\r\n554-Reject due to policy restrictions.", kSoft, kPolicy, kData},
      {"554-gmx.example Nemesis ESMTP Service not available\r\n554-No SMTP service\r\n554 Bad DNS PTR resource record.", kSoft, kReputation,
       kConnect},
      {"550 user unknown / Teilnehmer existiert nicht", kHard, kInvalidAddress},
      {"554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@rx.example to clarify.) (BL)", kSoft,
       kSender, kConnect},
      {"550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", kHard, kInvalidAddress, kData},
      {"550 5.5.0 Le compte du destinataire est bloque. The recipient account isblocked. OFR_426", kSoft, kInactive},
      {"550 5.2.0 Mail rejete. Mail rejected. ofr_506 [506]", kSoft, kContent, kData},
      {"552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]", kSoft, kMailboxFull},
      {"421 4.3.2 Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR005_104", kSoft, kRate,
       kUnknown},
      {"550 Mailbox is frozen. See http://mail.i.ua/err/3/", kSoft, kInactive},
      {"550 Mail rejected by spam filter of the account", kSoft, kContent, kData},
      {"550 Message was not accepted -- invalid mailbox.  Local mailbox ann@mail.example is unavailable: user not found", kHard,
       kInvalidAddress},
      {"550 Message was not accepted -- invalid mailbox.  Local mailbox ann@mail.example is unavailable: account is disabled", kSoft,
       kInactive},
      {"550 spam message rejected. Please visit http://help.mail.example/notspam-support/id", kSoft, kContent, kData},
      {"550 5.7.1 No such user!", kHard, kInvalidAddress},
      {"554 5.7.1 Policy rejection on the target address", kSoft, kPolicy},
      {"550 5.2.1 ann@hot.example is expired account", kSoft, kInactive},
      {"554 5.2.1 <ann@mail.example> Inactive user", kSoft, kInactive},
      {"550 5.2.1 Mailbox not available / Konto niedostepne", kHard, kInvalidAddress},
      {"501 5.1.3 Odbiorca <ann@a.example> nie istnieje / Recipient <ann@a.example> does not exist", kHard, kInvalidAddress},
      {"550 Utente sconosciuto", kHard, kInvalidAddress},
      {"550 El usuario no existe", kHard, kInvalidAddress},
      {"550 Benutzer unbekannt", kHard, kInvalidAddress},
      {"550 Le destinataire n'existe pas", kHard, kInvalidAddress},
  });
}

// help pages of QQ, Exmail, 163, Sina, Docomo, au, SoftBank, Biglobe.
TEST(Replies, OfAsianProviders) {
  ExpectAll({
      {"550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1000728", kHard, kInvalidAddress},
      {"550 Mail is rejected by recipients", kSoft, kContent, kData},
      {"550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1000726", kSoft, kContent, kData},
      {"550 Sender frequency limited", kSoft, kRate},
      {"550 Connection frequency limited", kSoft, kRate},
      {"550 Domain frequency limited [192.0.2.1]", kSoft, kRate},
      {"550 Suspected spam sender", kSoft, kContent},
      {"550 DMARC check failed", kSoft, kAuthFailure, kData},
      {"501 Bad address syntax. http://service.exmail.qq.com/cgi-bin/help", kSoft, kProtocol},
      {"550 User not found: ann@163.example", kHard, kInvalidAddress},
      {"550 Local User [ann@163.example] not found.", kHard, kInvalidAddress},
      {"550 User suspended: ann@163.example", kSoft, kInactive},
      {"550 user is locked", kSoft, kInactive},
      {"550 RC:NE The email account does not exist.", kHard, kInvalidAddress},
      {"550 #2175041 unavailable mail user", kHard, kInvalidAddress},
      {"554 DT:SPM mx1,AAAA please see http://mail.163.example/help/help_spam_16.htm", kSoft, kUndetermined, kData},
      {"552 too many same size mails", kSoft, kRate, kData},
      {"550 Unknown user ann@docomo.example", kHard, kInvalidAddress},
      {"550 Unknown user ann@docomo.example", kSoft, kFiltered, kData},
      {"550 <ann@ezweb.example>: User unknown", kHard, kInvalidAddress},
      {"550 : User unknown", kSoft, kFiltered, kData},
      {"550 Invalid recipient: <ann@softbank.example>", kHard, kInvalidAddress},
  });
}

// Gateways and hosted filters: Proofpoint, Mimecast, Barracuda, Cisco, Symantec (MessageLabs), Trend Micro, Spambrella, Cloudmark.
TEST(Replies, OfGateways) {
  ExpectAll({
      {"550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550", kHard, kInvalidAddress},
      {"550 Rejected by header based manually Blocked Senders: block - https://community.mimecast.com/docs/DOC-1369#550", kSoft, kSender,
       kData},
      {"550 csi.mimecast.org Poor Reputation Sender. - https://community.mimecast.com/docs/DOC-1369#550", kSoft, kReputation},
      {"550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550", kSoft, kReputation},
      {"554 Email rejected due to security policies - MCSpamSignature.x.x", kSoft, kPolicy, kData},
      {"451 Internal resource temporarily unavailable", kSoft, kSystem},
      {"550 #5.1.0 Address rejected.", kHard, kInvalidAddress},
      {"550 #5.7.1 Your access to submit messages to this e-mail system has been rejected.", kSoft, kReputation},
      {"550 cuda_nsu 5.1.1 <ann@a.example> Recipient address rejected: User unknown", kHard, kInvalidAddress},
      {"550 No such user (ann@a.example)", kHard, kInvalidAddress},
      {"550 permanent failure for one or more recipients (ann@a.example:blocked)", kSoft, kUndetermined, kData},
      {"550 rejecting spoofed message", kSoft, kContent, kData},
      {"550 5.7.1 : Recipient address rejected: User email address is marked as invalid.", kHard, kInvalidAddress},
      {"550-Invalid recipient ann@a.example\r\n550 (#5.1.1)", kHard, kInvalidAddress},
      {"550 Invalid recipient <ann@a.example> (#5.1.1)", kHard, kInvalidAddress},
      {"553-you are trying to use me [server.example] as a relay, but I have not been configured to let you do this. (#5.7.1)", kSoft,
       kRelay},
      {"553-SPF (Sender Policy Framework) domain authentication\r\n553 fail. Refer to the Troubleshooting page (#5.7.1)", kSoft,
       kAuthFailure},
      {"501 Connection rejected by policy [7.7] 38911, please visit www.example/mailer", kSoft, kPolicy},
      {"550 5.1.1 User unknown - psmtp", kHard, kInvalidAddress},
      {"501 Spam Blocked - psmtp", kSoft, kContent},
      {"554 5.7.1 The file attached to this mail is not allowed", kSoft, kContent, kData},
      {"550 5.7.1 Mail appears to be unsolicited - REPLY WITH SUBJECT and content", kSoft, kReputation, kData},
      {"450 4.7.1 <ann@a.example>: Recipient address rejected: Service unavailable, try again later", kSoft, kFiltered},
      {"550 5.7.0 Local Policy Violation", kSoft, kPolicy, kData},
  });
}

// Replies that senders published, of servers large and small.
TEST(Replies, ThatSendersPublished) {
  ExpectAll({
      {"552 5.2.2 Over quota", kSoft, kMailboxFull},
      {"552 Requested mailbox exceeds quota.", kSoft, kMailboxFull},
      {"552 recipient storage full, try again later", kSoft, kMailboxFull},
      {"551 bounce as<the destination mailbox <ann@a.example> is full> queue as 100.1.ZmxEL.720k.1140313037.ann@a.example", kSoft,
       kMailboxFull, kData},
      {"552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full. Create a shorter message body",
       kSoft, kMailboxFull, kData},
      {"450 user path no exist", kSoft, kFiltered},
      {"554 qq Sorry, no valid recipients (#5.1.3)", kHard, kInvalidAddress},
      {"550 - invalid address (#5.5.0)", kHard, kInvalidAddress},
      {"550 <ann@a.example>: Invalid User", kHard, kInvalidAddress},
      {"550 5.7.1 Requested action not taken: mailbox not available", kHard, kInvalidAddress},
      {"553 sorry, no mailbox here by that name (#5.7.1)", kHard, kInvalidAddress},
      {"550 User (ann@a.example) unknown.", kHard, kInvalidAddress},
      {"553 5.3.0 <ann@a.example>... Addressee unknown, relay=[192.0.2.1]", kHard, kInvalidAddress},
      {"550 user disabled", kSoft, kInactive},
      {"452 4.2.1 mailbox temporarily disabled: ann@a.example", kSoft, kInactive},
      {"550 <ann@a.example>: Recipient address rejected: No such user (ann@a.example)", kHard, kInvalidAddress},
      {"550 Mailbox ( ann@a.example ) not found or inactivated", kHard, kInvalidAddress},
      {"550 <ann@a.example> recipient rejected", kHard, kInvalidAddress},
      {"550 <ann> is now disabled with MTA service.", kSoft, kUndetermined},
      {"5.1.0 - Unknown address error 540-'Error: Wrong recipients' (delivery attempts: 0)", kHard, kInvalidAddress},
      {"501 #5.1.1 bad address ann@a.example", kHard, kInvalidAddress},
      {"550 Command RCPT User <ann@a.example> not OK", kHard, kInvalidAddress},
      {"550 5.7.1 Access-Denied-XM.SSR-001", kSoft, kPolicy},
      {"550 5.1.1 <ann@a.example>... email address lookup in domain map failed", kHard, kInvalidAddress},
      {"550-\"The recipient cannot be verified.  Please check all recipients of this message", kHard, kInvalidAddress},
      {"550 ann@a.example:user not exist", kHard, kInvalidAddress},
      {"550 sorry, that recipient doesn't exist (#5.7.1)", kHard, kInvalidAddress},
      {"550-I'm sorry but ann@a.example does not have an account here. I will not accept", kHard, kInvalidAddress},
      {"550 This account is not allowed...ann@a.example", kSoft, kUndetermined},
      {"550 <ann@a.example>: inactive user", kSoft, kInactive},
      {"550 ann@a.example Account Inactive", kSoft, kInactive},
      {"550 <ann@a.example>: Recipient address rejected: Account closed due to inactivity. No forwarding information is available.", kSoft,
       kInactive},
      {"550 <ann@a.example>... User account not activated", kSoft, kInactive},
      {"550 User suspended", kSoft, kInactive},
      {"550 account expired", kSoft, kInactive},
      {"553 5.3.0 <ann@a.example>... Recipient address no longer exists", kHard, kInvalidAddress},
      {"553 VS10-RT Possible forgery or deactivated due to abuse (#5.1.1) 192.0.2.1", kHard, kInvalidAddress},
      {"553 mailbox ann@a.example is restricted", kSoft, kPolicy},
      {"550 <ann@a.example>: User status is locked.", kSoft, kInactive},
      {"553 User refused to receive this mail.", kSoft, kUndetermined},
      {"501 ann@a.example Sender email is not in my domain", kSoft, kSender},
      {"554 Message refused", kSoft, kContent, kData},
      {"550 5.0.0 <ann@a.example>... No permit", kSoft, kUndetermined},
      {"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.5.3 - chkuser)", kSoft, kRelay},
      {"553 AUTH FAILED - ann@a.example", kSoft, kAuthFailure},
      {"530 5.7.1 Relaying not allowed: ann@a.example", kSoft, kRelay},
      {"550 not local host a.example, not a gateway", kSoft, kRelay},
      {"500 Unauthorized relay msg rejected", kSoft, kRelay},
      {"550 Local user only or Authentication mechanism", kSoft, kAuthFailure},
      {"550-ds176.s.example [192.0.2.1] is currently not permitted to relay through this server.", kSoft, kRelay},
      {"550 Content reject. FAAAANsG60M9BmDT.1", kSoft, kContent, kData},
      {"552 MessageWall: MIME/REJECT: Invalid structure", kSoft, kMailboxFull, kData},
      {"554 5.6.0 Message with invalid header rejected, id=13462-01 - MIME error", kSoft, kContent, kData},
      {"553 Mail data refused by AISP, rule [169648].", kSoft, kContent, kData},
      {"550 Host unknown", kHard, kBadDomain},
      {"553 Specified domain is not allowed.", kSoft, kUndetermined},
      {"delivery temporarily suspended: connect to 192.0.2.1[192.0.2.1]: No route to host", kSoft, kInactive, kUnknown},
      {"451 System(u) busy, try again later.", kSoft, kSystem},
      {"554 sender is rejected: 0,mx20,wKjR5bDrnoM2yNtEZVAkBg==.32467S2", kSoft, kSender, kMail},
      {"554 <unknown[192.0.2.1]>: Client host rejected: Access denied", kSoft, kReputation},
      {"554 Connection refused(mx). MAIL FROM [me@s.example] mismatches client IP [192.0.2.1].", kSoft, kSender, kMail},
      {"554 Please visit http:// antispam.a.example/denyip.php?IP=192.0.2.1 (#5.7.1)", kSoft, kPolicy},
      {"550 Requested action not taken: mail IsCNAPF76kMDARUY.56621S2 is rejected,mx3,BM", kSoft, kUndetermined, kData},
      {"552 sorry, the spam message is detected (#5.6.0)", kSoft, kContent, kData},
      {"550 Verify mailfrom failed,blocked", kSoft, kSender},
      {"550 Error: MAIL FROM is mismatched with message header from address!", kSoft, kSender, kData},
      {"550 sorry, it seems as a junk mail", kSoft, kContent, kData},
      {"451 Temporary local problem - please try later", kSoft, kSystem},
      {"554- (RTR:BL) http://postmaster.info.aol.example/errors/554rtrbl.html 554  Connecting IP: 192.0.2.1", kSoft, kSender, kConnect},
      {"503 All recipients are invalid", kHard, kInvalidAddress},
      {"ann@a.example... Deferred: No such file or directory", kSoft, kUndetermined, kUnknown},
      {"mail receiving disabled", kHard, kNoMail, kUnknown},
      {"The user(s) account is temporarily over quota.", kSoft, kMailboxFull, kUnknown},
      {"The user to whom this message was addressed has exceeded the allowed mailbox quota. Please resend the message at a later time.",
       kSoft, kMailboxFull, kUnknown},
      {"ann \"(0), ErrMsg=Mailbox space not enough (space limit is 10240KB)", kSoft, kMailboxFull, kUnknown},
      {"553 5.1.2 Ann <ann@a..example>... Invalid host name", kHard, kBadDomain},
      {"550 5.1.2 ann@a.example... Host unknown (Name server: .: no data known)", kHard, kBadDomain, kUnknown},
      {"451 a.example: Name server timeout", kSoft, kRouting, kUnknown},
      {"554 5.0.0 MX list for a.example. points back to mx.s.example", kSoft, kRouting, kUnknown},
      {"connection with mx.a.example is broken", kSoft, kRouting, kUnknown},
      {"unknown local-part \"ann\" in domain \"a.example\"", kHard, kInvalidAddress, kUnknown},
      {"550 Invalid recipient: <ann@a.example>", kHard, kInvalidAddress},
      {"550 This address no longer accepts mail.", kHard, kInvalidAddress},
      {"mail.local: /var/mail/2b/10/ann: Disc quota exceeded", kSoft, kMailboxFull, kUnknown},
      {"- User disk quota exceeded. (#4.3.0)", kSoft, kMailboxFull, kUnknown},
      {"550 I've no such mailbox", kHard, kInvalidAddress},
      {"local: Sorry, can't find user's mailbox. (#5.1.1)", kHard, kInvalidAddress, kUnknown},
  });
}

// The same with the briefest words, in several languages: only the class is of interest.
TEST(Replies, InFewWords) {
  for (const char* text : {"550 Account not found",
                           "550 account is unavailable",
                           "550 Address invalid",
                           "550 Address is unknown",
                           "550 Address unknown",
                           "550 Addressee unknown",
                           "550 ADDRESS_NOT_FOUND",
                           "550 bad address",
                           "550 Bad destination mailbox address",
                           "550 Destinatario errato",
                           "550 Destinatario sconosciuto o mailbox disatttivata",
                           "550 <ann@a.example> does not exist",
                           "550 Email Address was not found",
                           "550 Indirizzo inesistente",
                           "550 Invalid account",
                           "550 Invalid or unknown virtual user",
                           "550 Invalid mailbox",
                           "550 Mailbox unavailable",
                           "550 Nie ma takiego konta",
                           "550 No mail box available for this user",
                           "550 no mailbox here",
                           "550 No one with that email address here",
                           "550 no such email address",
                           "550 No such mail drop defined",
                           "550 No such person at this address",
                           "550 not a known user",
                           "550 not a valid user",
                           "550 <ann@a.example> not exists",
                           "550 server doesn't handle mail for that user",
                           "550 This address no longer accepts mail",
                           "550 This email address is not known to this system",
                           "550 unknown address or alias",
                           "550 Unknown email address",
                           "550 Unknown local part",
                           "550 unknown or illegal user",
                           "550 User doesn't exist in this server",
                           "550 user invalid",
                           "550 User is unknown",
                           "550 User not known",
                           "550 ann was not found in LDAP server",
                           "550 We are sorry but the address is invalid",
                           "550 Unable to find alias user",
                           "550 host name is unknown",
                           "550 no such domain",
                           "550 Old address no longer valid",
                           "550 Domain name not found",
                           "550 couldn't find any host by that name"}) {
    EXPECT_EQ(Classify({.text = text, .command = kRcpt}).cls, kHard) << text;
  }
  for (const char* text : {"550 Excessive userid unknowns",
                           "550 Recipient not allowed",
                           "550 This account is disabled",
                           "550 User is suspended",
                           "550 Esta casilla ha expirado por falta de uso",
                           "550 no relaying allowed",
                           "550 we do not relay",
                           "550 exceeded the rate limit",
                           "550 mail can not be delivered",
                           "550 Sender verify failed: The account or domain may not exist",
                           "550 Account disabled",
                           "550 account has been disabled",
                           "550 mail is not currently being accepted for this mailbox",
                           "550 El usuario esta en estado: inactivo",
                           "550 mailbox has been blocked due to inactivity",
                           "550 mailbox is currently unavailable",
                           "550 Mailbox Locked or Suspended",
                           "550 Recipient mailbox was disabled",
                           "550 Podane konto jest zablokowane administracyjnie lub nieaktywne",
                           "550 Questo indirizzo e' bloccato per inutilizzo",
                           "550 Temporary lookup failure",
                           "550 can't connect to mx",
                           "550 Too many hops",
                           "550 Requested action aborted",
                           "550 rejecting password protected file attachment",
                           "550 554 denied",
                           "550 You have been blocked by the recipient",
                           "550 this mailbox requires that you verify your address",
                           "550 Access denied",
                           "550 Administrative prohibition - unable to validate recipient",
                           "550 conection refused",
                           "550 Domain has received too many bounces",
                           "550 IPs blocked",
                           "550 not allowed access from your location",
                           "550 permanently deferred",
                           "550 Rejecting banned content",
                           "550 Transaction rejected",
                           "550 Wiadomosc zostala odrzucona przez system antyspamowy",
                           "550 User has exhausted allowed storage space",
                           "550 Mailbox quota usage exceeded",
                           "550 user has Exceeded",
                           "550 system load is too high",
                           "550 too busy to accept mail",
                           "550 The message to ann@a.example is bounced because : Quota exceed the hard limit",
                           "550 user is inactive (eyou mta)",
                           "550 Unable to switch to /var/vpopmail/domains/domain.com: input/output error. (#4.3.0)",
                           "550 can not open new email file errno=13",
                           "550 The user does not accept email in non-Western (non-Latin) character sets."}) {
    EXPECT_EQ(Classify({.text = text, .command = kRcpt}).cls, kSoft) << text;
  }
}

// IBM Domino, MDaemon, MailEnable, CommuniGate and others; and the same said in words that no rule was written for.
TEST(Replies, OfOtherServers) {
  ExpectAll({
      {"550 ann@a.example... No such user", kHard, kInvalidAddress},
      {"550 User ann (ann@a.example) not listed in Domino Directory", kHard, kInvalidAddress},
      {"550 Recipient does not exist here", kHard, kInvalidAddress},
      {"550 <ann@a.example>, Recipient unknown", kHard, kInvalidAddress},
      {"550 5.1.1 Mailbox does not exist", kHard, kInvalidAddress},
      {"550 unknown or illegal alias: ann", kHard, kInvalidAddress},
      {"554 Service unavailable; mailbox ann is suspended", kSoft, kInactive},
      {"550 Unknown user.", kHard, kInvalidAddress},
      {"503 This mail server requires authentication when attempting to send to a non-local e-mail address.", kSoft, kPolicy},
      {"550 account is full (quota exceeded)", kSoft, kMailboxFull},
      {"550 ann@a.example unknown user account", kHard, kInvalidAddress},
      {"550 5.7.1 unable to relay for ann@a.example", kSoft, kRelay},
      {"550 5.1.1 Invalid recipient: ann@a.example (Mode: normal)", kHard, kInvalidAddress},
      {"513 Relaying denied.", kSoft, kRelay},
      {"550 I cannot deliver mail for <ann@a.example>", kHard, kInvalidAddress},
      {"550 5.1.1 ann@a.example is not a valid mailbox", kHard, kInvalidAddress},
      {"550 That domain is not hosted here; recipient unknown", kHard, kInvalidAddress},
      {"550 BAD_RECIPIENT - see http://www.mail.example/undelivered.php", kHard, kInvalidAddress},
      {"550 ** No mail box available for this user **", kHard, kInvalidAddress},
      {"551 <ann@a.example> is a deactivated mailbox", kSoft, kInactive},
      {"550-ann@a.example is not a known user on this system", kHard, kInvalidAddress},
      {"550 5.2.0 Message refused: account ann over storage", kSoft, kMailboxFull},
      {"550 <ann@a.example> Benutzer hat zuviele Mails auf dem Server. / User has too many messages on the server.", kSoft, kMailboxFull},
      {"550 Mailbox is inactive", kSoft, kInactive},
      {"550 Mailbox has been closed", kSoft, kInactive},
      {"550 5.1.1 The recipient's mail address is not recognised by our system", kHard, kInvalidAddress},
      {"550 5.1.1 This recipient has left and his mailbox is deleted", kHard, kInvalidAddress},
      {"550 The recipient cannot be found in the address book", kHard, kInvalidAddress},
      {"550 Address unknown at this host", kHard, kInvalidAddress},
      {"550 We have no record of this mailbox", kHard, kInvalidAddress},
      {"550 This person is no longer employed here", kHard, kMoved},
      {"550 5.1.2 Host or domain name not found", kHard, kBadDomain},
      {"550 This domain is not in use and does not accept mail", kHard, kNoMail},
  });
}

}  // namespace
}  // namespace maily::bounces
