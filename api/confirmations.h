// What the mails of double opt-ins are made by, for handlers of forms and of consents.
//
// It is a form of messages, which the tenant's home makes or finds of a template and a sender (PrepareMessages): so what is wrong with them
// is said when a form is defined, not when somebody fills it in.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "api/body.h"
#include "api/call.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/messages/v1/commands.pb.h"

namespace maily::api {

// The members template or template_id, version and from; all may be missing, then it is the built-in text from the tenant's first sender.
// Without `mailed` each is a violation that names `switch_name`, the member that would have it mailed.
messages::v1::PrepareMessages ReadConfirmationMail(Body& body, bool mailed, std::string_view switch_name);

// For the home.
gateway::Order ConfirmationOrder(const Call& call, messages::v1::PrepareMessages prepare);
// The decider's answer to it; all zero of a dry run.
consents::v1::ConfirmationMail ConfirmationMailIn(const nlohmann::json& answer);

}  // namespace maily::api
