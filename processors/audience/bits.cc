// See bits.h.
#include "processors/audience/bits.h"

namespace maily::audience {

void SetBit(std::string& bits, uint64_t at, bool member) {
  if (member) {
    if (at / 8 >= bits.size()) bits.resize(at / 8 + 1, '\0');
    bits[at / 8] = static_cast<char>(static_cast<uint8_t>(bits[at / 8]) | 1u << (at % 8));
    return;
  }
  if (at / 8 >= bits.size()) return;
  bits[at / 8] = static_cast<char>(static_cast<uint8_t>(bits[at / 8]) & ~(1u << (at % 8)));
  while (!bits.empty() && bits.back() == '\0') bits.pop_back();
}

}  // namespace maily::audience
