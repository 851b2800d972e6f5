// Makes the mail that the API shows as a preview, with the code that makes mails.
#pragma once

#include "api/api.h"
#include "processors/effects/smtp/message.h"
#include "schemas/asset_store.h"
#include "streams/keyring/keyring.h"

namespace maily::app {

// As api::Dependencies::make_preview wants it. `assets`: where enclosed files are read; null: such mails are refused. Thread: any that may
// block.
Result<api::Preview> MakePreview(const api::PreviewSource& source, std::string_view tracking_base_url, const smtp::Returns& returns,
                                 keyring::Keyring& keyring, schema::AssetStore* assets, Instant now);

}  // namespace maily::app
