// See number.h.
#include "processors/personalization/liquid/number.h"

#include <array>
#include <charconv>
#include <cmath>

namespace maily::liquid {
namespace {

constexpr int kScaleMax = 30;
constexpr int kPowersMax = 37;

constexpr std::array<Int, kPowersMax + 1> MakePowers() {
  std::array<Int, kPowersMax + 1> powers{};
  powers[0] = 1;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}
constexpr auto kPowers = MakePowers();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }
bool Fits(Int value) { return value < kIntMax && value > -kIntMax; }

std::optional<Int> Times(Int a, Int b) {
  Int product = 0;
  if (__builtin_mul_overflow(a, b, &product) || !Fits(product)) return std::nullopt;
  return product;
}

// The mantissa of `number` at a larger scale.
std::optional<Int> At(const Number& number, int scale) {
  return Times(number.mantissa, kPowers[static_cast<size_t>(scale - number.scale)]);
}

Number Decimal(Int mantissa, int scale) {
  while (scale > 0 && mantissa % 10 == 0) {
    mantissa /= 10;
    --scale;
  }
  return {Number::Kind::kDecimal, mantissa, scale, 0};
}

Number Real(double value) { return {Number::Kind::kDouble, 0, 0, value}; }

bool BothInt(const Number& a, const Number& b) { return a.is_int() && b.is_int(); }
bool AnyDouble(const Number& a, const Number& b) { return a.kind == Number::Kind::kDouble || b.kind == Number::Kind::kDouble; }

// Rounds down.
Int FloorDivide(Int a, Int b) {
  const Int quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::optional<Number> Sum(const Number& a, const Number& b, int sign) {
  if (!AnyDouble(a, b)) {
    const int scale = std::max(a.scale, b.scale);
    const auto left = At(a, scale);
    const auto right = At(b, scale);
    if (left && right && Fits(*left + sign * *right)) {
      const Int total = *left + sign * *right;
      return BothInt(a, b) ? Number::Of(total) : Decimal(total, scale);
    }
    if (BothInt(a, b)) return std::nullopt;
  }
  return Number::OfDouble(a.ToDouble() + sign * b.ToDouble());
}

}  // namespace

Number Number::OfDouble(double value) {
  if (!std::isfinite(value)) return Real(value);
  char digits[40];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value, std::chars_format::scientific).ptr;
  // d.ddde±xx: the digits are the mantissa, the point moves by the exponent.
  Int mantissa = 0;
  int scale = 0;
  int exponent = 0;
  bool after_point = false;
  for (const char* at = digits; at < end; ++at) {
    if (*at == 'e') {
      ++at;
      const bool minus = *at == '-';
      std::from_chars(at + 1, end, exponent);
      if (minus) exponent = -exponent;
      break;
    }
    if (*at == '.') after_point = true;
    if (!IsDigit(*at)) continue;
    mantissa = mantissa * 10 + (*at - '0');
    scale += after_point;
  }
  if (digits[0] == '-') mantissa = -mantissa;
  scale -= exponent;
  if (scale > kScaleMax || scale < -15) return Real(value);
  return scale < 0 ? Decimal(mantissa * kPowers[static_cast<size_t>(-scale)], 0) : Decimal(mantissa, scale);
}

Number Number::OfText(std::string_view text) {
  std::string_view body = text;
  while (!body.empty() && IsBlank(body.front())) body.remove_prefix(1);
  while (!body.empty() && IsBlank(body.back())) body.remove_suffix(1);
  const std::string_view trimmed = body;
  const bool minus = body.starts_with('-');
  if (minus) body.remove_prefix(1);
  const size_t point = body.find('.');
  const auto all_digits = [](std::string_view part) {
    for (const char c : part) {
      if (!IsDigit(c)) return false;
    }
    return !part.empty();
  };
  if (point != std::string_view::npos && all_digits(body.substr(0, point)) && all_digits(body.substr(point + 1))) {
    if (body.size() <= 31) {
      Int mantissa = 0;
      for (const char c : body) mantissa = c == '.' ? mantissa : mantissa * 10 + (c - '0');
      return Decimal(minus ? -mantissa : mantissa, static_cast<int>(body.size() - point - 1));
    }
    double value = 0;
    std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value);
    return OfDouble(value);
  }
  return Of(LeadingInt(text));
}

