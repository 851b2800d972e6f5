// What the adapter counts; shown by GET /metrics also where the log is another one.
#pragma once

#include "streams/observe/metrics.h"

namespace maily::kafka {

struct Counters {
  observe::Counter append_failures;
  observe::Counter renewals;
  observe::Counter fetch_failures;
  observe::Counter seeks;
  observe::Counter inbox_missed;

  static const Counters& Process() {
    static const Counters counters = Make(observe::Metrics::Process());
    return counters;
  }

 private:
  static Counters Make(observe::Metrics& metrics) {
    return {
        metrics.AddCounter("maily_kafka_append_failures_total", "Appends that Kafka did not acknowledge; each may be stored all the same."),
        metrics.AddCounter("maily_kafka_producer_renewals_total", "Producers replaced after an error that ends one."),
        metrics.AddCounter("maily_kafka_fetch_failures_total", "Errors while reading from Kafka."),
        metrics.AddCounter("maily_kafka_seeks_total", "Reads of old records that had to look for their place."),
        metrics.AddCounter("maily_inbox_missed_total", "Inbox records that were deleted before they were taken, and topics made anew.")};
  }
};

}  // namespace maily::kafka
