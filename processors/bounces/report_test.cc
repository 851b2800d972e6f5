// What returned mails say: given the mail, expect what it is, of whom, and about which mail of ours.
#include "processors/bounces/report.h"

#include <gtest/gtest.h>

namespace maily::bounces {
namespace {

std::string Dsn(std::string_view action, std::string_view fields) {
  return "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: b-token123@bounces.example\r\nSubject: Undelivered Mail Returned to "
         "Sender\r\n"
         "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; "
         "boundary=\"x\"\r\n\r\n"
         "--x\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host mx.example.\r\n\r\n"
         "--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: env-7\r\n\r\n"
         "Final-Recipient: rfc822; ann@a.example\r\nAction: " +
         std::string(action) + "\r\n" + std::string(fields) +
         "\r\n\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\nReturn-Path: <b-token123@bounces.example>\r\nMessage-ID: "
         "<m1@news.example>\r\n"
         "Feedback-ID: c1:t1:news\r\nTo: Ann <ann@a.example>\r\n\r\n--x--\r\n";
}

std::string Prose(std::string_view subject, std::string_view body) {
  return "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: b-token123@bounces.example\nSubject: " + std::string(subject) + "\n\n" +
         std::string(body);
}

TEST(Report, ANotificationTellsRecipientAndMail) {
  const Report report = Read(Dsn("failed",
                                 "Status: 5.1.1\r\nRemote-MTA: dns; mx.a.example\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n"
                                 " <ann@a.example>: Recipient address rejected: User unknown"));
  EXPECT_EQ(report.kind, Kind::kBounce);
  EXPECT_TRUE(report.standard);
  EXPECT_FALSE(report.truncated);
  ASSERT_EQ(report.recipients.size(), 1u);
  const Recipient& one = report.recipients[0];
  EXPECT_EQ(one.address, "ann@a.example");
  EXPECT_EQ(one.action, "failed");
  EXPECT_EQ(one.status, "5.1.1");
  EXPECT_EQ(one.remote_mta, "mx.a.example");
  EXPECT_EQ(one.diagnostic, "550 5.1.1 <ann@a.example>: Recipient address rejected: User unknown");
  EXPECT_EQ(one.verdict.cls, Class::kHard);
  EXPECT_EQ(one.verdict.rule, "address.proven");
  EXPECT_EQ(report.reporting_mta, "dns; mx.example");
  EXPECT_EQ(report.original_envelope_id, "env-7");
  EXPECT_EQ(report.original_message_id, "<m1@news.example>");
  EXPECT_EQ(report.original_feedback_id, "c1:t1:news");
  EXPECT_EQ(report.original_to, "ann@a.example");
  EXPECT_EQ(report.original_return_path, "b-token123@bounces.example");
  ASSERT_EQ(report.addressed_to.size(), 1u);
  EXPECT_EQ(report.addressed_to[0], "b-token123@bounces.example");
}

TEST(Report, TheServersWordsCountMoreThanTheStatusMadeOfThem) {
  const Report report = Read(Dsn("failed", "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.7.1 IP address blacklisted by recipient"));
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kSoft);
  EXPECT_EQ(report.recipients[0].verdict.reason, Reason::kReputation);
}

TEST(Report, ADelayIsNoBounceAndSuccessIsNone) {
  const Report late = Read(Dsn("delayed", "Status: 4.4.1\r\nDiagnostic-Code: smtp; 450 4.1.1 user unknown"));
  EXPECT_EQ(late.kind, Kind::kDelayed);
  EXPECT_EQ(late.recipients.at(0).verdict.cls, Class::kSoft);
  EXPECT_EQ(Read(Dsn("delayed", "Status: 5.1.1")).recipients.at(0).verdict.cls, Class::kSoft);
  const Report done = Read(Dsn("relayed", "Status: 2.0.0"));
  EXPECT_EQ(done.kind, Kind::kDelivered);
  EXPECT_EQ(done.recipients.at(0).verdict.cls, Class::kDelivered);
}

TEST(Report, EachRecipientHasItsOwnResult) {
  const Report report = Read(Dsn("failed",
                                 "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n"
                                 "Final-Recipient: rfc822; bob@a.example\r\nAction: failed\r\nStatus: 5.2.2\r\n"
                                 "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full"));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
  EXPECT_EQ(report.recipients[1].address, "bob@a.example");
  EXPECT_EQ(report.recipients[1].verdict.reason, Reason::kMailboxFull);
}

TEST(Report, ProseOfQmailIsUnderstood) {
  const Report report =
      Read(Prose("failure notice",
                 "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n"
                 "<ann@a.example>:\n192.0.2.7 does not like recipient.\nRemote host said: 550 no such user\nGiving up on 192.0.2.7.\n\n"
                 "--- Below this line is a copy of the message.\n\nReturn-Path: <b-token123@bounces.example>\n"
                 "Message-ID: <m1@news.example>\nTo: ann@a.example\n\nYour quota and spam\n"));
  EXPECT_EQ(report.kind, Kind::kBounce);
  EXPECT_FALSE(report.standard);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].address, "ann@a.example");
  EXPECT_EQ(report.recipients[0].command, Command::kRcpt);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
  EXPECT_EQ(report.original_message_id, "<m1@news.example>");
}