double Number::ToDouble() const {
  if (kind == Kind::kDouble) return real;
  if (scale == 0) return static_cast<double>(mantissa);
  // Read back from its digits, so that the double is the nearest one.
  std::string text;
  AppendInt(mantissa, text);
  text += "e-" + std::to_string(scale);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<Number> Add(const Number& a, const Number& b) { return Sum(a, b, 1); }
std::optional<Number> Subtract(const Number& a, const Number& b) { return Sum(a, b, -1); }

std::optional<Number> Multiply(const Number& a, const Number& b) {
  if (!AnyDouble(a, b)) {
    const auto product = Times(a.mantissa, b.mantissa);
    if (product && BothInt(a, b)) return Number::Of(*product);
    if (product && a.scale + b.scale <= kScaleMax) return Decimal(*product, a.scale + b.scale);
    if (BothInt(a, b)) return std::nullopt;
  }
  return Number::OfDouble(a.ToDouble() * b.ToDouble());
}

std::optional<Number> Divide(const Number& a, const Number& b) {
  if (b.is_zero()) return std::nullopt;
  if (BothInt(a, b)) return Number::Of(FloorDivide(a.mantissa, b.mantissa));
  if (!AnyDouble(a, b)) {
    // As many digits of the quotient as the mantissa can hold: far more than a double has.
    Int dividend = a.mantissa;
    int scale = a.scale - b.scale;
    while (scale < kScaleMax) {
      const auto more = Times(dividend, 10);
      if (!more) break;
      dividend = *more;
      ++scale;
    }
    if (scale >= 0) return Decimal(dividend / b.mantissa, scale);
  }
  return Number::OfDouble(a.ToDouble() / b.ToDouble());
}

std::optional<Number> Modulo(const Number& a, const Number& b) {
  if (b.is_zero()) return std::nullopt;
  if (!AnyDouble(a, b)) {
    const int scale = std::max(a.scale, b.scale);
    const auto left = At(a, scale);
    const auto right = At(b, scale);
    if (left && right) {
      const Int rest = *left - FloorDivide(*left, *right) * *right;
      return BothInt(a, b) ? Number::Of(rest) : Decimal(rest, scale);
    }
  }
  const double divisor = b.ToDouble();
  return Number::OfDouble(a.ToDouble() - std::floor(a.ToDouble() / divisor) * divisor);
}

int Compare(const Number& a, const Number& b) {
  if (!AnyDouble(a, b)) {
    const int scale = std::max(a.scale, b.scale);
    const auto left = At(a, scale);
    const auto right = At(b, scale);
    if (left && right) return *left < *right ? -1 : *left > *right ? 1 : 0;
  }
  const double left = a.ToDouble();
  const double right = b.ToDouble();
  return left < right ? -1 : left > right ? 1 : 0;
}

std::optional<Int> Floor(const Number& number) {
  if (number.kind != Number::Kind::kDouble) return FloorDivide(number.mantissa, kPowers[static_cast<size_t>(number.scale)]);
  if (!std::isfinite(number.real) || std::fabs(number.real) > 1e37) return std::nullopt;
  return static_cast<Int>(std::floor(number.real));
}

std::optional<Int> Ceil(const Number& number) {
  if (number.kind != Number::Kind::kDouble) return -FloorDivide(-number.mantissa, kPowers[static_cast<size_t>(number.scale)]);
  if (!std::isfinite(number.real) || std::fabs(number.real) > 1e37) return std::nullopt;
  return static_cast<Int>(std::ceil(number.real));
}

std::optional<Number> Round(const Number& number, int digits) {
  if (number.kind == Number::Kind::kDouble) {
    if (digits > 0) return number;
    const auto whole = Floor(Real(std::fabs(number.real) + 0.5));
    if (!whole) return std::nullopt;
    return Number::Of(number.real < 0 ? -*whole : *whole);
  }
  const int drop = number.scale - digits;  // digits to lose
  if (drop <= 0) return number;
  if (drop > kPowersMax) return Number::Of(0);
  const Int unit = kPowers[static_cast<size_t>(drop)];
  const bool minus = number.mantissa < 0;
  const Int size = minus ? -number.mantissa : number.mantissa;
  Int rounded = size / unit + (size % unit >= unit - unit / 2 ? 1 : 0);
  if (minus) rounded = -rounded;
  if (digits > 0 && !number.is_int()) return Decimal(rounded, digits);
  const auto whole =
      digits < 0 && -digits > kPowersMax ? std::optional<Int>(0) : Times(rounded, kPowers[static_cast<size_t>(std::max(0, -digits))]);
  if (!whole) return std::nullopt;
  return Number::Of(*whole);
}

void AppendInt(Int value, std::string& out) {
  char digits[48];
  char* at = std::end(digits);
  const bool minus = value < 0;
  do {
    const int digit = static_cast<int>(value % 10);
    *--at = static_cast<char>('0' + (digit < 0 ? -digit : digit));
    value /= 10;
  } while (value != 0);
  if (minus) *--at = '-';
  out.append(at, std::end(digits));
}

void AppendDouble(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  char digits[64];
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end =
      std::to_chars(std::begin(digits), std::end(digits), value, fixed ? std::chars_format::fixed : std::chars_format::scientific).ptr;
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  const size_t exponent = std::min(text.find('e'), text.size());
  out += text.substr(0, exponent);
  if (text.substr(0, exponent).find('.') == std::string_view::npos) out += ".0";
  out += text.substr(exponent);
}

Int LeadingInt(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && IsBlank(text[at]) && text[at] != '\0') ++at;
  const bool minus = at < text.size() && text[at] == '-';
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  Int value = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == '_' && at > 0 && IsDigit(text[at - 1]) && at + 1 < text.size() && IsDigit(text[at + 1])) continue;
    if (!IsDigit(text[at])) break;
    if (value < kIntMax / 10 - 1) value = value * 10 + (text[at] - '0');
  }
  return minus ? -value : value;
}

std::optional<Int> WholeInt(std::string_view text) {
  while (!text.empty() && IsBlank(text.front()) && text.front() != '\0') text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back()) && text.back() != '\0') text.remove_suffix(1);
  const bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : letter == 'd' ? 10 : 8;
    text.remove_prefix(letter == 'x' || letter == 'b' || letter == 'o' || letter == 'd' ? 2 : 1);
    if (text.starts_with('_')) text.remove_prefix(1);
  }
  if (text.empty() || text.front() == '_' || text.back() == '_') return std::nullopt;
  Int value = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '_' && text[i - 1] != '_') continue;
    const int digit = IsDigit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
    if (digit >= base) return std::nullopt;
    if (value < kIntMax / 16 - 1) value = value * base + digit;
  }
  return minus ? -value : value;
}

}  // namespace maily::liquid
