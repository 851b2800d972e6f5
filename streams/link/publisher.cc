// See publisher.h.
#include "streams/link/publisher.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <vector>

#include "streams/journal/find.h"
#include "streams/observe/logging.h"

namespace maily::link {
namespace {

constexpr size_t kNewestRecords = 32;        // read back of a topic's partition: a late copy does not hide the last one but by more
constexpr Duration kAheadMax = Seconds(30);  // so much later this process may learn of a frame than another one
constexpr size_t kFramesInARow = 64;         // without anything to send; then others on the executor have their turn

// How far is published; shown on any thread.
struct Seen {
  std::atomic<uint64_t> next = 0;    // offset in the journal
  std::atomic<int64_t> time_us = 0;  // of the last frame
  std::atomic<uint64_t> lsn = 0;
};

// What is sent together.
struct Round {
  std::vector<OutletBatch> batches;  // by topic
  size_t records = 0;
  size_t bytes = 0;
  uint64_t first_lsn = 0;  // of the first decision with a record
  // Up to where the journal is done once it is acknowledged.
  uint64_t next_offset = 0;
  Instant time;
  uint64_t lsn = 0;

  void Clear() {
    for (OutletBatch& batch : batches) batch.Clear();
    records = bytes = 0;
  }
};

std::vector<std::string> TopicsOf(const Outlet& outlet) {
  std::vector<std::string> names;
  for (size_t topic = 0; topic < outlet.topic_count(); ++topic) names.push_back(outlet.topic_name(topic));
  return names;
}

}  // namespace

PublisherMetrics::PublisherMetrics(const std::vector<std::string>& topics) {
  auto& metrics = observe::Metrics::Process();
  resumes = metrics.AddCounter("maily_public_resumes_total", "Times that the end of the public topics was read back, over all partitions.");
  unknown = metrics.AddCounter("maily_public_unknown_appends_total", "Batches to public topics that were not acknowledged.");
  for (const std::string& topic : topics) {
    records.push_back(metrics.AddCounter("maily_public_records_total", "Records published.", {{"topic", topic}}));
  }
}

std::string FormatEventId(PartitionId partition, const EventPlace& place) {
  return fmt::format("{}-{}.{}", partition.value(), place.lsn.value(), place.index);
}

std::optional<EventPlace> ParseEventId(PartitionId partition, std::string_view id) {
  uint16_t owner = 0;
  uint64_t lsn = 0;
  uint32_t index = 0;
  const char* const end = id.data() + id.size();
  const auto dash = std::from_chars(id.data(), end, owner);
  if (dash.ec != std::errc() || dash.ptr == end || *dash.ptr != '-' || owner != partition.value()) return std::nullopt;
  const auto dot = std::from_chars(dash.ptr + 1, end, lsn);
  if (dot.ec != std::errc() || dot.ptr == end || *dot.ptr != '.') return std::nullopt;
  const auto rest = std::from_chars(dot.ptr + 1, end, index);
  if (rest.ec != std::errc() || rest.ptr != end) return std::nullopt;
  return EventPlace{Lsn(lsn), index};
}

// Everything but the atomics and `mutex` lives on the executor.
struct Publisher::Impl : std::enable_shared_from_this<Impl> {
  Impl(Log& log_in, Outlet& outlet_in, Mapping& mapping_in, Executor& executor_in, Clock& clock_in, PartitionId partition_in,
       const PublisherOptions& options_in)
      : log(log_in),
        outlet(outlet_in),
        mapping(mapping_in),
        executor(executor_in),
        clock(clock_in),
        partition(partition_in),
        options(options_in),
        metrics(TopicsOf(outlet_in)),
        id_begin(fmt::format("{}-", partition_in.value())) {
    for (Round* round : {&making, &sent}) round->batches.resize(outlet.topic_count());
  }

  // ---- who leads ----

  void Lead(journal::Tail& led_tail, const journal::Position& led_known) {
    tail = &led_tail;
    known = led_known;
    led = true;
    resuming = true;
    failures = 0;
    Renew();
    {
      const std::lock_guard lock(mutex);
      stopped_why.clear();
    }
    Pump();
  }

