// The public topics as an AsyncAPI 3 document, from the descriptors of the schemas.
#pragma once

#include <string>

namespace maily::app {

// JSON, indented.
std::string AsyncApi();

}  // namespace maily::app
