// Makes mails again that were sent, to look at and to compare: by the code that made them (maker.h), on the state of their partition and
// what its journal says of their attempts.
//
// It has no connection, no slot and no credit, and writes no command: nothing that is made here can go out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "maily/sends/v1/events.pb.h"
#include "processors/effects/effect.h"
#include "processors/effects/smtp/encoded.h"
#include "processors/effects/smtp/maker.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::smtp {

// Of a process. Thread: any, unless said.
class Remaker {
 public:
  struct Options {
    std::string tracking_base_url;  // as SharedOptions'
    Returns returns = {};
    keyring::Keyring* keyring = nullptr;            // outlives it
    std::shared_ptr<EncodedTails> tails = nullptr;  // null: mails with images or attachments cannot be made
  };
  explicit Remaker(Options options) : options_(std::make_shared<const Options>(std::move(options))) {}

  // What the journal says of an attempt.
  struct Sent {
    TenantId tenant;
    sends::v1::AttemptOpened opened;
    Instant first_opened_at;             // of the first attempt of this mail
    std::optional<std::string> content;  // of a message: as it was accepted, sealed
  };
  enum class Cannot : uint8_t {
    kNothing,    // it was made
    kErased,     // a key of its person is gone
    kFilesGone,  // a file that it enclosed cannot be read
    kElsewhere,  // this process does not lead the partition
    kOther,      // it cannot be made of what is known
  };
  struct Remade {
    Cannot cannot = Cannot::kNothing;
    std::string why;     // it cannot
    std::string bytes;   // the whole mail
    std::string digest;  // MailDigest
  };
  // `done` once, on an executor of a partition, or at once: kElsewhere.
  void Make(PartitionId partition, Sent sent, std::function<void(Remade)> done);

  // Looks into the state of a partition as long as it is led here; on its executor.
  std::unique_ptr<effects::Effect> MakeWindow(Executor& executor);

 private:
  class Window;
  struct Windows {
    std::mutex mutex;
    std::map<PartitionId, std::shared_ptr<Window>> open;
  };
  class Opener;

  const std::shared_ptr<const Options> options_;
  const std::shared_ptr<Windows> windows_ = std::make_shared<Windows>();
};

}  // namespace maily::smtp
