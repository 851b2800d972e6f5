// Counters, gauges and histograms with help text and labels, written out as Prometheus text.
//
//   const Counter appended = Metrics::Process().AddCounter("maily_log_records_total", "Records appended.", {{"topic", "journal"}});
//   appended.Add();
//
// A handle is a pointer to its cell: bumping it is one relaxed atomic instruction, without a lock or a look-up. Make handles at
// start and keep them. A handle made without a registry counts into nothing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "streams/base/time.h"

namespace maily::observe {

using Labels = std::vector<std::pair<std::string, std::string>>;

namespace internal {
struct HistogramCell {
  explicit HistogramCell(std::vector<double> upper_bounds) : bounds(std::move(upper_bounds)), counts(bounds.size() + 1) {}
  const std::vector<double> bounds;           // ascending; the last bucket is +Inf
  std::vector<std::atomic<uint64_t>> counts;  // not cumulative
  std::atomic<double> sum{0};
};
extern std::atomic<uint64_t> no_counter;
extern std::atomic<int64_t> no_gauge;
extern HistogramCell no_histogram;
}  // namespace internal

// Only grows. Thread: any.
class Counter {
 public:
  Counter() : cell_(&internal::no_counter) {}
  void Add(uint64_t n = 1) const { cell_->fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return cell_->load(std::memory_order_relaxed); }

 private:
  friend class Metrics;
  explicit Counter(std::atomic<uint64_t>* cell) : cell_(cell) {}
  std::atomic<uint64_t>* cell_;
};

// A whole number that goes up and down: bytes, records, connections. Thread: any.
class Gauge {
 public:
  Gauge() : cell_(&internal::no_gauge) {}
  void Set(int64_t value) const { cell_->store(value, std::memory_order_relaxed); }
  void Add(int64_t n) const { cell_->fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return cell_->load(std::memory_order_relaxed); }

 private:
  friend class Metrics;
  explicit Gauge(std::atomic<int64_t>* cell) : cell_(cell) {}
  std::atomic<int64_t>* cell_;
};

// Counts observations by bucket. Times are observed in seconds. Thread: any.
class Histogram {
 public:
  Histogram() : cell_(&internal::no_histogram) {}
  void Observe(double value) const {
    size_t bucket = 0;
    while (bucket < cell_->bounds.size() && value > cell_->bounds[bucket]) ++bucket;
    cell_->counts[bucket].fetch_add(1, std::memory_order_relaxed);
    cell_->sum.fetch_add(value, std::memory_order_relaxed);
  }
  void Observe(Duration value) const { Observe(static_cast<double>(value.us) / 1e6); }
  uint64_t count() const;

 private:
  friend class Metrics;
  explicit Histogram(internal::HistogramCell* cell) : cell_(cell) {}
  internal::HistogramCell* cell_;
};

// Upper bounds in seconds, 100 µs … 10 s: enough for a sync, a request and a mail.
std::vector<double> LatencyBounds();

// The metrics of a process (or of a test). Names: maily_<area>_<what>_<unit>, counters end in _total.
class Metrics {
 public:
  // Label sets a name may have. One more is counted under every label's value "other", so that outside input cannot fill memory.
  static constexpr size_t kSeriesMax = 1000;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The registry that GET /metrics shows; never destroyed.
  static Metrics& Process();

  // The same name and labels give the same cell again. A name has one type, help text and, for histograms, one set of bounds: the
  // first ones; a name of another type is a CHECK, as is a name or label that Prometheus does not allow. Thread: any, with a lock.
  Counter AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram AddHistogram(const std::string& name, const std::string& help, std::vector<double> bounds = LatencyBounds(),
                         const Labels& labels = {});

  // A gauge that is asked when the text is made: lag in records or seconds. `read` is called on the asking thread, under the
  // registry's lock: it must be quick and may not add metrics. Destroying the handle takes it out and waits for a running call.
  class Probe {
   public:
    Probe() = default;
    Probe(Probe&& other) noexcept : metrics_(std::exchange(other.metrics_, nullptr)), id_(other.id_) {}
    Probe& operator=(Probe&& other) noexcept {
      std::swap(metrics_, other.metrics_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Probe();

   private:
    friend class Metrics;
    Probe(Metrics* metrics, uint64_t id) : metrics_(metrics), id_(id) {}
    Metrics* metrics_ = nullptr;
    uint64_t id_ = 0;
  };
  [[nodiscard]] Probe AddProbe(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> read);

  // Prometheus text format 0.0.4, families in order of name. Thread: any.
  std::string PrometheusText() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::observe
