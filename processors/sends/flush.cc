// See flush.h.
#include "processors/sends/flush.h"

#include <map>
#include <string>
#include <vector>

#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::sends {
namespace {

constexpr TenantId kPlatform{0};

// Those of an order above `after` and up to `through`, by site. One that was flushed again since has the higher order alone.
std::map<std::string, sites::v1::SiteFlush, std::less<>> FlushesOf(const task::Context& context, uint64_t after, uint64_t through) {
  std::map<std::string, sites::v1::SiteFlush, std::less<>> flushes;
  const std::string prefix = state::Key(kPlatform);
  context.view<sites::v1::SiteFlush>().Scan(prefix, {}, [&](std::string_view key, const sites::v1::SiteFlush& flush) {
    if (flush.order() > after && flush.order() <= through) flushes.emplace(key.substr(prefix.size()), flush);
    return true;
  });
  return flushes;
}

}  // namespace

bool FlushSites(task::Context& context, uint64_t campaign_id) {
  const auto* all = context.view<sites::v1::SiteFlushes>().Find(state::Key(kPlatform));
  const auto* run = context.view<v1::SendRun>().Find(state::Key(context.tenant(), campaign_id));
  if (all == nullptr || run == nullptr || run->flushed() >= all->newest() || run->waiting() == 0) return false;
  v1::SendsFlushed flushed;
  flushed.set_campaign_id(campaign_id);
  flushed.set_order(run->flush_order() != 0 ? run->flush_order() : all->newest());
  const auto flushes = FlushesOf(context, run->flushed(), flushed.order());
  std::vector<v1::RetryDue> due;
  size_t looked = 0;
  context.view<v1::OpenAttempt>().Scan(state::Key(context.tenant(), campaign_id),
                                       state::Key(context.tenant(), campaign_id, run->flush_ordinal()),
                                       [&](std::string_view key, const v1::OpenAttempt& open) {
                                         const auto ordinal = Cursor(key.substr(key.size() - sizeof(uint64_t))).Ordered<uint64_t>();
                                         if (due.size() == kFlushedMax || ++looked > kFlushLooksMax) {
                                           flushed.set_next_ordinal(ordinal);
                                           return false;
                                         }
                                         if (open.status() != v1::WAITING || open.retry_at_us() == 0)
                                           return true;  // of the latter it is due already
                                         const auto flush = flushes.find(open.site());
                                         if (flush == flushes.end() || open.opened_at_us() > flush->second.at_us()) return true;
                                         v1::RetryDue& one = due.emplace_back();
                                         one.set_campaign_id(campaign_id);
                                         one.set_ordinal(ordinal);
                                         one.set_flushed_site(open.site());
                                         one.set_flush(flush->second.number());
                                         return true;
                                       });
  for (const v1::RetryDue& one : due) context.Emit(one);
  flushed.set_due(due.size());
  context.Emit(flushed);
  return true;
}

}  // namespace maily::sends
