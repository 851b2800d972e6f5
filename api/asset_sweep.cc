// See asset_sweep.h; the numbers in the body are those of its steps.
#include "api/asset_sweep.h"

#include <algorithm>
#include <map>

#include "api/submit.h"
#include "maily/assets/v1/commands.pb.h"
#include "maily/messages/v1/commands.pb.h"
#include "schemas/asset_store.h"
#include "schemas/keys.h"
#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::api {
namespace {

constexpr size_t kPage = 256;
constexpr size_t kAttachmentPage = 10'000;  // a folder is walked for each page
constexpr size_t kReleasesMax = 256;        // processors/messages/decide.h

observe::Counter Removed() {
  return observe::Metrics::Process().AddCounter("maily_asset_blobs_removed_total",
                                                "Blobs of assets and attachments that nobody named any more.");
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

  // What is asked of one partition: whether these blobs are free.
  struct Question {
    TenantId tenant;
    gateway::Order order;
    std::vector<std::string> blobs;
    bool assets = false;
  };
  struct Going {
    Round round;
    std::vector<Question> ask;
    std::move_only_function<void(const Round&)> done;
  };
  void Begin(std::move_only_function<void(const Round&)> done) {
    const auto going = std::make_shared<Going>();
    going->done = std::move(done);
    AddAssets(*going);
    AddAttachments(*going);
    Ask(going);
  }
  void AddAssets(Going& going) {
    const Instant before{parts.clock.Now().us - options.age.us};
    std::string after;
    for (bool end = false; !end && going.ask.size() < kSweepMax;) {
      auto page = parts.assets.store->List(after, kPage);  // 1
      if (!page) {
        going.round.complete = false;
        break;
      }
      for (auto& copy : page->copies) {
        ++going.round.seen;
        if (before < copy.uploaded_at || Named(copy) || going.ask.size() >= kSweepMax) continue;
        assets::v1::ReleaseBlob command;
        command.set_asset(schema::AssetDigest(copy.id));
        command.set_blob(copy.blob);
        going.ask.push_back({copy.tenant, gateway::PlainOrder(command, schema::HomeKey(copy.tenant)), {std::move(copy.blob)}, true});
      }
      after = page->last;
      end = page->end;
      if (!end && going.ask.size() >= kSweepMax) going.round.complete = false;
    }
  }
  void AddAttachments(Going& going) {
    if (parts.assets.attachments == nullptr) return;
    const Instant before{parts.clock.Now().us - options.attachment_age.us};
    std::map<std::pair<TenantId, PartitionId>, std::vector<std::string>> old;
    std::string after;
    size_t count = 0;
    for (bool end = false; !end;) {
      auto page = parts.assets.attachments->List(after, kAttachmentPage);  // 1
      if (!page) {
        going.round.complete = false;
        break;
      }
      going.round.seen += page->copies.size();
      bool young = false;  // the days are in order: what follows is younger still
      for (auto& copy : page->copies) {
        if ((young = before < copy.uploaded_at)) continue;
        old[{copy.tenant, copy.partition}].push_back(std::move(copy.blob));
        ++count;
      }
      after = page->last;
      end = page->end || young || count >= kAttachmentsSweptMax;
      if (count >= kAttachmentsSweptMax) going.round.complete = false;
    }
    for (auto& [of, blobs] : old) {
      for (size_t at = 0; at < blobs.size(); at += kReleasesMax) {
        messages::v1::ReleaseAttachments command;
        std::vector<std::string> some(blobs.begin() + static_cast<ptrdiff_t>(at),
                                      blobs.begin() + static_cast<ptrdiff_t>(std::min(blobs.size(), at + kReleasesMax)));
        for (const std::string& blob : some) command.add_blobs(blob);
        gateway::Order order = gateway::PlainOrder(command, "");
        order.partition = of.second;
        going.ask.push_back({of.first, std::move(order), std::move(some)});
      }
    }
  }
  // 2
  bool Named(const schema::AssetStore::Copy& copy) const {
    const auto rows =
        parts.views.Query("asset_blob", {{"tenant", sql::Value::Integer(copy.tenant.value())}, {"asset_id", sql::Value::Text(copy.id)}});
    return rows && !rows->empty() && rows->at(0, "blob").bytes == copy.blob;
  }
  void Ask(const std::shared_ptr<Going>& going) {
    if (going->ask.empty()) return going->done(going->round);
    Question one = std::move(going->ask.back());
    going->ask.pop_back();
    const gateway::Order order = std::move(one.order);
    gateway.Submit({one.tenant, "sweep", {}}, order, kDecisionTimeout,  // 3
                   [self = shared_from_this(), going, one = std::move(one)](const gateway::Verdict& verdict) mutable {
                     std::string free = IsDone(verdict) ? AnswerOf(verdict).value("free", "") : "";
                     if (one.assets) free = free == "true" ? "1" : free == "false" ? "0" : "";
                     self->blocking().Post([self, going, one = std::move(one), free = std::move(free)] {
                       self->Remove(*going, one, free);
                       self->Ask(going);
                     });
                   });
  }
  // 4
  void Remove(Going& going, const Question& one, const std::string& free) {
    if (free.size() != one.blobs.size()) going.round.complete = false;
    for (size_t i = 0; i < std::min(free.size(), one.blobs.size()); ++i) {
      if (free[i] != '1') continue;
      const std::string& blob = one.blobs[i];
      if (one.assets ? parts.assets.store->Remove(blob) : parts.assets.attachments->Remove(blob)) {
        ++going.round.removed;
        removed.Add();
      } else {
        going.round.complete = false;
      }
    }
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
