// The effect that keeps keys with whom they are of. It forgets: destroys the keys of whom the journal says to be erased, once that is
// accepted, and brings back that it did.
//
// What was asked for and not done is state (contacts::v1::KeysPending), read at take-over; so a crash at any moment ends with destroyed
// keys. A key is destroyed on the executor `blocking`, one subject after another, each durably. What fails is tried again every second.
// And it files: when a contact has another address, all keys of the former one are from then on those of the present one
// (contacts::v1::AddressChange), which is brought back as RecordKeysMoved; only then the former address is free for somebody else.
//
// Memory: 100 bytes for each erasure or change that is asked for and not done.
#pragma once

#include <memory>

#include "processors/effects/effect.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::effects {

class Eraser : public Effect {
 public:
  // All outlive it and what it has posted to `blocking`. `executor` is the partition's.
  Eraser(Clock& clock, Entropy& entropy, Executor& executor, Executor& blocking, command::Sender& sender, keyring::Keyring& keyring);
  ~Eraser() override;
  void Lead(const Leadership& leadership) override;
  void Accepted(const journal::AcceptedFrame& frame) override;
  void Stop() override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::effects
