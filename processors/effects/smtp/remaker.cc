// See remaker.h.
#include "processors/effects/smtp/remaker.h"

#include <utility>

namespace maily::smtp {

// One leadership of one partition. Lives on its executor.
class Remaker::Window : public std::enable_shared_from_this<Window> {
 public:
  Window(Executor& executor_in, state::Cache& cache, PartitionId partition)
      : executor(executor_in), cache_(&cache), partition_(partition) {}

  void Close() { cache_ = nullptr; }

  void Make(const std::shared_ptr<const Options>& options, std::shared_ptr<const Sent> sent, std::function<void(Remade)> done) {
    if (cache_ == nullptr) return done(NotHere());
    Maker maker(options->tracking_base_url, options->returns, *options->keyring, options->tails);
    const std::string* content = sent->content ? &*sent->content : nullptr;
    const mime::Plan* plan = maker.Lacks(sent->tenant, sent->opened.campaign_id(), sent->opened.arm(), *cache_, content);
    if (plan == nullptr) return done(Finish(maker, *sent, Tail()));
    options->tails->Load(
        sent->tenant, *plan, executor, [self = shared_from_this(), options, sent, done = std::move(done)](Result<Tail> tail) {
          if (!tail) {
            const bool erased = tail.error().code == Code::kNotFound;
            return done({.cannot = erased ? Cannot::kErased : Cannot::kFilesGone, .why = tail.error().message, .bytes = {}, .digest = {}});
          }
          if (self->cache_ == nullptr) return done(NotHere());
          Maker again(options->tracking_base_url, options->returns, *options->keyring, options->tails);
          done(self->Finish(again, *sent, *std::move(tail)));
        });
  }

  static Remade NotHere() {
    return {.cannot = Cannot::kElsewhere, .why = "this process does not lead the partition of this mail", .bytes = {}, .digest = {}};
  }

  Executor& executor;

 private:
  Remade Finish(Maker& maker, const Sent& sent, Tail tail) {
    Made made;
    const std::string* content = sent.content ? &*sent.content : nullptr;
    const auto can = maker.Make(sent.tenant, partition_, sent.opened, sent.first_opened_at, *cache_, made, std::move(tail), content);
    if (!can) {
      const Cannot why = can.error().code == Code::kNotFound ? Cannot::kErased : Cannot::kOther;
      return {.cannot = why, .why = can.error().message, .bytes = {}, .digest = {}};
    }
    Remade remade{.cannot = Cannot::kNothing, .why = {}, .bytes = {}, .digest = MailDigest(made)};
    remade.bytes = std::move(made.data);
    if (made.tail) remade.bytes += *made.tail;
    return remade;
  }

  state::Cache* cache_;  // null: closed
  const PartitionId partition_;
};

class Remaker::Opener : public effects::Effect {
 public:
  Opener(Executor& executor, std::shared_ptr<Windows> windows) : executor_(executor), windows_(std::move(windows)) {}
  ~Opener() override { Stop(); }

  void Lead(const effects::Leadership& leadership) override {
    partition_ = leadership.partition;
    window_ = std::make_shared<Window>(executor_, *leadership.cache, leadership.partition);
    const std::lock_guard lock(windows_->mutex);
    windows_->open[partition_] = window_;
  }
  void Accepted(const journal::AcceptedFrame&) override {}
  void Stop() override {
    if (window_ == nullptr) return;
    window_->Close();
    const std::lock_guard lock(windows_->mutex);
    const auto found = windows_->open.find(partition_);
    if (found != windows_->open.end() && found->second == window_) windows_->open.erase(found);
    window_ = nullptr;
  }

 private:
  Executor& executor_;
  const std::shared_ptr<Windows> windows_;
  PartitionId partition_;
  std::shared_ptr<Window> window_;
};

void Remaker::Make(PartitionId partition, Sent sent, std::function<void(Remade)> done) {
  std::shared_ptr<Window> window;
  {
    const std::lock_guard lock(windows_->mutex);
    const auto found = windows_->open.find(partition);
    if (found != windows_->open.end()) window = found->second;
  }
  if (window == nullptr) return done(Window::NotHere());
  Executor& executor = window->executor;
  executor.Post([window = std::move(window), options = options_, shared = std::make_shared<const Sent>(std::move(sent)),
                 done = std::move(done)]() mutable { window->Make(options, std::move(shared), std::move(done)); });
}

std::unique_ptr<effects::Effect> Remaker::MakeWindow(Executor& executor) { return std::make_unique<Opener>(executor, windows_); }

}  // namespace maily::smtp
