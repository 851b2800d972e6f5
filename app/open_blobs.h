// Opens the place for blobs that a setting names: a folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"
#include "streams/port/blobs.h"

namespace maily::app {

// Whether the value of setting `name` can name a place: empty, a path or file:///path. kInvalid: it cannot; s3:// is not implemented.
Result<void> CheckBlobs(std::string_view name, const std::string& setting);

// Of a value that CheckBlobs accepts; null if it is empty. Whether the place can be reached shows when it is used.
std::unique_ptr<Blobs> OpenBlobs(const std::string& setting);

}  // namespace maily::app
