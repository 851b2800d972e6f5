// Decides what is asked of messages: mails to one person each, that no campaign sends.
//
// The tenant's home makes a form of what messages share (template version, From, postal address): it is carried to every partition, once.
// In the partition of the address a message is accepted with what it alone has. From then on it is a send whose campaign_id is the
// message's id (schemas/message_id.h), and the noun sends decides what its attempts come to.
#pragma once

#include <string_view>

#include "maily/messages/v1/commands.pb.h"
#include "maily/messages/v1/events.pb.h"
#include "streams/base/time.h"
#include "streams/task/processor.h"

namespace maily::messages {

inline constexpr uint64_t kFormsMax = 10'000;            // of a tenant
inline constexpr size_t kFormBytesMax = 60 * 1024;       // as of a launch
inline constexpr size_t kContentBytesMax = 48 * 1024;    // of a MessageContent, sealed
inline constexpr Duration kExpiresAfterMax = Hours(48);  // and what it is if nobody says it
inline constexpr int kAttachmentsMax = 10;               // of a message
// A message that comes so long after its files were uploaded is refused: sweeps take blobs that nobody names by then.
inline constexpr Duration kUploadPatience = Hours(1);

// In the tenant's home. Answers form_id, template_id, template_version, and of asset i that is asked for asset_<i>, its id, and
// asset_<i>_name, _type and _bytes. Codes of refusal: "template_not_found", "template_version_not_found", "confirm_url_missing",
// "from_not_verified", "domain_missing", "domain_unchecked", "asset_missing", "mail_too_large", "form_too_large", "too_many_forms".
void Decide(task::Context& context, const v1::PrepareMessages& command);
// In every partition.
void Decide(task::Context& context, const v1::MessageFormMade& made);
// In the partition of the address. Answers message_id (a text of digits) and status, "queued" or "skipped" with reason. Codes of refusal:
// "invalid_message", "too_many_messages", "upload_expired".
void Decide(task::Context& context, const v1::PostMessage& command);
inline constexpr int kReleasesMax = 256;
// Answers free, a letter for each blob, 1 or 0: of blobs that are older than kUploadPatience. Refusal: "too_many".
void Decide(task::Context& context, const v1::ReleaseAttachments& command);
// The same for another noun's decision.
void React(task::Context& context, const v1::MessageWanted& wanted);
void React(task::Context& context, const v1::MessageWithdrawn& withdrawn);

// Timer kExpireStep.
void Expire(task::Context& context, std::string_view subject);

}  // namespace maily::messages
