// See meter.h.
#include "bench/spine/meter.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string_view>

namespace maily::bench {
namespace {

std::atomic<uint64_t> wal_syncs = 0;

void Count(int file) {
  char path[4096];
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", file).c_str(), path, sizeof(path));
  if (size > 0 && std::string_view(path, static_cast<size_t>(size)).ends_with(".log")) wal_syncs.fetch_add(1, std::memory_order_relaxed);
}

double Seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

}  // namespace

double WallSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

uint64_t WalSyncs() { return wal_syncs; }

}  // namespace maily::bench

extern "C" int fdatasync(int file) {
  static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  maily::bench::Count(file);
  return real(file);
}

extern "C" int fsync(int file) {
  static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fsync"));
  maily::bench::Count(file);
  return real(file);
}
