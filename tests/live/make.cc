// Whoever includes the right to send still cannot make one, nor copy one that it was given.
#include <utility>

#include "streams/port/live.h"

maily::Mode ModeOf(maily::LiveCapability given) { return maily::LiveCapability(std::move(given)).mode(); }

#ifdef CANNOT_MAKE
maily::LiveCapability Make() { return maily::LiveCapability(maily::Mode::kLive); }
#endif
#ifdef CANNOT_COPY
maily::LiveCapability Copy(const maily::LiveCapability& given) { return given; }
#endif
