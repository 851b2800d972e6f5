// See asset_sweep.h; the numbers in the body are those of its steps.
#include "api/asset_sweep.h"

#include "api/submit.h"
#include "maily/assets/v1/commands.pb.h"
#include "schemas/asset_store.h"
#include "schemas/keys.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

constexpr size_t kPage = 256;

observe::Counter Removed() {
  return observe::Metrics::Process().AddCounter("maily_asset_blobs_removed_total", "Blobs of assets that nobody named any more.");
}

}  // namespace

struct AssetSweep::Impl : std::enable_shared_from_this<Impl> {
  Impl(const Dependencies& parts_in, Options options_in)
      : parts(parts_in),
        options(std::move(options_in)),
        gateway({.sender = parts.sender,
                 .replies = parts.replies,
                 .keyring = parts.keyring,
                 .views = parts.views,
                 .clock = parts.clock,
                 .entropy = parts.entropy,
                 .executor = parts.executor,
                 .blocking = *parts.blocking.front(),
                 .log = parts.log}) {}
  Executor& blocking() const { return *parts.blocking.front(); }

  void Later(Duration delay) {
    blocking().After(delay, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      if (self->options.mine && !self->options.mine()) return self->Later(self->options.every);
      self->Begin([weak](const Round& round) {
        const auto then = weak.lock();
        if (!then) return;
        if (round.removed > 0 || !round.complete) {
          observe::Log(observe::Level::kInfo, "blobs of assets were swept",
                       {{"seen", round.seen}, {"removed", round.removed}, {"complete", round.complete}});
        }
        then->Later(then->options.every);
      });
    });
  }

  struct Going {
    Round round;
    std::vector<schema::AssetStore::Copy> ask;
    std::move_only_function<void(const Round&)> done;
  };
  void Begin(std::move_only_function<void(const Round&)> done) {
    const auto going = std::make_shared<Going>();
    going->done = std::move(done);
    const Instant before{parts.clock.Now().us - options.age.us};
    std::string after;
    for (bool end = false; !end && going->ask.size() < kSweepMax;) {
      auto page = parts.assets.store->List(after, kPage);  // 1
      if (!page) {
        going->round.complete = false;
        break;
      }
      for (auto& copy : page->copies) {
        ++going->round.seen;
        if (before < copy.uploaded_at || Named(copy)) continue;
        if (going->ask.size() < kSweepMax) going->ask.push_back(std::move(copy));
      }
      after = page->last;
      end = page->end;
      if (!end && going->ask.size() >= kSweepMax) going->round.complete = false;
    }
    Ask(going);
  }
  // 2
  bool Named(const schema::AssetStore::Copy& copy) const {
    const auto rows =
        parts.views.Query("asset_blob", {{"tenant", sql::Value::Integer(copy.tenant.value())}, {"asset_id", sql::Value::Text(copy.id)}});
    return rows && !rows->empty() && rows->at(0, "blob").bytes == copy.blob;
  }
  void Ask(const std::shared_ptr<Going>& going) {
    if (going->ask.empty()) return going->done(going->round);
    auto copy = std::move(going->ask.back());
    going->ask.pop_back();
    assets::v1::ReleaseBlob command;
    command.set_asset(schema::AssetDigest(copy.id));
    command.set_blob(copy.blob);
    gateway.Submit({copy.tenant, "sweep", {}}, gateway::PlainOrder(command, schema::HomeKey(copy.tenant)), kDecisionTimeout,  // 3
                   [self = shared_from_this(), going, blob = std::move(copy.blob)](const gateway::Verdict& verdict) {
                     const bool decided = IsDone(verdict);
                     const bool free = decided && AnswerOf(verdict).value("free", "") == "true";
                     self->blocking().Post([self, going, blob, decided, free] {
                       if (!decided) going->round.complete = false;
                       if (free && self->parts.assets.store->Remove(blob)) {  // 4
                         ++going->round.removed;
                         self->removed.Add();
                       } else if (free) {
                         going->round.complete = false;
                       }
                       self->Ask(going);
                     });
                   });
  }

  const Dependencies& parts;
  const Options options;
  gateway::Gateway gateway;
  observe::Counter removed = Removed();
};

AssetSweep::AssetSweep(const Dependencies& parts, Options options) : impl_(std::make_shared<Impl>(parts, std::move(options))) {
  impl_->Later(impl_->options.first);
}
AssetSweep::~AssetSweep() = default;

void AssetSweep::NameMetrics() { Removed(); }

void AssetSweep::Sweep(std::move_only_function<void(const Round&)> done) {
  impl_->blocking().Post([impl = impl_, done = std::move(done)]() mutable { impl->Begin(std::move(done)); });
}

}  // namespace maily::api