TEST(Report, ProseOfEximIsUnderstood) {
  const Report report = Read(
      Prose("Mail delivery failed: returning message to sender",
            "A message that you sent could not be delivered to one or more of its\nrecipients.\n\n  ann@a.example\n"
            "    SMTP error from remote mail server after RCPT TO:<ann@a.example>:\n    host mx.a.example [192.0.2.7]: 550 unknown user\n"
            "  bob@a.example\n    SMTP error from remote mail server after end of data:\n"
            "    host mx.a.example [192.0.2.7]: 550 unknown user\n\n------ This is a copy of the message ------\n\nTo: ann@a.example\n"));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
  EXPECT_EQ(report.recipients[1].verdict.cls, Class::kSoft);  // said of the mail: a filter
  EXPECT_EQ(report.recipients[1].verdict.reason, Reason::kFiltered);
}

TEST(Report, ProseOfATranscriptIsUnderstood) {
  const Report report =
      Read(Prose("Returned mail: User unknown",
                 "   ----- Transcript of session follows -----\nWhile talking to mx.a.example:\n>>> RCPT To:<ann@a.example>\n"
                 "<<< 550 <ann@a.example>... User unknown\n550 <ann@a.example>... User unknown\n"
                 "550 b.example (smtp)... 550 Host unknown\n554 <bob@b.example>... 550 Host unknown (Authoritative answer)\n\n"
                 "   ----- Unsent message follows -----\nReceived: by mx.example\nTo: ann@a.example\n"));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.recipients[0].verdict.reason, Reason::kInvalidAddress);
  EXPECT_EQ(report.recipients[1].verdict.reason, Reason::kBadDomain);
}

std::string Arf(std::string_view type, std::string_view fields) {
  return "From: fbl@provider.example\r\nTo: b-token123@bounces.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
         "Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nAn abuse "
         "report\r\n"
         "--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: " +
         std::string(type) + "\r\nUser-Agent: FBL/1\r\nVersion: 1\r\n" + std::string(fields) +
         "\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m1@news.example>\r\nFeedback-ID: c1:t1:news\r\nTo: "
         "redacted\r\n\r\nHello\r\n--x--\r\n";
}

TEST(Report, AComplaintIsOneThoughRedacted) {
  const Report report = Read(Arf("abuse", "Original-Mail-From: <b-token123@bounces.example>\r\n"));
  EXPECT_EQ(report.kind, Kind::kFeedback);
  EXPECT_EQ(report.feedback, Feedback::kAbuse);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kComplaint);
  EXPECT_EQ(report.original_message_id, "<m1@news.example>");
  EXPECT_EQ(report.original_feedback_id, "c1:t1:news");
  EXPECT_EQ(report.original_return_path, "b-token123@bounces.example");
  EXPECT_EQ(Read(Arf("abuse", "Original-Rcpt-To: ann@a.example\r\nOriginal-Rcpt-To: bob@a.example\r\n")).recipients.size(), 2u);
}

TEST(Report, OtherFeedbackIsNoComplaint) {
  for (const auto& [type, feedback] : {std::pair("not-spam", Feedback::kNotSpam), std::pair("auth-failure", Feedback::kAuthFailure),
                                       std::pair("opt-out", Feedback::kOptOut), std::pair("whatever", Feedback::kOther)}) {
    const Report report = Read(Arf(type, ""));
    EXPECT_EQ(report.kind, Kind::kFeedback) << type;
    EXPECT_EQ(report.feedback, feedback) << type;
    EXPECT_EQ(report.recipients.at(0).verdict.cls, Class::kNone) << type;
  }
  EXPECT_EQ(Read("From: ann@a.example\nSubject: unsubscribe\nTo: b@bounces.example\n\nplease\n").feedback, Feedback::kOptOut);
}

TEST(Report, MachinesThatAnswerAreNoBounces) {
  const Report away = Read(
      "From: Ann <ann@a.example>\nTo: b@bounces.example\nSubject: Automatic reply: News\nAuto-Submitted: auto-replied\n\n"
      "I am away. My mailbox is full of mail that could not be delivered.\n");
  EXPECT_EQ(away.kind, Kind::kAutoReply);
  EXPECT_EQ(away.recipients.at(0).verdict.cls, Class::kAutoReply);
  EXPECT_EQ(away.recipients.at(0).address, "ann@a.example");
  EXPECT_EQ(Read("From: ann@a.example\nSubject: Re: News\n\nPlease confirm that you sent this: https://a.example\n").kind,
            Kind::kChallenge);
  const Report person = Read("From: ann@a.example\nTo: b@bounces.example\nSubject: Re: News\n\nThanks, I like it. 550 people do.\n");
  EXPECT_EQ(person.kind, Kind::kOther);
  EXPECT_TRUE(person.recipients.empty());
}

