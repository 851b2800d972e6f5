// Two contacts become one, and what became of that.
#pragma once

#include "api/call.h"

namespace maily::api {

// 200 once the other has all, 404, 409 or 422 if it cannot be, 202 with the URL that tells if that is not known after two seconds: another
// partition is asked.
void MergeContact(Call call);
// The newest merge that was asked for.
void ShowContactMerge(Call call);

}  // namespace maily::api
