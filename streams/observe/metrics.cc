// Own atomic cells; prometheus-cpp writes the text.
#include "streams/observe/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

#include "streams/base/result.h"

namespace maily::observe {

namespace internal {
std::atomic<uint64_t> no_counter{0};
std::atomic<int64_t> no_gauge{0};
HistogramCell no_histogram{{}};
}  // namespace internal

namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

struct Series {
  Labels labels;
  std::unique_ptr<std::atomic<uint64_t>> counter;
  std::unique_ptr<std::atomic<int64_t>> gauge;
  std::unique_ptr<internal::HistogramCell> histogram;
  std::function<double()> probe;
  uint64_t probe_id = 0;
};

struct Family {
  std::string help;
  MetricType type = MetricType::Untyped;
  std::vector<double> bounds;
  std::map<Labels, Series> series;
};

std::vector<ClientMetric::Label> ToPrometheus(const Labels& labels) {
  std::vector<ClientMetric::Label> out;
  for (const auto& [name, value] : labels) out.push_back({name, value});
  return out;
}

ClientMetric Read(const Series& series) {
  ClientMetric metric;
  metric.label = ToPrometheus(series.labels);
  if (series.counter) metric.counter.value = static_cast<double>(series.counter->load(std::memory_order_relaxed));
  if (series.gauge) metric.gauge.value = static_cast<double>(series.gauge->load(std::memory_order_relaxed));
  if (series.probe) metric.gauge.value = series.probe();
  if (series.histogram) {
    const internal::HistogramCell& cell = *series.histogram;
    uint64_t total = 0;
    for (size_t i = 0; i < cell.counts.size(); ++i) {
      total += cell.counts[i].load(std::memory_order_relaxed);
      ClientMetric::Bucket bucket;
      bucket.cumulative_count = total;
      bucket.upper_bound = i < cell.bounds.size() ? cell.bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back(bucket);
    }
    metric.histogram.sample_count = total;
    metric.histogram.sample_sum = cell.sum.load(std::memory_order_relaxed);
  }
  return metric;
}

}  // namespace

struct Metrics::Impl {
  mutable std::mutex mutex;
  std::map<std::string, Family> families;  // guarded by mutex
  uint64_t last_probe = 0;                 // guarded by mutex

  // Call with the mutex held.
  Series& Find(const std::string& name, const std::string& help, MetricType type, Labels labels, const std::vector<double>& bounds = {}) {
    MAILY_CHECK(prometheus::CheckMetricName(name), "metric name '{}'", name);
    Family& family = families[name];
    if (family.type == MetricType::Untyped) {
      family.type = type;
      family.help = help;
      family.bounds = bounds;
    }
    MAILY_CHECK(family.type == type, "metric '{}' was made with another type", name);
    for (const auto& [label, value] : labels) {
      MAILY_CHECK(prometheus::CheckLabelName(label), "label '{}' of metric '{}'", label, name);
    }
    auto at = family.series.find(labels);
    if (at == family.series.end() && family.series.size() >= kSeriesMax) {
      for (auto& [label, value] : labels) value = "other";
      at = family.series.find(labels);
    }
    if (at == family.series.end()) {
      at = family.series.try_emplace(labels).first;
      at->second.labels = std::move(labels);
    }
    return at->second;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Metrics& Metrics::Process() {
  static Metrics* const metrics = new Metrics();  // outlives every handle
  return *metrics;
}

Counter Metrics::AddCounter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->Find(name, help, MetricType::Counter, labels);
  if (!series.counter) series.counter = std::make_unique<std::atomic<uint64_t>>(0);
  return Counter(series.counter.get());
}

Gauge Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->Find(name, help, MetricType::Gauge, labels);
  if (!series.gauge) series.gauge = std::make_unique<std::atomic<int64_t>>(0);
  series.probe = nullptr;
  return Gauge(series.gauge.get());
}

Histogram Metrics::AddHistogram(const std::string& name, const std::string& help, std::vector<double> bounds, const Labels& labels) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->Find(name, help, MetricType::Histogram, labels, bounds);
  if (!series.histogram) series.histogram = std::make_unique<internal::HistogramCell>(impl_->families[name].bounds);
  return Histogram(series.histogram.get());
}

Metrics::Probe Metrics::AddProbe(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> read) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->Find(name, help, MetricType::Gauge, labels);
  MAILY_CHECK(!series.gauge, "metric '{}' is already a gauge with these labels", name);
  series.probe = std::move(read);
  series.probe_id = ++impl_->last_probe;
  return Probe(this, series.probe_id);
}

Metrics::Probe::~Probe() {
  if (metrics_ == nullptr) return;
  const std::lock_guard lock(metrics_->impl_->mutex);
  for (auto& [name, family] : metrics_->impl_->families) {
    std::erase_if(family.series, [this](const auto& entry) { return entry.second.probe && entry.second.probe_id == id_; });
  }
}

std::string Metrics::PrometheusText() const {
  std::vector<prometheus::MetricFamily> out;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [name, family] : impl_->families) {
      if (family.series.empty()) continue;
      prometheus::MetricFamily made{name, family.help, family.type, {}};
      for (const auto& [labels, series] : family.series) made.metric.push_back(Read(series));
      out.push_back(std::move(made));
    }
  }
  return prometheus::TextSerializer().Serialize(out);
}

uint64_t Histogram::count() const {
  uint64_t total = 0;
  for (const auto& count : cell_->counts) total += count.load(std::memory_order_relaxed);
  return total;
}

std::vector<double> LatencyBounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

}  // namespace maily::observe
