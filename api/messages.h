// How messages are posted, for handlers that want some sent.
#pragma once

#include <vector>

#include "api/call.h"
#include "api/submit.h"
#include "maily/messages/v1/commands.pb.h"
#include "schemas/address.h"

namespace maily::api {

// All of one form.
struct Posting {
  // A file that a message brings along (attachments.h).
  struct Brought {
    int place = 0;      // among the attachments of its content
    std::string bytes;  // until they are in their blob
    std::string blob;   // empty: not yet
  };
  struct One {
    schema::Address address;
    messages::v1::PostMessage message = {};  // content in plain; form, keys and address are set by PostMessages
    bool create_contact = false;             // if the address is none's
    std::vector<Brought> brought = {};
  };
  messages::v1::PrepareMessages prepare;
  std::vector<One> all;
};

// `done` with the verdicts of all commands in their order, contacts that are made ahead of their messages; not if the form was refused:
// then the call is answered. Heeds Idempotency-Key and dry_run.
void PostMessages(Call call, Posting posting, AllDone done);

}  // namespace maily::api
