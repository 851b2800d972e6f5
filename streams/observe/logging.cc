// The line is composed here; spdlog only carries it to stderr.
#include "streams/observe/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <mutex>

namespace maily::observe {
namespace {

constexpr size_t kStringBytesMax = 4096;
constexpr size_t kLineBytesMax = 16 * 1024;

std::mutex sink_mutex;
std::function<void(std::string_view)> testing_sink;  // guarded by sink_mutex
std::atomic<bool> has_testing_sink{false};

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("maily", std::make_shared<spdlog::sinks::stderr_sink_mt>());  // lives until the process ends
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

const char* Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
    case Level::kOff:
      break;
  }
  return "off";
}

// Bytes of the well-formed UTF-8 sequence at `at`; 0 if there is none.
size_t Utf8Length(std::string_view s, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const uint8_t first = byte(at);
  const size_t length = first < 0x80                    ? 1
                        : first >= 0xC2 && first < 0xE0 ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (length == 0 || at + length > s.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
  if (first == 0xED && byte(at + 1) > 0x9F) return 0;
  if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
  if (first == 0xF4 && byte(at + 1) > 0x8F) return 0;
  return length;
}

void PutString(std::string& out, std::string_view s) {
  const bool cut = s.size() > kStringBytesMax;
  if (cut) s = s.substr(0, kStringBytesMax);
  out.push_back('"');
  for (size_t i = 0; i < s.size();) {
    const char c = s[i];
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
      ++i;
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7F) {
      if (c == '\n') {
        out.append("\\n");
      } else {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<uint8_t>(c));
      }
      ++i;
    } else if (const size_t length = Utf8Length(s, i); length > 0) {
      out.append(s.substr(i, length));
      i += length;
    } else {
      out.append("\\ufffd");
      ++i;
    }
  }
  out.append(cut ? "…\"" : "\"");
}

void PutValue(std::string& out, const Field::Value& value) {
  std::visit(
      [&out]<class T>(const T& v) {
        if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, std::string>) {
          PutString(out, v);
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(v)) {
            fmt::format_to(std::back_inserter(out), "{}", v);
          } else {
            out.append("null");
          }
        } else {
          fmt::format_to(std::back_inserter(out), "{}", v);
        }
      },
      value);
}

void PutNow(std::string& out) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::time_t seconds = us / 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                 utc.tm_hour, utc.tm_min, utc.tm_sec, us % 1'000'000);
}

}  // namespace

std::optional<Level> LevelFromName(std::string_view name) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError, Level::kOff}) {
    if (name == Name(level)) return level;
  }
  return std::nullopt;
}

namespace internal {

std::atomic<int> least_level{static_cast<int>(Level::kInfo)};

void Write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  try {
    std::string line;
    line.reserve(256);
    line.append("{\"ts\":\"");
    PutNow(line);
    line.append("\",\"level\":\"").append(Name(level)).append("\",\"msg\":");
    PutString(line, message);
    for (const Field& field : fields) {
      if (line.size() > kLineBytesMax - kStringBytesMax) {
        line.append(",\"cut\":true");
        break;
      }
      line.push_back(',');
      PutString(line, field.key());
      line.push_back(':');
      PutValue(line, field.value());
    }
    line.push_back('}');
    if (has_testing_sink.load(std::memory_order_acquire)) {
      const std::lock_guard lock(sink_mutex);
      if (testing_sink) return testing_sink(line);
    }
    Logger().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } catch (...) {
    std::fputs("{\"level\":\"error\",\"msg\":\"a log line could not be written\"}\n", stderr);
  }
}

}  // namespace internal

void SetLevel(Level level) { internal::least_level.store(static_cast<int>(level), std::memory_order_relaxed); }

void SetSinkForTesting(std::function<void(std::string_view)> sink) {
  const std::lock_guard lock(sink_mutex);
  has_testing_sink.store(sink != nullptr, std::memory_order_release);
  testing_sink = std::move(sink);
}

}  // namespace maily::observe
