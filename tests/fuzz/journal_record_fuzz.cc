// Records of the journal: as they come, as a genesis or claim whose hash fits, and as a frame whose hashes fit.
#include "streams/base/bytes.h"
#include "streams/base/compress.h"
#include "streams/base/hash.h"
#include "streams/journal/frame.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void Try(std::string_view record) {
  const auto parsed = journal::ParseJournalRecord(record);
  if (!parsed) {
    MAILY_CHECK(parsed.error().code == Code::kInvalid || parsed.error().code == Code::kCorrupt, "{}", parsed.error().ToString());
    return;
  }
  journal::ChainAfter(1, *parsed);
  if (parsed->kind != journal::RecordKind::kFrame) return;
  MAILY_CHECK(parsed->frame.sources.size() <= journal::kSourcesMax, "{} sources", parsed->frame.sources.size());
  const auto body = Decompress(parsed->body, journal::kFrameRawBytesMax);
  MAILY_CHECK(!body || body->size() <= journal::kFrameRawBytesMax, "{} bytes", body->size());
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  fuzz::Try(input);
  // Header and hash.
  std::string record(input);
  PutFixed(record, Xxh3_64(record));
  fuzz::Try(record);
  // Header up to its hashes, then the body: the first byte says how long the header is.
  const size_t wanted = fuzz::TakeByte(input);
  const size_t header = std::min(wanted, input.size());
  record = input.substr(0, header);
  const std::string_view body = input.substr(header);
  PutFixed(record, Xxh3_64(body));
  PutFixed(record, static_cast<uint32_t>(body.size()));
  PutFixed(record, Xxh3_64(record));
  record += body;
  fuzz::Try(record);
  return 0;
}
