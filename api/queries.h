// Handlers that read: named queries of the views, their rows as JSON by column name.
//
// ?min=TOKEN&wait_ms=N waits until the view shows what the token's request did, and says so in Maily-Applied: true | false; with
// strict=true a read that is not there yet is 412. Lists are paged by keyset: page_size, page_token -> next_page_token, stable under
// inserts. Columns: `…_at_us` become RFC 3339 times without `_us`, ids of contacts are strings (64 bit), bytes are hexadecimal.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"

namespace maily::api {

void ListTenants(Call call);
void ShowSettings(Call call);
void ListAttributes(Call call);
void ListKeys(Call call);
void ListContacts(Call call);
void ShowContact(Call call);
void ListContactSends(Call call);
void ListContactEngagements(Call call);
void ListLists(Call call);
void ShowList(Call call);
void ListMembers(Call call);
void ListSuppressions(Call call);
void ListTemplates(Call call);
void ShowTemplate(Call call);
void ListCampaigns(Call call);
void ShowCampaign(Call call);
void ShowReport(Call call);
void ListSkips(Call call);
void ListSends(Call call);
void ShowSend(Call call);
void ListUnknown(Call call);
void CountEngagements(Call call);
void ListDeadLetters(Call call);
void ShowCommand(Call call);
void ShowLimits(Call call);

// Waits as ?min= asks, on the blocking executor then; `read` gets what to add to the answer's headers. `query` says which group of read
// models.
using ReadFn = std::move_only_function<void(Call& call, http::Headers headers)>;
void Read(Call call, std::string_view query, ReadFn read);

// A row as JSON. `id_column` is called "id".
Json RowJson(const projections::Rows& rows, size_t row, std::string_view id_column = {});

}  // namespace maily::api