TEST(Report, NotificationsOfSesAsMailAreRead) {
  const std::string mail =
      "From: no-reply@sns.example\nSubject: AWS Notification "
      "Message\n\n{\"Type\":\"Notification\",\"Message\":\"{\\\"notificationType\\\":\\\"Bounce\\\","
      "\\\"bounce\\\":{\\\"bouncedRecipients\\\":[{\\\"emailAddress\\\":\\\"ann@a.example\\\",\\\"status\\\":\\\"5.1.1\\\","
      "\\\"diagnosticCode\\\":"
      "\\\"smtp; 550 5.1.1 user unknown\\\"}]},\\\"mail\\\":{\\\"messageId\\\":\\\"m1\\\"}}\"}\n";
  const Report report = Read(mail);
  EXPECT_EQ(report.kind, Kind::kBounce);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
  EXPECT_EQ(report.original_message_id, "m1");
}

// Malformed and hostile mails.

TEST(Report, NothingAndGarbageAreSomethingElse) {
  EXPECT_EQ(Read("").kind, Kind::kOther);
  EXPECT_EQ(Read("\r\n\r\n").kind, Kind::kOther);
  EXPECT_EQ(Read(std::string(1000, '\0')).kind, Kind::kOther);
  EXPECT_EQ(Read("Content-Type: multipart/report; boundary=\n\n--\n--\n").kind, Kind::kOther);
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<char>(i * 7919 % 256));
  EXPECT_EQ(Read(bytes).kind, Kind::kOther);
}

TEST(Report, EveryBeginningOfAMailIsReadWithoutHarm) {
  const std::string mail = Dsn("failed", "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown");
  for (size_t size = 0; size < mail.size(); size += 7) Read(std::string_view(mail).substr(0, size));
}

