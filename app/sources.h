// The file of the setting sources: addresses of this machine that mails leave from, where routing is mx.
//
//   sources:
//     - name: a                        # small letters, digits, '-', '.' and '_'
//       addresses: [192.0.2.1, 2001:db8::1]  # one of each family at most
//       ehlo: a.mail.example.com       # what this host calls itself there; without it helo_name
//   pools:
//     - name: bulk                     # "default": all mails for which no route says another one
//       sources: [a, b]
//       overflow: shared               # another pool, for what these may not take any more; without it mails wait
//
// Each source is also a pool of its own, with its name, unless a pool has it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "processors/effects/smtp/source.h"
#include "streams/base/result.h"

namespace maily::app {

inline constexpr std::string_view kDefaultPool = "default";

struct SourceFile {
  std::vector<std::shared_ptr<const smtp::Source>> sources = {};
  std::map<std::string, std::shared_ptr<const smtp::SourcePool>, std::less<>> pools = {};

  // Null: there is none of that name.
  std::shared_ptr<const smtp::SourcePool> Pool(std::string_view name) const;
};

// Empty path: none. kInvalid: with file and line what is wrong.
Result<SourceFile> ReadSources(const std::string& path);

}  // namespace maily::app
