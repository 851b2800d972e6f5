// See import_rows.h.
#include "processors/contacts/import_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "processors/contacts/upsert.h"
#include "schemas/keys.h"
#include "schemas/types.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::contacts {
namespace {

using journal::Outcome;
using v1::Attribute;

const Attribute* FindIn(const v1::Contact& contact, std::string_view name) {
  for (const Attribute& attribute : contact.attributes()) {
    if (attribute.name() == name) return &attribute;
  }
  return nullptr;
}

// A removal that the import wrote leaves nothing behind: it has the print of the name alone.
bool IsAsWritten(const Attribute* now, const v1::PriorField& field) {
  if (now != nullptr) return PrintOf(*now) == field.written();
  Attribute removed;
  removed.set_name(field.prior().name());
  return PrintOf(removed) == field.written();
}

// What of the contact can be put back; false: something has been changed since.
bool Compare(const v1::Contact& contact, const v1::PriorContact& prior, v1::ContactChanged& changed) {
  if (prior.created()) {
    if (contact.attributes().empty()) return true;
    if (PrintOf(contact.attributes()) != prior.written_all()) return false;
    for (const Attribute& attribute : contact.attributes()) changed.add_attributes()->set_name(attribute.name());
    return true;
  }
  bool all = true;
  for (const v1::PriorField& field : prior.fields()) {
    const Attribute* now = FindIn(contact, field.prior().name());
    const bool restored = now == nullptr ? field.prior().value_case() == Attribute::VALUE_NOT_SET : PrintOf(*now) == PrintOf(field.prior());
    if (restored) continue;
    if (IsAsWritten(now, field)) {
      *changed.add_attributes() = field.prior();
    } else {
      all = false;
    }
  }
  if (!prior.prior_digest().empty() && Xxh3_64(contact.personal_digest()) == prior.written_digest()) {
    changed.set_personal_digest(prior.prior_digest());
  }
  return all;
}

char Restore(task::Context& context, const std::string& source, const v1::PriorContact& prior) {
  const std::string key = state::Key(context.tenant(), prior.ordinal());
  const v1::Contact* contact = context.view<v1::Contact>().Find(key);
  if (contact == nullptr || prior.too_large()) return 'x';
  thread_local v1::ContactChanged changed;
  changed.Clear();
  const bool all = Compare(*contact, prior, changed);
  const lists::v1::Subscriber* subscriber = prior.joined_list() == 0 ? nullptr : context.view<lists::v1::Subscriber>().Find(key);
  const bool leaves = subscriber != nullptr && std::ranges::binary_search(subscriber->list_ids(), prior.joined_list());
  const bool changes = changed.ByteSizeLong() > 0;
  if (changes) {
    changed.set_ordinal(prior.ordinal());
    changed.set_source(source);
    context.Emit(changed);
  }
  if (leaves) {
    v1::JoinUndone undone;
    undone.set_ordinal(prior.ordinal());
    undone.set_list_id(prior.joined_list());
    undone.set_source(source);
    context.Emit(undone);
  }
  if (!all) return 'k';
  return changes || leaves ? 'r' : 'n';
}

}  // namespace

void Decide(task::Context& context, const v1::ImportRows& command) {
  if (command.rows_size() > kNotedRowsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_rows",
                          fmt::format("{} rows at once are more than {}", command.rows_size(), kNotedRowsMax));
  }
  thread_local v1::RowsImported imported;
  imported.Clear();
  std::string results;
  uint32_t created = 0;
  uint32_t updated = 0;
  size_t prior_bytes = 0;
  int repeat = 0;
  for (int i = 0; i < command.rows_size(); ++i) {
    const v1::UpsertContact& row = command.rows(i);
    const bool is_repeat = repeat < command.repeats_size() && command.repeats(repeat) == static_cast<uint32_t>(i);
    if (is_repeat) ++repeat;
    Upserted upserted;
    thread_local v1::PriorContact prior;
    prior.Clear();
    if (schema::PartitionOfContact(row.contact_key(), context.partition_count()) != context.partition()) {
      upserted = Refused("wrong_partition", "the contact belongs to another partition");
    } else if (row.join_lists_size() > 1) {
      upserted = Refused("too_many_lists", "a row of an import joins at most one list");
    } else {
      upserted = Upsert(context, row, &prior);
    }
    results.push_back(upserted.result == 'f' ? 'u' : upserted.result);
    if (upserted.result == 'f' && !is_repeat) ++updated;
    if (upserted.result == 'r') context.Answer(std::to_string(i), fmt::format("{}: {}", upserted.code, upserted.message));
    if (upserted.result != 'c' && upserted.result != 'u') continue;
    if (!is_repeat) ++(upserted.result == 'c' ? created : updated);
    const size_t bytes = prior.ByteSizeLong();
    if (prior_bytes + bytes > kPriorBytesMax) {
      prior.clear_fields();
      prior.clear_prior_digest();
      prior.set_too_large(true);
    } else {
      prior_bytes += bytes;
    }
    *imported.add_contacts() = prior;
  }
  context.Answer("results", results);
  if (context.event_count() == 0) return context.Unchanged();
  imported.set_import_id(command.import_id());
  imported.set_created(created);
  imported.set_updated(updated);
  context.Emit(imported);
}

void Decide(task::Context& context, const v1::RestoreContacts& command) {
  if (command.contacts_size() > kRestoredContactsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_rows",
                          fmt::format("{} contacts at once are more than {}", command.contacts_size(), kRestoredContactsMax));
  }
  const std::string source = "undo:" + command.import_id();
  std::string results;
  for (const v1::PriorContact& prior : command.contacts()) results.push_back(Restore(context, source, prior));
  context.Answer("results", results);
  if (context.event_count() == 0) context.Unchanged();
}

}  // namespace maily::contacts
