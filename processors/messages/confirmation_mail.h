// The mail of a double opt-in that is sent where its tenant has no template for it.
#pragma once

#include <string_view>

#include "maily/templates/v1/state.pb.h"

namespace maily::messages {

// In `language` ("de", "de-AT"; English where there is no such text) and, as variants, in the others. It names no list: the page behind
// its link names all that are asked about. Its number tells its wording, so a new wording has new numbers. Lives for ever.
const templates::v1::TemplateVersion& ConfirmationMail(std::string_view language);

}  // namespace maily::messages
