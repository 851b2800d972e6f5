// What the API says about itself, and what it could not decide.
#include "api/engagements.h"
#include "api/handlers.h"
#include "api/inbound_mail.h"
#include "api/read.h"

namespace maily::api {

void ListDeadLetters(Call call) {
  List(std::move(call), {.query = "dead_letters",
                         .key = {"partition", "sequence"},
                         .key_parameters = {"after_partition", "after"},
                         .first = {Value::Integer(-1), Value::Integer(-1)}});
}

void ShowLimits(Call call) {
  Answer(call, 200,
         {{"body_bytes_max", kBodyBytesMax},
          {"json_depth_max", 64},
          {"page_size_max", kPageSizeMax},
          {"page_size_default", kPageSizeDefault},
          {"wait_ms_max", kWaitMsMax},
          {"decision_timeout_ms", kDecisionTimeout.us / 1000},
          {"idempotency_key_hours", 24},
          {"event_id_hours", 24},
          {"events_per_batch_max", kEventsPerBatchMax},
          {"event_bytes_max", kEventBytesMax},
          {"inbound_bytes_max", kInboundBytesMax},
          {"suppressions_per_batch_max", 1000},
          {"import_field_bytes_max", 64 * 1024},
          {"import_row_bytes_max", 256 * 1024},
          {"import_columns_max", 500},
          {"attribute_bytes_max", gateway::kAttributeBytesMax}});
}

}  // namespace maily::api
