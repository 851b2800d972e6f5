// Sources: the addresses of this machine that mails leave from, and pools of them.
//
// A receiver knows a sender by the address that it connects from, so limits are of a site as one source reaches it: google.com@new is a
// site of its own beside google.com@old, with its own connections, rate, numbers, warm-up plan and pauses. All mails of a tenant to one
// domain take one source, so that a second try comes from where the first one came from (greylisting, RFC 6647 §2). Another one takes over
// for as long as the site's number of the hour or day is used up there, and for no other reason: a receiver that refuses one address is not
// to be met from the next.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"

namespace maily::smtp {

struct Source {
  std::string name;                    // small letters, digits, '-', '.' and '_'
  std::vector<std::string> addresses;  // IP literals, one of each family at most; empty: the system chooses
  std::string helo;                    // what this host calls itself there; empty: as everywhere
};

struct SourcePool {
  std::string name;
  std::vector<std::shared_ptr<const Source>> sources;    // one at least
  std::shared_ptr<const SourcePool> overflow = nullptr;  // for what these may not take any more
};

// Those that mails of the tenant to the domain leave from: the first one whose site has something left. Each once; the order is a function
// of what is given, the parts of a pool's sources in the first places are equal. Null stands for the address that the system chooses; it
// is alone, for a pool that is null.
using Sources = std::vector<std::shared_ptr<const Source>>;
Sources SourcesFor(const SourcePool* pool, TenantId tenant, std::string_view domain);

// The name of a site as it is reached from there.
std::string SiteFrom(std::string_view site, const Source* source);
// The source's part of such a name; empty: it has none.
std::string_view SourceOf(std::string_view site);
// The other part.
std::string_view SiteWithout(std::string_view site);

}  // namespace maily::smtp