  void Leave() {
    leading = led = false;
    reader = nullptr;
    frame = nullptr;
    resuming = true;
  }

  TopicPartition journal_at() const { return {Topic::kJournal, partition}; }

  void Halt(const Error& why) {
    observe::Log(observe::Level::kError, "publishing has stopped", {{"partition", partition}, {"error", why}});
    leading = false;
    const std::lock_guard lock(mutex);
    stopped_why = why.ToString();
  }

  // Calls Pump after a while, once.
  void Later() {
    if (std::exchange(later, true)) return;
    const Duration wait = std::min(options.retry_max, options.retry_min * (int64_t{1} << std::min(failures, 10)));
    ++failures;
    executor.After(wait, Call(&Impl::later));
  }
  // A call of Pump, unless Renew comes before it; then `expected` is false.
  Job Call(bool Impl::* expected) {
    return [weak = weak_from_this(), expected, asked = generation] {
      auto self = weak.lock();
      if (!self || self->generation != asked) return;
      (*self).*expected = false;
      self->Pump();
    };
  }
  // What was to call Pump for an earlier state does not any more.
  void Renew() {
    ++generation;
    waiting = later = posted = false;
  }

  // ---- from the end of the topics ----

  // Of each topic its last event. kRetry: it cannot be known now.
  Result<void> ReadBack() {
    last.assign(outlet.topic_count(), std::nullopt);
    for (size_t topic = 0; topic < last.size(); ++topic) {
      MAILY_TRY(const std::vector<OutletRecord> records, outlet.Newest(topic, partition, kNewestRecords));
      for (const OutletRecord& record : records) {
        const std::string* const text = record.Header(kEventIdHeader);
        const auto place = text == nullptr ? std::nullopt : ParseEventId(partition, *text);
        if (place) last[topic] = std::max(last[topic], place);
      }
      if (!records.empty() && !last[topic]) {
        return Fail(Code::kDiverged, "the last {} records of {} partition {} are not Maily's: who else writes there?", records.size(),
                    outlet.topic_name(topic), partition.value());
      }
    }
    return Ok();
  }

  Result<void> Resume() {
    metrics.resumes.Add();
    MAILY_TRY_VOID(ReadBack());
    const auto newest = *std::ranges::max_element(last);
    journal::Position from;
    if (newest) {
      // With one topic nothing before its last record is missing.
      const uint64_t back = outlet.topic_count() == 1 ? 0 : kPublishWindow - 1;
      MAILY_TRY(from, journal::PositionBefore(log, known, Lsn(newest->lsn.value() > back ? newest->lsn.value() - back : 1)));
    }
    MAILY_TRY(reader, tail->Open(from));
    ahead = newest && newest->lsn > known.lsn ? newest : std::nullopt;
    resumed_at = clock.Steady();
    making.Clear();
    making.next_offset = from.at_genesis ? 0 : from.offset_hint.Next().value();
    making.time = from.time;
    making.lsn = from.lsn.value();
    frame = nullptr;
    Passed(making);
    observe::Log(observe::Level::kInfo, "publishing from the end of the public topics",
                 {{"partition", partition}, {"last", newest ? FormatEventId(partition, *newest) : "none"}, {"from", from.lsn.value()}});
    return Ok();
  }

  void Passed(const Round& round) const {
    seen->next = round.next_offset;
    seen->time_us = round.time.us;
    seen->lsn = round.lsn;
  }

  // ---- rounds ----

  void Pump() {
    if (!leading || under_way > 0) return;
    if (resuming) {
      if (auto resumed = Resume(); !resumed) {
        if (resumed.error().code != Code::kRetry) return Halt(resumed.error());
        observe::Log(observe::Level::kWarn, "the public topics cannot be read back",
                     {{"partition", partition}, {"error", resumed.error()}});
        return Later();
      }
      resuming = false;
    }
    Fill();
    if (leading) Send();
  }

  bool Full() const { return making.records >= options.round_records || making.bytes >= options.round_bytes; }

