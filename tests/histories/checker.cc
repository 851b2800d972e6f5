// See checker.h. In this order, as each step needs what the ones before have learned: what was invoked; what is there in the end; outcomes;
// durable reads, which complete the picture where the end was trimmed; then each reader's way, and each producer's.
#include "tests/histories/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

namespace maily::histories {
namespace {

constexpr size_t kPartitionsMax = 256;
constexpr uint64_t kOffsetMax = uint64_t{1} << 32;  // beyond: nobody appended so much
constexpr uint64_t kNumberMax = uint64_t{1} << 32;
constexpr uint64_t kBytesMax = 1'000'000;  // of a record; a larger one is refused
constexpr size_t kExamplesMax = 20;

// What is known of one append, in 8 bytes.
struct Append {
  enum class Outcome : uint8_t { kNotInvoked, kNone, kOk, kRefused, kUnknown };
  static constexpr uint8_t kCopied = 0x80;
  uint64_t place_plus_one : 48 = 0;  // its offset; 0 = not seen anywhere
  uint64_t outcome_bits : 8 = 0;
  uint64_t partition : 8 = 0;

  Outcome outcome() const { return static_cast<Outcome>(outcome_bits & ~kCopied); }
  void set(Outcome outcome) { outcome_bits = static_cast<uint8_t>(outcome) | (outcome_bits & kCopied); }
  // It stands at several offsets; `place` is the last one.
  bool copied() const { return (outcome_bits & kCopied) != 0; }
  void set_copied() { outcome_bits |= kCopied; }
  bool placed() const { return place_plus_one != 0; }
  uint64_t place() const { return place_plus_one - 1; }
  void set_place(uint64_t offset) { place_plus_one = (offset + 1) & Event::kDetailMax; }
};
static_assert(sizeof(Append) == 8);

struct Client {
  uint64_t session = 0;
  std::vector<Append> appends;  // by number - 1
};

struct Session {
  bool ordered = false;  // one order over all partitions
  bool once = false;     // every record is stored once, whatever happens
  bool ended = false;    // in order
  uint64_t unknown = 0;  // appends of unknown outcome
  // By partition, for reads to the written end:
  std::array<uint64_t, kPartitionsMax> durable{};         // one past the last offset that it knew to be durable
  std::array<uint64_t, kPartitionsMax> taken_plus_one{};  // the first offset whose record was gone afterwards
  std::array<uint64_t, kPartitionsMax> stayed{};          // one past the last offset whose record was not
};

struct Partition {
  std::vector<uint64_t> values;  // by offset; 0 = nobody has seen one
  uint64_t begin = 0;            // of the final read
  uint64_t trimming = 0;         // before here it was allowed to go
  uint64_t ValueAt(uint64_t offset) const { return offset < values.size() ? values[offset] : 0; }
  // The first offset in [from, to) that holds a record; `to` if none does.
  uint64_t Next(uint64_t from, uint64_t to) const {
    const uint64_t seen = std::min<uint64_t>(to, values.size());
    while (from < seen && values[from] == 0) ++from;
    return from < seen ? from : to;
  }
};

std::string Named(uint64_t value) { return fmt::format("value {}/{}/{}", PartitionOfValue(value), ClientOf(value), NumberOf(value)); }

enum class How { kAcknowledged, kRead };
std::string_view Words(How how) { return how == How::kAcknowledged ? "was acknowledged" : "was read"; }

class Checker {
 public:
  explicit Checker(std::span<const Track> tracks) : tracks_(tracks), clients_(size_t{1} << 16), partitions_(kPartitionsMax) {}

