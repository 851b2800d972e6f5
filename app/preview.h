// Makes the mail that the API shows as a preview, with the code that makes mails.
#pragma once

#include "api/api.h"
#include "processors/effects/smtp/message.h"
#include "streams/keyring/keyring.h"

namespace maily::app {

// As api::Dependencies::make_preview wants it. Thread: any that may block.
Result<api::Preview> MakePreview(const api::PreviewSource& source, std::string_view tracking_base_url, const smtp::Returns& returns,
                                 keyring::Keyring& keyring, Instant now);

}  // namespace maily::app
