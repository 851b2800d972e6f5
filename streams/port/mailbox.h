// A mailbox on another host, whose mails are fetched, and taken out once they are kept here. Adapter: curl (POP3, IMAP).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "streams/base/result.h"

namespace maily {

// A session from List to End. All calls block, for as long as the adapter's time-outs; on one thread.
//
// kRetry: the host is not reached, or the session has ended: nothing more was taken out than what Remove had said, and the next List begins
// anew. kInvalid: the host refuses the login, or what is asked; or the mode of this instance forbids it (sandbox: loopback only; held:
// nothing).
class RemoteMailbox {
 public:
  virtual ~RemoteMailbox() = default;

  struct List {
    std::vector<std::string> ids = {};  // of this session; the oldest first
    size_t too_large = 0;               // mails that are over the limit of bytes: they stay there
  };
  // Begins a session: the first `most` mails of at most the adapter's bytes.
  virtual Result<List> Begin(size_t most) = 0;
  // kNotFound: there is no such mail any more.
  virtual Result<std::string> Read(const std::string& id) = 0;
  // Takes effect with End, or at once.
  virtual Result<void> Remove(const std::string& id) = 0;
  virtual Result<void> End() = 0;
};

}  // namespace maily