  Report Run() {
    Each(Role::kSession, [this](const Track& track, Session& session) { TakeSession(track, session); });
    Each(Role::kProducer, [this](const Track& track, Session&) { TakeInvocations(track); });
    Each(Role::kOutcomes, [](const Track& track, Session& session) {
      EachEvent(track, [&](const Event& event) { session.unknown += event.kind() == Kind::kUnknown; });
    });
    Each(Role::kFinal, [this](const Track& track, Session& session) { TakeDurable(track, session, /*last=*/true); });
    Each(Role::kOutcomes, [this](const Track& track, Session& session) { TakeOutcomes(track, session); });
    Each(Role::kDurable, [this](const Track& track, Session& session) { TakeDurable(track, session, /*last=*/false); });
    Each(Role::kFinal, [this](const Track& track, Session&) { FollowReader(track); });  // what it lacks is lost, and counted as that
    Each(Role::kDurable, [this](const Track& track, Session&) { FollowReader(track); });
    Each(Role::kWritten, [this](const Track& track, Session& session) {
      FollowReader(track);
      TakeWritten(track, session);
    });
    for (const auto& [number, session] : sessions_) CheckTakenBack(number, session);
    for (size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i]) CheckProducer(static_cast<uint16_t>(i), *clients_[i]);
    }
    report_.sessions = sessions_.size();
    return std::move(report_);
  }

 private:
  using Outcome = Append::Outcome;

  template <class Visit>
  void Each(Role role, Visit visit) {
    for (const Track& track : tracks_) {
      if (track.events.empty() || track.events[0].kind() != Kind::kTrack || track.events[0].arg() != static_cast<uint8_t>(role)) continue;
      visit(track, sessions_[track.events[0].subject]);
    }
  }
  // Events behind the first, up to the track's end.
  template <class Visit>
  static void EachEvent(const Track& track, Visit visit) {
    for (size_t i = 1; i < track.events.size() && track.events[i].kind() != Kind::kNothing; ++i) visit(track.events[i]);
  }
  // Polls that are there to their last record: each(event, records), the latter of kPolled alone. A killed reader can leave half a poll.
  template <class Visit>
  static void EachPoll(const Track& track, Visit visit) {
    const auto& events = track.events;
    for (size_t i = 1; i < events.size() && events[i].kind() != Kind::kNothing; ++i) {
      if (events[i].kind() != Kind::kPolled) {
        visit(events[i], std::span<const Event>());
        continue;
      }
      const size_t count = events[i].detail();
      if (i + count >= events.size() || events[i + count].kind() != Kind::kRecord) return;
      visit(events[i], events.subspan(i + 1, count));
      i += count;
    }
  }

  template <class... Args>
  void Found(Anomaly which, const Track* track, fmt::format_string<Args...> format, Args&&... args) {
    ++report_.anomalies[static_cast<size_t>(which)];
    if (report_.examples.size() >= kExamplesMax) return;
    report_.examples.push_back(fmt::format("{}: {}{}{}", kAnomalyNames[static_cast<size_t>(which)],
                                           fmt::format(format, std::forward<Args>(args)...), track == nullptr ? "" : "; ",
                                           track == nullptr ? "" : track->name));
  }

  Append* Find(uint64_t value) {
    const uint64_t number = NumberOf(value);
    Client* const client = clients_[ClientOf(value)].get();
    if (client == nullptr || number == 0 || number > client->appends.size()) return nullptr;
    Append& append = client->appends[number - 1];
    return append.outcome() == Outcome::kNotInvoked ? nullptr : &append;
  }

  // ---- what was invoked, and how it ended ----

  void TakeSession(const Track& track, Session& session) {
    session.ordered = (track.events[0].detail() & kOrdered) != 0;
    session.once = (track.events[0].detail() & kOnce) != 0;
    EachEvent(track, [&](const Event& event) { session.ended |= event.kind() == Kind::kEnded; });
  }

  void TakeInvocations(const Track& track) {
    auto& client = clients_[track.events[0].detail() & 0xffff];
    client = std::make_unique<Client>();
    client->session = track.events[0].subject;
    EachEvent(track, [&](const Event& event) {
      const uint64_t number = NumberOf(event.subject);
      if (event.kind() != Kind::kInvoked || number == 0 || number > kNumberMax) return;
      if (number > client->appends.size()) client->appends.resize(number);
      Append& append = client->appends[number - 1];
      append.set(event.detail() > kBytesMax ? Outcome::kRefused : Outcome::kNone);  // whether it was answered or not
      append.partition = PartitionOfValue(event.subject);
      ++report_.appends;
    });
  }

