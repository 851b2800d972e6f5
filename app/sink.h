// `maily sink`: a real SMTP server that accepts, counts and can keep mail, so that a whole run stays on one machine.
//
// What was answered 250 after the final dot stands in the log file before the answer leaves (one write(2) a mail), so the list
// survives kill -9, and a sink that starts with an old log goes on from there. Shares no code with effects/smtp: each tests the other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/sink_rules.h"
#include "streams/base/result.h"
#include "streams/port/env.h"
#include "streams/port/net.h"
#include "streams/tls/channel.h"

namespace maily::app {

struct SinkOptions {
  Endpoint listen{"127.0.0.1", 2525};
  std::string log_path;   // CSV: number,received_at_us,recipient,message_id,bytes,place,subject; read at the start, then appended
  std::string keep_path;  // all mails one after another, each at its place; appended; empty = none are kept
  std::vector<SinkRule> rules;
  double drop_after_dot = 0;  // share of mails whose connection is closed after the dot, without a reply, although the mail was taken
  uint64_t seed = 1;          // of that chance
  Duration delay{};           // before the answer to the final dot
  size_t mail_bytes_max = 32 << 20;
  std::shared_ptr<const tls::Context> tls = nullptr;  // of a server: STARTTLS is offered
  bool require_tls = false;                           // nothing is taken without
};

struct ReceivedMail {
  uint64_t number = 0;  // from 1
  int64_t received_at_us = 0;
  std::string recipient;
  std::string message_id;
  uint64_t bytes = 0;
  int64_t place = -1;   // of its first byte in the file of kept mails; -1 = not kept
  std::string subject;  // as sent (RFC 2047), at most 200 bytes
};

class Sink {
 public:
  struct Counts {
    uint64_t mails = 0;  // one a recipient
    uint64_t distinct_recipients = 0;
    uint64_t connections = 0;
    uint64_t rejected = 0;
    uint64_t dropped = 0;
  };
  // Lives on one executor, the one of `net`. kInvalid: a file cannot be opened. kCorrupt: the log is not one of a sink.
  static Result<std::unique_ptr<Sink>> Start(Net& net, Executor& executor, Clock& clock, SinkOptions options);
  ~Sink();

  Endpoint local() const;
  // Thread: any, from here on.
  Counts counts() const;
  // Mails after number `after`, at most `max`.
  std::vector<ReceivedMail> List(uint64_t after, size_t max) const;
  // The bytes of a kept mail. kNotFound.
  Result<std::string> Message(uint64_t number) const;

 private:
  struct Impl;
  explicit Sink(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::app
