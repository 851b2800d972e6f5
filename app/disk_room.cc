#include "app/disk_room.h"

#include <fmt/format.h>

namespace maily {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kWarnPercent = 80;
constexpr double kFailPercent = 90;
constexpr double kAmpleGiB = 100;
constexpr double kEnoughGiB = 20;

double AvailableGiB(const DiskRoom& room) { return static_cast<double>(room.AvailableBytes()) / kGiB; }

}  // namespace

double DiskRoom::UsedPercent() const {
  const auto used = static_cast<double>(blocks - free);
  const double usable = used + static_cast<double>(available);
  return usable > 0 ? 100.0 * used / usable : 100.0;
}

std::uint64_t DiskRoom::AvailableBytes() const { return available * block_size; }

DiskLevel Judge(const DiskRoom& room) {
  const double used = room.UsedPercent();
  const double left = AvailableGiB(room);
  if (used > kFailPercent && left < kEnoughGiB) return DiskLevel::kFail;
  if (used > kWarnPercent && left < kAmpleGiB) return DiskLevel::kWarn;
  return DiskLevel::kOk;
}

std::string Describe(const DiskRoom& room) { return fmt::format("{:.0f} % used, {:.1f} GiB left", room.UsedPercent(), AvailableGiB(room)); }

}  // namespace maily