  void TakeOutcomes(const Track& track, Session& session) {
    EachEvent(track, [&](const Event& event) {
      Append* const append = Find(event.subject);
      if (append == nullptr) return Found(Anomaly::kForeignRead, &track, "{} was answered and never invoked", Named(event.subject));
      switch (event.kind()) {
        case Kind::kOk: {
          ++report_.acknowledged;
          const uint8_t partition = static_cast<uint8_t>(append->partition);
          Place(track, event.subject, partition, event.detail(), How::kAcknowledged);
          append->set(Outcome::kOk);
          session.durable[partition] = std::max(session.durable[partition], event.detail() + 1);
          break;
        }
        case Kind::kOkSomewhere:
          ++report_.acknowledged;
          ++report_.acknowledged_somewhere;
          append->set(Outcome::kOk);
          break;
        case Kind::kRefused:
          ++report_.refused;
          append->set(Outcome::kRefused);
          if (append->placed()) Found(Anomaly::kAbortedRead, &track, "{} was refused and is at {}", Named(event.subject), append->place());
          break;
        default:
          ++report_.unknown;
          append->set(Outcome::kUnknown);
          if (event.arg() != static_cast<uint8_t>(Answer::kRetry)) {
            Found(Anomaly::kBadAnswer, &track, "the append of {} ended with code {}", Named(event.subject), event.arg());
          }
      }
    });
  }

  // ---- where things are ----

  // False: that record cannot be.
  bool Known(const Track& track, const Event& record, uint8_t partition) {
    const uint64_t value = record.subject;
    const Append* const append = Find(value);
    if (record.arg() != 0 || append == nullptr || append->partition != partition || record.detail() > kOffsetMax) {
      Found(Anomaly::kForeignRead, &track, "{} at {} of partition {}: {}", Named(value), record.detail(), partition,
            record.arg() != 0   ? "its bytes are others"
            : append == nullptr ? "nobody appended it"
                                : "it was not appended there");
      return false;
    }
    if (append->outcome() == Outcome::kRefused) {
      Found(Anomaly::kAbortedRead, &track, "{} at {} of partition {}: its append was refused", Named(value), record.detail(), partition);
    }
    return true;
  }

  // A value is at an offset, for good.
  void Place(const Track& track, uint64_t value, uint8_t partition, uint64_t offset, How how) {
    if (offset > kOffsetMax) return Found(Anomaly::kForeignRead, &track, "{} at {}: out of all bounds", Named(value), offset);
    TakePlace(track, value, *Find(value), partition, offset, how);
    Partition& there = partitions_[partition];
    const uint64_t other = there.ValueAt(offset);
    if (other == value) return;
    if (other != 0) {
      return Found(Anomaly::kInconsistentOffset, &track, "{} {} at {} of partition {}, where {} is", Named(value), Words(how), offset,
                   partition, Named(other));
    }
    if (final_taken_ && offset >= there.begin) {
      Found(Anomaly::kLostWrite, &track, "{} {} at {} of partition {}; the final read, from {} on, does not have it", Named(value),
            Words(how), offset, partition, there.begin);
    }
    Set(there, offset, value);
  }

  // Where the log does not promise to store a record once, copies are explained by an append of that process whose outcome is unknown, and
  // the last one is acknowledged.
  void TakePlace(const Track& track, uint64_t value, Append& append, uint8_t partition, uint64_t offset, How how) {
    if (!append.placed()) return append.set_place(offset);
    if (append.place() == offset) return;
    const Session& session = sessions_[clients_[ClientOf(value)]->session];
    const bool behind = how == How::kAcknowledged ? offset < append.place() : offset > append.place() && append.outcome() == Outcome::kOk;
    if (session.once || session.unknown == 0 ? !append.copied() : behind) {
      Found(Anomaly::kDuplicate, &track, "{} {} at {} of partition {}, and it is at {}", Named(value), Words(how), offset, partition,
            append.place());
    } else {
      report_.stored_twice += !append.copied();
    }
    append.set_copied();
    append.set_place(std::max(append.place(), offset));
  }

