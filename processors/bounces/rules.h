// The rules of classification, as data, in their order: the first that fits decides.
#pragma once

#include <span>
#include <string_view>

#include "processors/bounces/classify.h"

namespace maily::bounces {

// Conditions on top of codes and phrases; all that are set must hold.
enum Condition : uint16_t {
  kAlways = 0,
  kPermanent = 1,    // neither the enhanced code nor, without one, the basic code is a transient one
  kOfAddress = 2,    // a 5xx or a 5.x.x but 5.0.0 was given, and it was not said of the mail: not after DATA, nor
                     // in prose that does not say after which command; and kNoPolicy
  kOfSender = 4,     // said before any recipient was named: greeting, HELO, MAIL FROM
  kProgram = 8,      // said by a local program (Diagnostic-Code: x-unix), not by SMTP
  kNoPolicy = 16,    // no code of the text is X.7.x, and its own is not X.2.x; or it was said after RCPT
  kCodeSaid = 32,    // the enhanced code is the server's own, none that a program made of its reply
  kUncoded = 64,     // there is no basic code: the program that reports quotes nobody, it speaks for itself
  kNotOfMail = 128,  // not said after DATA
  kAtRcpt = 256,     // said after RCPT
};

struct Rule {
  std::string_view id;  // [format] stored beside decisions: never reused for another meaning
  Class cls;
  Reason reason;
  // Alternatives are divided by '|'. In codes 'x' stands for any class and '*' for any number ("x.1.1", "5.7.*", "55*").
  std::string_view enhanced = {};  // empty: any, or none
  std::string_view basic = {};
  // Of the text in lower case without codes, addresses, URLs and host names; begins at a word. '*' skips at most 60 bytes,
  // '$' at the end is the end of the text.
  std::string_view phrases = {};
  // A concept: what is spoken of, and what is said of it. One alternative of each has to stand in the same sentence, at most 40 bytes
  // apart, in either order. A rule that has phrases too fits by either.
  std::string_view subjects = {};
  std::string_view predicates = {};
  std::string_view provider = {};  // a part of the remote host's name, or of the text as it is; alternatives as above
  uint16_t when = kAlways;
};

std::span<const Rule> Rules();

}  // namespace maily::bounces
