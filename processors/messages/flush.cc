// See flush.h.
#include "processors/messages/flush.h"

#include <algorithm>
#include <string>
#include <vector>

#include "maily/messages/v1/events.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::messages {
namespace {

constexpr TenantId kPlatform{0};

}  // namespace

bool FlushSites(task::Context& context) {
  const auto* all = context.view<sites::v1::SiteFlushes>().Find(state::Key(kPlatform));
  const auto* run = context.view<v1::MessageRun>().Find(state::Key(context.tenant()));
  if (all == nullptr || run == nullptr || run->flushed() >= all->newest() || run->deferred() == 0) return false;
  v1::MessagesFlushed flushed;
  flushed.set_order(run->flush_order() != 0 ? run->flush_order() : all->newest());
  const uint64_t after = run->flushed();
  const uint64_t first = std::max(run->flush_message_id(), schema::PackMessageId({context.partition(), 1}));
  struct Waits {
    uint64_t message_id, ordinal;
    std::string site;
    int64_t opened_at_us;
  };
  std::vector<Waits> waiting;
  const std::string prefix = state::Key(context.tenant());
  context.view<sends::v1::OpenAttempt>().Scan(
      prefix, state::Key(context.tenant(), first), [&](std::string_view key, const sends::v1::OpenAttempt& open) {
        Cursor cursor(key.substr(prefix.size()));
        const auto message_id = cursor.Ordered<uint64_t>();
        if (waiting.size() == kFlushLooksMax) {
          flushed.set_next_message_id(message_id);
          return false;
        }
        const bool waits = open.status() == sends::v1::WAITING && open.retry_at_us() != 0;
        waiting.push_back({message_id, cursor.Ordered<uint64_t>(), waits ? open.site() : std::string(), open.opened_at_us()});
        return true;
      });
  size_t due = 0;
  for (const Waits& one : waiting) {
    if (one.site.empty()) continue;
    const auto* flush = context.view<sites::v1::SiteFlush>().Find(state::Key(kPlatform, one.site));
    const bool holds =
        flush != nullptr && flush->order() > after && flush->order() <= flushed.order() && one.opened_at_us <= flush->at_us();
    if (!holds) continue;
    if (due == kFlushedMax) {
      flushed.set_next_message_id(one.message_id);
      break;
    }
    sends::v1::RetryDue retry;
    retry.set_campaign_id(one.message_id);
    retry.set_ordinal(one.ordinal);
    retry.set_flushed_site(one.site);
    retry.set_flush(flush->number());
    context.Emit(retry);
    ++due;
  }
  flushed.set_due(due);
  context.Emit(flushed);
  return true;
}

}  // namespace maily::messages