  static void Set(Partition& partition, uint64_t offset, uint64_t value) {
    if (offset >= partition.values.size()) partition.values.resize(std::max<size_t>(offset + 1, partition.values.size() * 5 / 4));
    partition.values[offset] = value;
  }

  void TakeDurable(const Track& track, Session& session, bool last) {
    final_taken_ = !last;
    report_.complete |= last;
    EachPoll(track, [&](const Event& event, std::span<const Event> records) {
      const uint8_t p = event.arg();
      if (event.kind() == Kind::kBegins) partitions_[p].begin = event.subject;
      if (event.kind() == Kind::kTrimming) {
        partitions_[p].trimming = std::max(partitions_[p].trimming, event.subject);
        ++report_.trims;
      }
      for (const Event& record : records) {
        if (!Known(track, record, p)) continue;
        Place(track, record.subject, p, record.detail(), How::kRead);
        session.durable[p] = std::max(session.durable[p], record.detail() + 1);
      }
    });
    final_taken_ = true;
  }

  // ---- readers ----

  void FollowReader(const Track& track) {
    const bool last = track.events[0].arg() == static_cast<uint8_t>(Role::kFinal);
    struct Way {
      uint64_t next = 0;
      bool known = false;  // it has a position
      bool read = false;   // it came there by reading
    };
    std::vector<Way> ways(kPartitionsMax);
    EachPoll(track, [&](const Event& event, std::span<const Event> records) {
      const uint8_t p = event.arg();
      Way& way = ways[p];
      switch (event.kind()) {
        case Kind::kSeek:
          ++report_.seeks;
          way = {.next = event.subject, .known = true, .read = false};
          break;
        case Kind::kPolled:
          ++report_.polls;
          report_.records_read += records.size();
          if (!way.known) way.next = event.subject;
          for (const Event& record : records) FollowRecord(track, p, record, last, way.next);
          way.known = way.read = true;
          break;
        case Kind::kEmpty: {
          ++report_.polls_empty;
          const uint64_t from = way.known ? way.next : event.subject;
          const uint64_t there = partitions_[p].Next(from, event.detail());
          if (there < event.detail()) {
            Found(Anomaly::kStalePoll, &track, "nothing was read at {} of partition {}, {} is at {} and was acknowledged", from, p,
                  Named(partitions_[p].ValueAt(there)), there);
          }
          break;
        }
        case Kind::kFailed:
          ++report_.polls_failed;
          CheckFailure(track, p, event, way.read);
          break;
        case Kind::kBegins:
          if (event.subject > partitions_[p].trimming) {
            Found(Anomaly::kLostWrite, &track, "partition {} begins at {}; it was trimmed to {} only", p, event.subject,
                  partitions_[p].trimming);
          }
          break;
        default:
          break;
      }
    });
  }

  void FollowRecord(const Track& track, uint8_t partition, const Event& record, bool last, uint64_t& next) {
    const uint64_t offset = record.detail();
    if (offset > kOffsetMax) return;  // counted already
    if (offset < next) {
      Found(Anomaly::kNonmonotonicPoll, &track, "offset {} of partition {} was read where {} was next", offset, partition, next);
    }
    if (const uint64_t skipped = partitions_[partition].Next(next, offset); skipped < offset && !last) {
      Found(Anomaly::kSkippedPoll, &track, "offset {} of partition {} was read after {}; {} is at {}", offset, partition, next,
            Named(partitions_[partition].ValueAt(skipped)), skipped);
    }
    next = offset + 1;
  }

  void CheckFailure(const Track& track, uint8_t partition, const Event& event, bool came_by_reading) {
    switch (static_cast<Answer>(event.detail())) {
      case Answer::kRetry:
        return;
      case Answer::kNotFound:
        if (event.subject < partitions_[partition].trimming) return;
        break;
      case Answer::kInvalid:  // a process that just began may not have heard of the end that another one saw
        if (!came_by_reading) return;
        break;
      default:
        break;
    }
    Found(Anomaly::kBadAnswer, &track, "a read at {} of partition {} ended with code {}", event.subject, partition, event.detail());
  }

