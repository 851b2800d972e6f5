// How mail goes to a site from this process, as people are shown it.
#pragma once

#include <nlohmann/json.hpp>

#include "processors/effects/smtp/site.h"

namespace maily::app {

nlohmann::json SiteStatusJson(const smtp::Site::Status& site);

}  // namespace maily::app
