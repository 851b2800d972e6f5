// A contact gets another address, and what became of that.
#pragma once

#include "api/call.h"

namespace maily::api {

// 200 once it has it, 409 if it cannot (whose it is stands in details), 202 with the URL that tells if that is not known after two seconds:
// another partition is asked.
void ChangeContactAddress(Call call);
// Its address, and the newest change that was asked for.
void ShowContactAddress(Call call);

}  // namespace maily::api