  // Reads to the written end: what they showed may be gone after a crash, if it was not durable.
  void TakeWritten(const Track& track, Session& session) {
    EachPoll(track, [&](const Event& event, std::span<const Event> records) {
      const uint8_t p = event.arg();
      const Partition& there = partitions_[p];
      for (const Event& record : records) {
        if (!Known(track, record, p)) continue;
        const uint64_t offset = record.detail();
        const uint64_t value = record.subject;
        Append& append = *Find(value);
        if (append.placed()) TakePlace(track, value, append, p, offset, How::kRead);
        const uint64_t other = there.ValueAt(offset);
        if (other == value) {
          session.stayed[p] = std::max(session.stayed[p], offset + 1);
        } else if (other == 0 && offset < there.begin) {  // trimmed, and nobody else has seen it
        } else if (session.ended || offset < session.durable[p]) {
          Found(other == 0 ? Anomaly::kLostWrite : Anomaly::kInconsistentOffset, &track, "{} was read at {} of partition {}, where {} is",
                Named(value), offset, p, other == 0 ? "nothing" : Named(other));
        } else {
          ++report_.taken_back;
          uint64_t& taken = session.taken_plus_one[p];
          taken = taken == 0 ? offset + 1 : std::min(taken, offset + 1);
        }
      }
    });
  }

  void CheckTakenBack(uint64_t number, const Session& session) {
    for (size_t p = 0; p < kPartitionsMax; ++p) {
      if (session.taken_plus_one[p] == 0 || session.stayed[p] < session.taken_plus_one[p]) continue;
      Found(Anomaly::kHole, nullptr, "session {}, partition {}: the record at {} is gone, the one at {} is there", number, p,
            session.taken_plus_one[p] - 1, session.stayed[p] - 1);
    }
  }

  // ---- producers ----

  void CheckProducer(uint16_t id, const Client& client) {
    const Session& session = sessions_[client.session];
    const bool ordered = session.ordered;
    std::array<uint64_t, kPartitionsMax> next{};
    size_t missing = SIZE_MAX;  // the first one that is not there, of an ordered log
    for (size_t i = 0; i < client.appends.size(); ++i) {
      const Append& append = client.appends[i];
      const bool ok = append.outcome() == Outcome::kOk;
      const bool unanswered = append.outcome() == Outcome::kNone;
      report_.unanswered += unanswered;
      if (!ok && !unanswered) continue;
      const uint8_t p = static_cast<uint8_t>(append.partition);
      const uint64_t value = ValueOf(p, id, i + 1);
      if (!append.placed()) {
        if (partitions_[p].begin > 0) {
          report_.not_verifiable += ok;
        } else if (ok) {
          Found(Anomaly::kLostWrite, nullptr, "{} was acknowledged, and is nowhere", Named(value));
        } else if (missing == SIZE_MAX) {
          missing = i;
        }
        continue;
      }
      if (ordered && missing != SIZE_MAX) {
        Found(Anomaly::kHole, nullptr, "{} is there, {} that its thread appended before is not", Named(value),
              Named(ValueOf(static_cast<uint8_t>(client.appends[missing].partition), id, missing + 1)));
        missing = SIZE_MAX;
      }
      if ((!ok && !ordered) || (append.copied() && session.once)) continue;  // a copy was counted already
      if (append.place() + 1 < next[p]) {
        Found(Anomaly::kNonmonotonicSend, nullptr, "{} is at {} of partition {}, behind it stands what its thread appended before, at {}",
              Named(value), append.place(), p, next[p] - 1);
      }
      next[p] = append.place() + 1;
    }
  }

  const std::span<const Track> tracks_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Partition> partitions_;
  std::map<uint64_t, Session> sessions_;
  bool final_taken_ = false;
  Report report_;
};

}  // namespace

Report Check(std::span<const Track> tracks) { return Checker(tracks).Run(); }

}  // namespace maily::histories
