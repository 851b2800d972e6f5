// Numbers as the templates' language has them: integers without a practical end, decimals that add up (0.1 + 0.2 is 0.3), and doubles as
// values. Arithmetic is exact on decimals of up to 37 digits and falls back to doubles beyond. Pure; thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace maily::liquid {

__extension__ typedef __int128 Int;

inline constexpr Int kIntMax = (static_cast<Int>(1) << 126);  // beyond: Number operations say that they overflow

// An integer, or mantissa / 10^scale, or a double that no such thing can hold.
struct Number {
  enum class Kind : uint8_t { kInt, kDecimal, kDouble };
  Kind kind = Kind::kInt;
  Int mantissa = 0;
  int scale = 0;  // kDecimal: 0 to 30
  double real = 0;

  static Number Of(Int value) { return {Kind::kInt, value, 0, 0}; }
  static Number OfDouble(double value);  // the shortest decimal that reads back as `value`
  // As arithmetic reads a text: "-12.50" is a decimal, else the integer in front ("12abc" is 12, "abc" is 0).
  static Number OfText(std::string_view text);

  bool is_int() const { return kind == Kind::kInt; }
  bool is_zero() const { return kind == Kind::kDouble ? real == 0 : mantissa == 0; }
  double ToDouble() const;
};

// nullopt: no such number: an integer beyond kIntMax, or a division by zero (the caller asks is_zero() first).
std::optional<Number> Add(const Number& a, const Number& b);
std::optional<Number> Subtract(const Number& a, const Number& b);
std::optional<Number> Multiply(const Number& a, const Number& b);
std::optional<Number> Divide(const Number& a, const Number& b);  // of integers: rounded down
std::optional<Number> Modulo(const Number& a, const Number& b);  // has the sign of b
int Compare(const Number& a, const Number& b);

// To an integer; nullopt: infinite, not a number, or beyond kIntMax.
std::optional<Int> Floor(const Number& number);
std::optional<Int> Ceil(const Number& number);
// Half away from zero; `digits` after the point may be negative.
std::optional<Number> Round(const Number& number, int digits);

// Appends "-12".
void AppendInt(Int value, std::string& out);
// Appends "1.5", "10.0", "1.0e+20": the shortest digits that read back as `value`.
void AppendDouble(double value, std::string& out);
// The integer in front of a text, 0 if there is none; beyond kIntMax it stays there.
Int LeadingInt(std::string_view text);
// A whole text that spells an integer (also "0x1f", "1_000", with blanks around); nullopt if it does not.
std::optional<Int> WholeInt(std::string_view text);

}  // namespace maily::liquid
