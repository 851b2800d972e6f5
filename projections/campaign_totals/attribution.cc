// Implements the rule of attribution.
#include "projections/campaign_totals/attribution.h"

namespace maily::projections {

Signal SignalOf(std::string_view event_name) {
  if (event_name == "visit") return Signal::kVisit;
  if (event_name == "conversion") return Signal::kConversion;
  return Signal::kNone;
}

Credit CreditOf(const Assignment& assignment, Signal signal, Instant at, int64_t revenue_cents) {
  if (at < assignment.assigned_at || at - assignment.assigned_at >= kAttributionWindow) return {};
  switch (signal) {
    case Signal::kVisit:
      return {.visits = assignment.visited ? 0 : 1};
    case Signal::kConversion:
      return {.conversions = 1, .revenue_cents = revenue_cents};
    case Signal::kNone:
      return {};
  }
  return {};
}

}  // namespace maily::projections
