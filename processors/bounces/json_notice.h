// Notifications of Amazon SES that come by mail through SNS: JSON, inside a string of JSON.
#pragma once

#include <string_view>

#include "processors/bounces/report.h"

namespace maily::bounces {

// Fills the report and gives true if the text is such a notification, of whatever kind.
bool ReadJsonNotice(std::string_view text, Report& report);

}  // namespace maily::bounces