  // Takes from the journal what fits in the round being made; asks to be called again if there is nothing more.
  void Fill() {
    for (size_t frames = 0; !Full();) {
      if (frame == nullptr) {
        if (frames++ == kFramesInARow && making.records == 0) {
          if (!std::exchange(posted, true)) executor.Post(Call(&Impl::posted));
          return;
        }
        const uint64_t end = log.Ends(journal_at()).durable.value();
        auto next = reader->Next();
        if (!next && next.error().code != Code::kRetry) return Halt(next.error());
        if (!next) return Later();
        if (*next == nullptr) {
          making.next_offset = std::max(making.next_offset, end);  // what was passed over holds nothing for anybody
          if (ahead && !Reaches(*ahead)) return;
          if (!std::exchange(waiting, true)) reader->WhenReady(executor, Call(&Impl::waiting));
          return;
        }
        frame = *std::move(next);
        decision = event = 0;
      }
      if (!TakeFrame()) return;
    }
  }

  // Whether the journal has come to an event that somebody has published, who may know it sooner. If it never does, it is another journal.
  bool Reaches(const EventPlace& place) {
    if (reader->position().lsn >= place.lsn) {
      ahead.reset();
      return true;
    }
    if (clock.Steady() - resumed_at < kAheadMax) {
      Later();
    } else {
      Halt(Fail(Code::kDiverged, "the public topics hold event {} and the journal ends at decision {}: they are of another log",
                FormatEventId(partition, place), reader->position().lsn.value()));
    }
    return false;
  }

  // Takes the rest of `frame`. False: not all of it, for now.
  bool TakeFrame() {
    for (; decision < frame->decisions.size(); ++decision, event = 0) {
      const uint64_t lsn = frame->first_lsn.value() + decision;
      if (Full() || (making.records > 0 && lsn - making.first_lsn >= kPublishWindow)) return false;
      const journal::Decision& of = frame->decisions[decision];
      for (; event < of.events.size(); ++event) {
        if (!TakeEvent(of, {Lsn(lsn), static_cast<uint32_t>(event)})) return false;
      }
      making.lsn = lsn;
    }
    making.next_offset = frame->offset.Next().value();
    making.time = frame->time;
    frame = nullptr;
    return true;
  }

  bool TakeEvent(const journal::Decision& of, const EventPlace& place) {
    const journal::Event& what = of.events[place.index];
    const auto topic = mapping.TopicOf(what);
    if (!topic || (last[*topic] && place <= *last[*topic])) return true;
    OutletBatch& batch = making.batches[*topic];
    const size_t records = batch.size();
    const size_t bytes = batch.bytes();
    if (auto mapped = mapping.Map({*frame, of, what, partition, IdOf(place)}, batch); !mapped) {
      if (mapped.error().code != Code::kRetry) {
        Halt(Fail(mapped.error().code, "event {}: {}", FormatEventId(partition, place), mapped.error().message));
      } else {
        Later();
      }
      return false;
    }
    MAILY_CHECK(batch.size() == records + 1, "event {} became {} records", FormatEventId(partition, place), batch.size() - records);
    if (making.records++ == 0) making.first_lsn = place.lsn.value();
    making.bytes += batch.bytes() - bytes;
    return true;
  }

  // Valid until the next call.
  std::string_view IdOf(const EventPlace& place) {
    char* at = std::ranges::copy(id_begin, id).out;
    at = std::to_chars(at, std::end(id), place.lsn.value()).ptr;
    *at++ = '.';
    at = std::to_chars(at, std::end(id), place.index).ptr;
    return {id, static_cast<size_t>(at - id)};
  }

  void Send() {
    if (making.records == 0) return Passed(making);
    std::swap(making, sent);
    making.Clear();
    making.next_offset = sent.next_offset;
    making.time = sent.time;
    making.lsn = sent.lsn;
    failed = false;
    for (const OutletBatch& batch : sent.batches) under_way += batch.empty() ? 0 : 1;
    for (size_t topic = 0; topic < sent.batches.size(); ++topic) {
      if (sent.batches[topic].empty()) continue;
      outlet.Append(topic, partition, std::move(sent.batches[topic]),
                    [weak = weak_from_this(), on = &executor, topic](Result<void> result, OutletBatch batch) {
                      on->Post([weak, topic, result = std::move(result), batch = std::move(batch)]() mutable {
                        if (auto self = weak.lock()) self->Answered(topic, result, std::move(batch));
                      });
                    });
    }
    if (leading) Fill();  // the next round, meanwhile
  }

