// See asset_scanner.h.
#include "app/asset_scanner.h"

#include "app/bounded_process.h"

namespace maily::app {
namespace {

constexpr size_t kWordsBytesMax = 200;
constexpr uint64_t kDataBytesMax = uint64_t{4} << 30;  // scanners hold their patterns in memory

// The first line that says something, as text that can be shown.
std::string FirstLine(std::string_view output) {
  while (!output.empty() && (output.front() == '\n' || output.front() == '\r' || output.front() == ' ')) output.remove_prefix(1);
  std::string line(output.substr(0, std::min(output.find_first_of("\r\n"), kWordsBytesMax)));
  for (char& one : line) {
    if (static_cast<unsigned char>(one) < ' ' || static_cast<unsigned char>(one) >= 0x7F) one = '?';
  }
  return line;
}

}  // namespace

Result<api::AssetVerdict> ScanAsset(const AssetScannerOptions& options, std::string_view bytes) {
  const ProcessLimits limits{.time_max = options.time_max,
                             .output_bytes_max = 1 << 16,
                             .cpu_seconds_max = static_cast<uint64_t>(options.time_max.us / 1'000'000) + 1,
                             .data_bytes_max = kDataBytesMax,
                             .network = true};  // clamdscan asks its daemon
  const Result<Finished> finished = RunBounded(options.words, bytes, limits);
  if (!finished) return Fail(Code::kRetry, "the scanner of assets gave no verdict: {}", finished.error().message);
  if (finished->status == 0) return api::AssetVerdict{};
  if (finished->status == 1) return api::AssetVerdict{.clean = false, .words = FirstLine(finished->output)};
  return Fail(Code::kRetry, "the scanner of assets gave no verdict: {} ended with status {}: {}", options.words.front(), finished->status,
              FirstLine(finished->output));
}

}  // namespace maily::app
