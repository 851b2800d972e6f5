// A cell of a CSV file that a spreadsheet would take for a formula (= + - @ TAB CR) gets a ' before it, and so does one that has one
// already; and back.
#pragma once

#include <string>
#include <string_view>

namespace maily::import {

std::string GuardCell(std::string_view text);
std::string_view UnguardCell(std::string_view text);

}  // namespace maily::import
