// Result<T>: a value or an Error whose code names what the caller has to do about it.
//
// Three kinds of "no" are kept apart: a business "no" is an event, an environment "no" is a Result, a programmer's "no" is a CHECK.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace maily {

// What the caller does about a failure.
enum class Code {
  kRetry,     // the same input may succeed later: wait, then try again
  kConflict,  // something changed meanwhile: read again, decide again
  kNotFound,  // there is no such thing
  kInvalid,   // the input is wrong and will stay wrong: reject it, never retry
  kFenced,    // another owner took over: stop this task
  kCorrupt,   // stored bytes are wrong: stop the task; the operator or --auto-heal repairs
  kDiverged,  // a position or chain does not fit the log: same reaction as kCorrupt
  kFatal,     // the process cannot go on
};

// "retry", "conflict", …: the spelling in logs and JSON.
inline const char* CodeName(Code code) {
  switch (code) {
    case Code::kRetry:
      return "retry";
    case Code::kConflict:
      return "conflict";
    case Code::kNotFound:
      return "not_found";
    case Code::kInvalid:
      return "invalid";
    case Code::kFenced:
      return "fenced";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kDiverged:
      return "diverged";
    case Code::kFatal:
      return "fatal";
  }
  return "fatal";
}

struct Error {
  Code code = Code::kFatal;
  std::string message;  // what, which (topic/partition/offset, file, option), and a hint

  std::string ToString() const { return fmt::format("{}: {}", CodeName(code), message); }
};

// Makes an Error: return Fail(Code::kRetry, "append to {} failed: {}", topic, why);
template <class... Args>
[[nodiscard]] Error Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

// Prints and aborts; the end of every failed CHECK, in release builds too.
[[noreturn]] inline void Die(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what.c_str());
  std::abort();
}

#define MAILY_CHECK(condition, ...)                                                              \
  do {                                                                                           \
    if (!(condition)) [[unlikely]]                                                               \
      ::maily::Die(__FILE__, __LINE__, std::string(#condition ": ") + fmt::format(__VA_ARGS__)); \
  } while (false)

// The member names are those of std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // The value; a CHECK fails if there is none. Of a temporary by value, so that a range-for over *Call() has something to go over.
  T& value() & {
    Require();
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    Require();
    return *std::get_if<0>(&state_);
  }
  T value() && {
    Require();
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // The error; a CHECK fails if there is a value.
  const Error& error() const {
    MAILY_CHECK(!has_value(), "error() of a Result that holds a value");
    return *std::get_if<1>(&state_);
  }
  // Says in the code that, and why, a failure here is of no consequence.
  void IgnoreError(const char* /*why*/) const {}

 private:
  void Require() const {
    if (!has_value()) [[unlikely]]
      Die(__FILE__, __LINE__, "value of a failed Result: " + std::get_if<1>(&state_)->ToString());
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  void value() const {
    if (!ok_) [[unlikely]]
      Die(__FILE__, __LINE__, "value of a failed Result: " + error_.ToString());
  }
  const Error& error() const {
    MAILY_CHECK(!ok_, "error() of a Result without one");
    return error_;
  }
  void IgnoreError(const char* /*why*/) const {}

 private:
  Error error_;
  bool ok_ = true;
};

inline Result<void> Ok() { return {}; }

#define MAILY_CONCAT_(a, b) a##b
#define MAILY_CONCAT(a, b) MAILY_CONCAT_(a, b)
#define MAILY_TRY_(result, variable, expression) \
  auto result = (expression);                    \
  if (!result) [[unlikely]]                      \
    return result.error();                       \
  variable = std::move(result).value()

// MAILY_TRY(auto record, log.Read(…)): the value, or the error is returned to the caller.
#define MAILY_TRY(variable, expression) MAILY_TRY_(MAILY_CONCAT(maily_try_, __LINE__), variable, expression)

// MAILY_TRY_VOID(store.Flush()): goes on, or returns the error to the caller.
#define MAILY_TRY_VOID(expression)                                        \
  do {                                                                    \
    if (auto maily_try_void = (expression); !maily_try_void) [[unlikely]] \
      return maily_try_void.error();                                      \
  } while (false)

}  // namespace maily