TEST(Report, AThousandLevelsDeepIsCutAndSaid) {
  std::string mail = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: failure notice\n";
  for (int i = 0; i < 1000; ++i) {
    mail += fmt::format("Content-Type: multipart/mixed; boundary=b{}\n\n--b{}\n", i, i);
  }
  mail += "Content-Type: text/plain\n\n550 5.1.1 user unknown\n";
  const Report report = Read(mail);
  EXPECT_TRUE(report.truncated);
  std::string messages = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: failure notice\n";
  for (int i = 0; i < 1000; ++i) messages += "Content-Type: message/rfc822\n\n";
  EXPECT_TRUE(Read(messages).truncated);
  std::string folded;
  for (int i = 0; i < 10'000; ++i) folded += "Content-Type:\n message/rfc822\n\n";
  EXPECT_TRUE(Read(folded).truncated);
}

TEST(Report, AMailOfFiftyMegabytesIsReadByItsBeginning) {
  std::string mail = Dsn("failed", "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown");
  mail += std::string(50'000'000, 'x');
  const Report report = Read(mail);
  EXPECT_TRUE(report.truncated);
  EXPECT_EQ(report.recipients.at(0).verdict.cls, Class::kHard);
  EXPECT_TRUE(Read("From: MAILER-DAEMON@mx.example\n\n" + std::string(50'000'000, '\n')).truncated);
}

TEST(Report, ManyPartsFieldsAndRecipientsStayWithinTheirLimits) {
  std::string parts = "From: MAILER-DAEMON@mx.example\nContent-Type: multipart/mixed; boundary=x\n\n";
  for (int i = 0; i < 50'000; ++i) parts += "--x\n\na\n";
  EXPECT_TRUE(Read(parts).truncated);
  std::string fields = "From: MAILER-DAEMON@mx.example\n";
  for (int i = 0; i < 100'000; ++i) fields += "a:\n";
  EXPECT_EQ(Read(fields + "\nno\n").kind, Kind::kBounce);
  std::string groups = "Status: 5.1.1";
  for (int i = 0; i < 10'000; ++i)
    groups += fmt::format("\r\n\r\nFinal-Recipient: rfc822; a{}@a.example\r\nAction: failed\r\nStatus: 5.1.1", i);
  EXPECT_EQ(Read(Dsn("failed", groups)).recipients.size(), 100u);
  std::string lines;
  for (int i = 0; i < 5'000; ++i) lines += fmt::format("<a{}@a.example>: 550 5.1.1 unknown\n", i);
  EXPECT_LE(Read(Prose("failure notice", lines)).recipients.size(), 100u);
}

TEST(Report, AddressesNestedWithoutEndDoNotExhaustTheStack) {
  for (const char* begin : {"To: ", "Resent-From: x:\n ", "Content-Type: message/rfc822\n\nReply-To : "}) {
    std::string mail(begin);
    for (int i = 0; i < 150'000; ++i) mail += i % 100 == 99 ? "a:\n " : "a:";
    EXPECT_EQ(Read(mail + "\n\nx\n").kind, Kind::kOther);
    EXPECT_EQ(Read(std::string(begin) + std::string(300'000, '(') + "\n\nx\n").kind, Kind::kOther);
    EXPECT_EQ(Read(std::string(begin) + std::string(300'000, '<') + "\n\nx\n").kind, Kind::kOther);
  }
}

TEST(Report, ABoundaryThatNeverComesIsReadAsProse) {
  const Report report = Read(
      "From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=never\n\nYour mail failed.\n\n"
      "Final-Recipient: rfc822;ann@a.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n");
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].address, "ann@a.example");
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
}

TEST(Report, AHeaderOfOurMailThatProseRepeatsSaysNothing) {
  const Report report =
      Read(Prose("Undeliverable: your mail",
                 "Your message\n\n  To:      ann@a.example\n  Subject: Your mailbox is full of virus and spam, version 2.0.12\n"
                 "  Sent:    Thu, 11 Jul 2002 16:52:33 -0300\n\ndid not reach the following recipient(s):\n\n"
                 "ann@a.example on Thu, 11 Jul 2002 16:54:54 -0300\n    The recipient name is not recognized\n"));
  EXPECT_EQ(report.kind, Kind::kBounce);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
}

TEST(Report, WhatStandsAboveSeveralRecipientsIsSaidOfAll) {
  const Report report =
      Read(Prose("Mail delivery failed",
                 "There is no route to host a.example: network is unreachable.\n\n"
                 "The following recipients did not receive your message:\n\n<ann@a.example>\n\nNeither did:\n\n<bob@a.example>\n"));
  ASSERT_EQ(report.recipients.size(), 2u);
  for (const Recipient& one : report.recipients) EXPECT_EQ(one.verdict.reason, Reason::kRouting) << one.address << one.verdict.rule;
}

TEST(Report, TheCommandIsFoundHoweverProgramsTellOfIt) {
  for (const char* text : {"Sent >>> RCPT TO: <ann@a.example>\nReceived <<< 550 ann@a.example... No such user\n",
                           "Sent <<< RCPT TO: <ann@a.example>\nReceived >>> 550 ann@a.example... No such user\n",
                           "SMTP Server <mx.a.example> rejected recipient <ann@a.example> (Error following RCPT command). It responded as "
                           "follows: [550 unknown user]\n",
                           "<ann@a.example>:\n    mx.a.example [192.0.2.1]:\n    >>> RCPT TO:<ann@a.example>\n    <<< 550 User unknown\n",
                           "SMTP:RCPT host 192.0.2.1: 553 5.3.0 <ann@a.example>... No such user here\n",
                           "RCPT TO generated following response:\n550 <ann@a.example>... Addressee unknown\n",
                           "<ann@a.example>: host mx.a.example[192.0.2.1] said: 550 no such user (in reply to RCPT TO command)\n"}) {
    const Report report = Read(Prose("Undeliverable mail", text));
    ASSERT_EQ(report.recipients.size(), 1u) << text;
    EXPECT_EQ(report.recipients[0].command, Command::kRcpt) << text;
    EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard) << text << ": " << report.recipients[0].verdict.rule;
  }
}

TEST(Report, ProgramsThatNameTheReasonBeforeTheAddressMayNameSeveral) {
  const Report report = Read(Prose("Undeliverable Mail",
                                   "Unknown user: ann@a.example\n\nRCPT TO generated following response:\n553 5.3.0 "
                                   "<ann@a.example>... Addressee unknown\n\nUser mailbox exceeds allowed size: "
                                   "bob@a.example\n"));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.recipients[0].verdict.cls, Class::kHard);
  EXPECT_EQ(report.recipients[1].verdict.reason, Reason::kMailboxFull);
}

TEST(Report, AReceiptRuleOfAmazonIsNoDirectory) {
  std::string mail = Dsn("failed", "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 Mailbox does not exist");
  EXPECT_EQ(Read(mail).recipients.at(0).verdict.cls, Class::kHard);
  mail.replace(mail.find("dns; mx.example"), 15, "dns; inbound-smtp.us-west-2.amazonaws.example");
  EXPECT_EQ(Read(mail).recipients.at(0).verdict.rule, "amazon.receipt");
}

}  // namespace
}  // namespace maily::bounces
