// zstd with a bound on what comes out, so that a small input cannot fill the memory.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily {

// Appends a zstd frame of `raw` to `out`: level 1, or stored if it is small. Thread: any; keeps one context a thread.
void CompressTo(std::string& out, std::string_view raw);

// The raw bytes. kCorrupt if `compressed` is no zstd frame, or if it would give more than `raw_bytes_max` bytes.
Result<std::string> Decompress(std::string_view compressed, size_t raw_bytes_max);

}  // namespace maily