  void Answered(size_t topic, const Result<void>& result, OutletBatch batch) {
    if (result) {
      metrics.records[topic].Add(batch.size());
    } else {
      failed = true;
      metrics.unknown.Add();
      observe::Log(observe::Level::kWarn, "a batch to a public topic failed; what is there is read back",
                   {{"partition", partition}, {"error", result.error()}});
    }
    batch.Clear();
    sent.batches[topic] = std::move(batch);
    if (--under_way > 0) return;
    if (!failed) {
      Passed(sent);
      failures = 0;
      return Pump();
    }
    if (!resuming && reader) known = reader->position();
    resuming = true;
    Renew();
    Later();
  }

  Log& log;
  Outlet& outlet;
  Mapping& mapping;
  Executor& executor;
  Clock& clock;
  const PartitionId partition;
  const PublisherOptions options;
  const PublisherMetrics metrics;
  const std::string id_begin;  // "<partition>-"
  char id[64];

  std::atomic<bool> leading = false;
  std::atomic<bool> led = false;   // also after it has stopped by itself
  std::atomic<uint64_t> turn = 0;  // grows with every Lead and Stop: a later one undoes an earlier one that has not come to run
  const std::shared_ptr<Seen> seen = std::make_shared<Seen>();
  mutable std::mutex mutex;
  std::string stopped_why;

  journal::Tail* tail = nullptr;
  journal::Position known;  // where a reader stands: near the end
  std::unique_ptr<journal::TailReader> reader;
  bool resuming = true;
  uint64_t generation = 0;          // grows with every Renew
  std::optional<EventPlace> ahead;  // the newest event published, while the journal has not come to it
  Duration resumed_at;
  bool waiting = false;  // for the reader, as the next two: a call of Pump will come
  bool later = false;
  bool posted = false;
  int failures = 0;                             // in a row
  std::vector<std::optional<EventPlace>> last;  // of each topic, when it was read back

  journal::FramePtr frame;  // being taken, from here on:
  size_t decision = 0;
  size_t event = 0;
  Round making, sent;
  size_t under_way = 0;  // batches of `sent` not answered
  bool failed = false;   // one of them
};

Publisher::Publisher(Log& log, Outlet& outlet, Mapping& mapping, Executor& executor, Clock& clock, PartitionId partition,
                     const PublisherOptions& options)
    : impl_(std::make_shared<Impl>(log, outlet, mapping, executor, clock, partition, options)) {}

Publisher::~Publisher() { impl_->leading = false; }

void Publisher::Lead(journal::Tail& tail, const journal::Position& known) {
  impl_->executor.Post([weak = std::weak_ptr(impl_), &tail, known, turn = ++impl_->turn] {
    auto self = weak.lock();
    if (!self) return;
    self->leading = true;
    if (self->turn != turn) {  // asked after the line above, for Stop says first that its turn has come
      self->leading = false;
      return;
    }
    self->Lead(tail, known);
  });
}

void Publisher::Stop() {
  const uint64_t turn = ++impl_->turn;
  impl_->leading = false;
  impl_->executor.Post([weak = std::weak_ptr(impl_), turn] {
    if (auto self = weak.lock(); self && self->turn == turn) self->Leave();
  });
}

Lsn Publisher::published() const { return Lsn(impl_->seen->lsn); }

Publisher::Lag Publisher::lag() const {
  const Impl& impl = *impl_;
  const uint64_t end = impl.led ? impl.log.Ends(impl.journal_at()).durable.value() : 0;
  const uint64_t next = impl.seen->next;
  if (end <= next) return {};
  return {end - next, std::max(Duration{}, impl.clock.Now() - Instant{impl.seen->time_us})};
}

std::string Publisher::stopped_why() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->stopped_why;
}

}  // namespace maily::link
