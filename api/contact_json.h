// A contact as the API shows it.
#pragma once

#include <functional>
#include <memory>

#include "api/gateway/contact_fields.h"
#include "api/read.h"

namespace maily::api {

// A row of the queries contact, contact_by_key or contacts. Personal values are kept as text; `registry` gives them their types back.
Json ContactJson(const gateway::Registry& registry, const Rows& rows, size_t row);

// `then` with what is registered; with nothing if the read models are too far behind to know: reads go on.
void WithTypes(Call call, std::move_only_function<void(Call call, const std::shared_ptr<const gateway::Registry>& registry)> then);

}  // namespace maily::api
