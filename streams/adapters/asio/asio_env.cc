// Jobs are gathered in a vector and drained in one go: one wake-up of the loop serves many posts.
#include "streams/adapters/asio/asio_env.h"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <ctime>

#include "streams/adapters/asio/asio_env_internal.h"
#include "streams/base/result.h"

namespace maily::asio_net {
namespace {

int64_t ReadClock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
}

}  // namespace

Instant SystemClock::Now() { return {ReadClock(CLOCK_REALTIME)}; }
Duration SystemClock::Steady() { return {ReadClock(CLOCK_BOOTTIME)}; }

namespace {

void FillFromKernel(std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    MAILY_CHECK(got > 0 || errno == EINTR, "getrandom failed: errno {}", errno);
    if (got > 0) out = out.subspan(static_cast<size_t>(got));
  }
}

// Kernel bytes fetched ahead, each given out once and wiped: keys, nonces and ids are small, and a call for each costs more than they do.
struct EntropyAhead {
  std::array<uint8_t, 1024> bytes;
  size_t left = 0;
};

}  // namespace

void SystemEntropy::Fill(std::span<uint8_t> out) {
  thread_local EntropyAhead ahead;
  if (out.size() > ahead.bytes.size() / 4) return FillFromKernel(out);
  if (ahead.left < out.size()) {
    FillFromKernel(ahead.bytes);
    ahead.left = ahead.bytes.size();
  }
  const auto from = ahead.bytes.begin() + static_cast<ptrdiff_t>(ahead.bytes.size() - ahead.left);
  std::copy_n(from, out.size(), out.begin());
  std::fill_n(from, out.size(), uint8_t{0});
  ahead.left -= out.size();
}

void Worker::Impl::Post(Job job) {
  {
    const std::lock_guard lock(mutex);
    if (stopped) return;  // `job` is dropped after the lock: its destructor may post
    posted.push_back(std::move(job));
    if (drain_posted) return;
    drain_posted = true;
  }
  boost::asio::post(io, [this] { Drain(); });
}

void Worker::Impl::Drain() {
  {
    const std::lock_guard lock(mutex);
    drain_posted = false;
    running.swap(posted);
  }
  for (Job& job : running) {
    if (io.stopped()) break;
    Run(std::move(job));
  }
  running.clear();
}

void Worker::Impl::Run(Job job) {
  try {
    job();
  } catch (const std::exception& e) {
    Die(__FILE__, __LINE__, std::string("a job threw: ") + e.what());
  } catch (...) {
    Die(__FILE__, __LINE__, "a job threw");
  }
}

TimerId Worker::Impl::After(Duration delay, Job job) {
  const Deadline deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(std::max<int64_t>(delay.us, 0));
  TimerId id = 0;
  bool earliest = false;
  {
    const std::lock_guard lock(mutex);
    if (stopped) return 0;
    id = ++last_timer;
    const auto at = timers.emplace(std::pair(deadline, id), std::move(job)).first;
    deadlines.emplace(id, deadline);
    earliest = at == timers.begin();
  }
  if (earliest) boost::asio::dispatch(io, [this] { Arm(); });
  return id;
}

void Worker::Impl::Cancel(TimerId timer) {
  Job dropped;
  const std::lock_guard lock(mutex);
  const auto deadline = deadlines.find(timer);
  if (deadline == deadlines.end()) return;
  const auto at = timers.find(std::pair(deadline->second, timer));
  dropped = std::move(at->second);
  timers.erase(at);
  deadlines.erase(deadline);
}

void Worker::Impl::Arm() {
  Deadline next;
  {
    const std::lock_guard lock(mutex);
    if (timers.empty()) return;
    next = timers.begin()->first.first;
  }
  alarm.expires_at(next);
  alarm.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) RunDue();
  });
}

void Worker::Impl::RunDue() {
  const Deadline now = std::chrono::steady_clock::now();
  while (!io.stopped()) {
    Job job;
    {
      const std::lock_guard lock(mutex);
      if (timers.empty() || timers.begin()->first.first > now) break;
      deadlines.erase(timers.begin()->first.second);
      job = std::move(timers.begin()->second);
      timers.erase(timers.begin());
    }
    Run(std::move(job));
  }
  Arm();
}

Worker::Worker(const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([impl = impl_.get(), name] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    try {
      impl->io.run();
    } catch (const std::exception& e) {
      Die(__FILE__, __LINE__, std::string("the event loop threw: ") + e.what());
    }
  });
}

Worker::~Worker() { Stop(); }

void Worker::Post(Job job) { impl_->Post(std::move(job)); }
TimerId Worker::After(Duration delay, Job job) { return impl_->After(delay, std::move(job)); }
void Worker::Cancel(TimerId timer) { impl_->Cancel(timer); }
bool Worker::OnThisThread() const { return impl_->thread.get_id() == std::this_thread::get_id(); }

void Worker::Stop() {
  MAILY_CHECK(!OnThisThread(), "a worker cannot stop itself");
  const std::lock_guard once(impl_->stop_mutex);
  std::vector<Job> jobs;
  std::map<std::pair<Impl::Deadline, TimerId>, Job> timers;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopped) return;
    impl_->stopped = true;
    jobs.swap(impl_->posted);
    timers.swap(impl_->timers);
    impl_->deadlines.clear();
  }
  impl_->io.stop();
  impl_->thread.join();
  impl_->alarm.cancel();
}

Workers::Workers(const std::string& name, size_t count) {
  for (size_t i = 0; i < std::max<size_t>(count, 1); ++i) workers_.push_back(std::make_unique<Worker>(fmt::format("{}-{}", name, i)));
}

void Workers::Stop() {
  for (const auto& worker : workers_) worker->Stop();
}

}  // namespace maily::asio_net
