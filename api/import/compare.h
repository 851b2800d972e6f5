// What a dry run says of rows: how each would change what the read models show now, with samples.
#pragma once

#include <nlohmann/json.hpp>

#include "api/gateway/contact_fields.h"
#include "maily/contacts/v1/commands.pb.h"
#include "projections/views/views.h"
#include "streams/base/result.h"

namespace maily::import {

inline constexpr size_t kDiffsMax = 20;

// Thread: one at a time; it asks SQL.
class Comparison {
 public:
  // `shows_values`: the samples show old and new values, not the names of the fields alone.
  Comparison(projections::Views& views, TenantId tenant, bool shows_values) : views_(views), tenant_(tenant), shows_values_(shows_values) {}

  // 'c' = would be created, 'u' = updated, 'n' = nothing would change. `row` is not sealed.
  Result<char> Look(uint64_t line, const contacts::v1::UpsertContact& row);
  // {"line", "result", "fields": [{"name", "old", "new"}]} of the first rows that would change something; the address by those who may
  // see it.
  const nlohmann::ordered_json& diffs() const { return diffs_; }

 private:
  projections::Views& views_;
  const TenantId tenant_;
  const bool shows_values_;
  nlohmann::ordered_json diffs_ = nlohmann::ordered_json::array();
};

}  // namespace maily::import
