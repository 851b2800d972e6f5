// Contacts that were erased: their ids are known, and gone.
#pragma once

#include <optional>

#include "api/read.h"

namespace maily::api {

// The receipt of an erasure, {"contact_id", "erased_at", "keys_destroyed", "partition", "lsn", "event_id", "hash", …}: where it stands in
// the journal, and the journal's chain up to there. None: the contact was not erased, or the view does not show it yet. Blocking.
Result<std::optional<Json>> FindErased(Call& call, uint64_t id);

// 410.
http::Problem GoneProblem();

// Waits as ?min= asks for the group of `query` ("" = every group), then answers with what `read` gives of a contact that is there: 404 if
// it never was, 410 if it was erased. `found` = its row of the query "contact".
using ContactFn = std::move_only_function<Result<Json>(Call& call, const Rows& found)>;
void ReadOfContact(Call call, uint64_t id, std::string_view query, ContactFn read);
// The same for an answer that is no JSON; called in place of Answer.
using ContactAnswerFn = std::move_only_function<void(Call& call, const Rows& found, http::Headers headers)>;
void AnswerOfContact(Call call, uint64_t id, std::string_view query, ContactAnswerFn answer);

}  // namespace maily::api
