// What the settings webhook_… stand for.
#pragma once

#include "api/webhooks.h"
#include "app/config.h"
#include "streams/base/result.h"

namespace maily::app {

// kInvalid: a secret that is not there or too short, a key that is none, or settings that do not go together.
Result<api::WebhookSettings> WebhookSettingsOf(const Config& config);

}  // namespace maily::app
