// See confirmations.h.
#include "api/confirmations.h"

#include <fmt/format.h>

#include "schemas/keys.h"

namespace maily::api {

messages::v1::PrepareMessages ReadConfirmationMail(Body& body, bool mailed, std::string_view switch_name) {
  messages::v1::PrepareMessages prepare;
  prepare.set_confirmation(true);
  if (const auto id = body.Integer("template_id", 1, INT64_MAX)) prepare.set_template_id(static_cast<uint64_t>(*id));
  if (const auto name = body.Text("template", kNameBytesMax)) prepare.set_template_(*name);
  if (const auto version = body.Integer("version", 1, INT32_MAX)) prepare.set_version(static_cast<uint32_t>(*version));
  if (const auto from = body.Text("from", kEmailBytesMax)) prepare.set_from(*from);
  const bool named = body.Has("template") || body.Has("template_id");
  if (body.Has("template") && body.Has("template_id")) body.Violation("template", "invalid", "either template, its name, or template_id");
  if (body.Has("version") && !named) body.Violation("version", "invalid", "is of a template; name it by template or template_id");
  for (const char* member : {"template", "template_id", "version", "from"}) {
    if (!mailed && body.Has(member)) body.Violation(member, "invalid", fmt::format("is of the mail that {} asks for", switch_name));
  }
  return prepare;
}

gateway::Order ConfirmationOrder(const Call& call, messages::v1::PrepareMessages prepare) {
  gateway::Order order = gateway::PlainOrder(prepare, schema::HomeKey(call.caller.tenant));
  // Settings of this process are no part of the request that Idempotency-Key stands for.
  prepare.set_live(call.api->parts.live);
  prepare.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
  order.payload = prepare.SerializeAsString();
  return order;
}

consents::v1::ConfirmationMail ConfirmationMailIn(const nlohmann::json& answer) {
  consents::v1::ConfirmationMail mail;
  mail.set_form_id(answer.value("form_id", uint64_t{0}));
  mail.set_template_id(answer.value("template_id", uint64_t{0}));
  mail.set_template_version(answer.value("template_version", uint32_t{0}));
  return mail;
}

}  // namespace maily::api
