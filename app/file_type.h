// The type of a file by the end of its name.
#pragma once

#include <string>

namespace maily::app {

// Of ends that are usual, like ".pdf"; empty: it has to be said.
std::string TypeOfEnding(std::string ending);

}  // namespace maily::app
