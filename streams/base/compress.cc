// See compress.h.
#include "streams/base/compress.h"

#include <zstd.h>

#include <memory>

#include "streams/base/bytes.h"

namespace maily {
namespace {

struct CompressorDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct DecompressorDeleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Below this, what compression saves is not worth its time.
constexpr size_t kSmall = 512;

// A zstd frame of one segment with one raw block (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
void StoreTo(std::string& out, std::string_view raw) {
  out.append("\x28\xB5\x2F\xFD", 4);
  const auto size = static_cast<uint32_t>(raw.size());
  if (size < 256) {
    out += '\x20';  // single segment; content size in one byte
    out += static_cast<char>(size);
  } else {
    out += '\x60';  // in two bytes, less 256
    PutFixed(out, static_cast<uint16_t>(size - 256));
  }
  const uint32_t block = (size << 3U) | 1U;  // raw, the last
  for (unsigned shift = 0; shift < 24; shift += 8) out += static_cast<char>(block >> shift);
  out += raw;
}

}  // namespace

void CompressTo(std::string& out, std::string_view raw) {
  if (raw.size() <= kSmall) return StoreTo(out, raw);
  thread_local std::unique_ptr<ZSTD_CCtx, CompressorDeleter> context(ZSTD_createCCtx());
  const size_t start = out.size();
  out.resize(start + ZSTD_compressBound(raw.size()));
  const size_t size = ZSTD_compressCCtx(context.get(), out.data() + start, out.size() - start, raw.data(), raw.size(), 1);
  MAILY_CHECK(ZSTD_isError(size) == 0, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(start + size);
}

Result<std::string> Decompress(std::string_view compressed, size_t raw_bytes_max) {
  thread_local std::unique_ptr<ZSTD_DCtx, DecompressorDeleter> context(ZSTD_createDCtx());
  const unsigned long long raw_size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (raw_size == ZSTD_CONTENTSIZE_ERROR || raw_size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return Fail(Code::kCorrupt, "not a zstd frame with a stated size ({} bytes)", compressed.size());
  }
  if (raw_size > raw_bytes_max) {
    return Fail(Code::kCorrupt, "zstd frame of {} bytes states {} raw bytes, more than the limit of {}", compressed.size(), raw_size,
                raw_bytes_max);
  }
  std::string raw(raw_size, '\0');
  const size_t size = ZSTD_decompressDCtx(context.get(), raw.data(), raw.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(size) != 0 || size != raw_size) {
    return Fail(Code::kCorrupt, "zstd frame is damaged: {}", ZSTD_isError(size) != 0 ? ZSTD_getErrorName(size) : "short");
  }
  return raw;
}

}  // namespace maily
