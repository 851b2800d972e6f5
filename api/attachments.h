// What a message encloses besides what its template has: assets of the tenant, by name or id, and files in base64 that the request brings
// along. Those are the message's alone: they are in blobs, sealed under the key of its address, before it is posted.
//
//   "attachments": [{"asset": "terms.pdf"}, {"content": "JVBERi0…", "content_type": "application/pdf", "file_name": "Invoice 7.pdf"}]
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/body.h"
#include "api/messages.h"
#include "maily/messages/v1/state.pb.h"

namespace maily::api {

inline constexpr size_t kAttachmentsMax = 10;            // of a message
inline constexpr size_t kMessageBodyBytesMax = 8 << 20;  // of its request: 5 MiB of mail, the default of mail_kb_max, and more
inline constexpr size_t kQuickBodyBytesMax = 256 << 10;  // larger ones are read where nobody waits

// The member "attachments", into the message, its content and the form that is asked for. What is wrong is a violation of `body`; a
// problem: the request is refused with it, 413 or 501.
std::optional<http::Problem> ReadAttachments(Body& body, const Call& call, Posting& posting, Posting::One& one,
                                             messages::v1::MessageContent& content);

// Puts what it brings along into blobs. Blocks. What is put and not posted is left to the sweep.
Result<void> StoreAttachments(const Call& call, Posting::One& one, const keyring::SubjectKey& key);

// Its assets as the tenant's home has told them in the answer to its form.
void TakeAssets(const nlohmann::json& form, messages::v1::PostMessage& message);
// Where its files are.
void NameBlobs(Posting::One& one);

}  // namespace maily::api
