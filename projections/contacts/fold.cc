// Folds events of contacts.
#include "projections/contacts/fold.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "maily/contacts/v1/events.pb.h"
#include "maily/engagements/v1/events.pb.h"
#include "maily/lists/v1/events.pb.h"
#include "maily/suppressions/v1/events.pb.h"
#include "projections/contacts/sql.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

namespace contacts = maily::contacts::v1;
using contacts::Attribute;
using nlohmann::json;

// Appends a JSON string; `text` is UTF-8, as every Protobuf string is.
void AppendString(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<int>(c));
    }
  }
  out += '"';
}

// Writes what json::dump would, without making the tree first: most events of contacts are new ones of an import. Sealed ones are left out.
void WriteOpen(std::string& out, const google::protobuf::RepeatedPtrField<Attribute>& given, std::vector<const Attribute*>& sorted) {
  sorted.clear();
  for (const Attribute& attribute : given) {
    if (attribute.value_case() != Attribute::kSealed && attribute.value_case() != Attribute::VALUE_NOT_SET) sorted.push_back(&attribute);
  }
  std::sort(sorted.begin(), sorted.end(), [](const Attribute* a, const Attribute* b) { return a->name() < b->name(); });
  out = "{";
  for (const Attribute* attribute : sorted) {
    if (out.size() > 1) out += ',';
    AppendString(out, attribute->name());
    out += ':';
    switch (attribute->value_case()) {
      case Attribute::kText:
        AppendString(out, attribute->text());
        break;
      case Attribute::kInteger:
        fmt::format_to(std::back_inserter(out), "{}", attribute->integer());
        break;
      case Attribute::kNumber:
        out += json(attribute->number()).dump();
        break;
      case Attribute::kBoolean:
        out += attribute->boolean() ? "true" : "false";
        break;
      default:
        break;
    }
  }
  out += '}';
}

// Text that was sealed may be any bytes: what is no UTF-8 is replaced.
std::string Text(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

class ContactsFold final : public Fold {
 public:
  static Result<std::unique_ptr<Fold>> Make(FoldSetup& setup) {
    auto fold = std::make_unique<ContactsFold>();
    MAILY_TRY(fold->insert_contact_, setup.Prepare("insert_contact"));
    MAILY_TRY(fold->insert_personal_, setup.Prepare("insert_personal"));
    MAILY_TRY(fold->attributes_, setup.Prepare("attributes"));
    MAILY_TRY(fold->change_contact_, setup.Prepare("change_contact"));
    MAILY_TRY(fold->personal_attributes_, setup.Prepare("personal_attributes"));
    MAILY_TRY(fold->change_personal_, setup.Prepare("change_personal"));
    MAILY_TRY(fold->add_contacts_, setup.Prepare("add_contacts"));
    MAILY_TRY(fold->erase_contact_, setup.Prepare("erase_contact"));
    MAILY_TRY(fold->erase_personal_, setup.Prepare("erase_personal"));
    MAILY_TRY(fold->erase_history_, setup.Prepare("erase_history"));
    MAILY_TRY(fold->remember_erased_, setup.Prepare("remember_erased"));
    MAILY_TRY(fold->destroy_keys_, setup.Prepare("destroy_keys"));
    MAILY_TRY(fold->remember_, setup.Prepare("remember"));
    MAILY_TRY(fold->find_contact_, setup.Prepare("find_contact"));
    MAILY_TRY(fold->ask_address_, setup.Prepare("ask_address"));
    MAILY_TRY(fold->settle_address_, setup.Prepare("settle_address"));
    MAILY_TRY(fold->change_address_, setup.Prepare("change_address"));
    MAILY_TRY(fold->change_personal_address_, setup.Prepare("change_personal_address"));
    MAILY_TRY(fold->remember_addresses_, setup.Prepare("remember_addresses"));
    MAILY_TRY(fold->erase_address_changes_, setup.Prepare("erase_address_changes"));
    MAILY_TRY(fold->erase_addresses_, setup.Prepare("erase_addresses"));
    MAILY_TRY(fold->ask_merge_, setup.Prepare("ask_merge"));
    MAILY_TRY(fold->settle_merge_, setup.Prepare("settle_merge"));
    MAILY_TRY(fold->merge_contact_, setup.Prepare("merge_contact"));
    MAILY_TRY(fold->take_contact_, setup.Prepare("take_contact"));
    MAILY_TRY(fold->erase_merges_, setup.Prepare("erase_merges"));
    MAILY_TRY(fold->erase_taken_, setup.Prepare("erase_taken"));
    fold->keyring_ = setup.keyring();
    setup.handlers.On(fold.get(), &ContactsFold::Created);
    setup.handlers.On(fold.get(), &ContactsFold::Changed);
    setup.handlers.On(fold.get(), &ContactsFold::Erased);
    setup.handlers.On(fold.get(), &ContactsFold::KeysDestroyed);
    setup.handlers.On(fold.get(), &ContactsFold::AddressAsked);
    setup.handlers.On(fold.get(), &ContactsFold::AddressRefused);
    setup.handlers.On(fold.get(), &ContactsFold::AddressChanged);
    setup.handlers.On(fold.get(), &ContactsFold::MergeAsked);
    setup.handlers.On(fold.get(), &ContactsFold::MergeRefused);
    setup.handlers.On(fold.get(), &ContactsFold::Merged);
    setup.handlers.On(fold.get(), &ContactsFold::TakenOver);
    setup.handlers.On(fold.get(), &ContactsFold::OptedOut);
    setup.handlers.On(fold.get(), &ContactsFold::OptedIn);
    setup.handlers.On(fold.get(), &ContactsFold::Suppressed);
    setup.handlers.On(fold.get(), &ContactsFold::SuppressionLifted);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    for (const auto& [tenant, added] : added_) MAILY_TRY_VOID(sql::Do(*add_contacts_, tenant, added));
    added_.clear();
    return Ok();
  }
  bool Forgot() override { return std::exchange(forgot_, false); }

 private:
  // The plaintext, or none if nobody can open it any more.
  Result<std::optional<std::string>> Open(TenantId tenant, std::string_view field_id, std::string_view box) {
    auto opened = schema::Open(*keyring_, tenant, field_id, box);
    if (opened) return std::optional(std::move(opened).value());
    if (opened.error().code == Code::kNotFound || opened.error().code == Code::kInvalid) return std::optional<std::string>();
    return opened.error();
  }

  // Puts the given attributes over those in `open`, and over the personal ones in `personal`.
  Result<void> Merge(TenantId tenant, const google::protobuf::RepeatedPtrField<Attribute>& given, json& open, json& personal) {
    for (const Attribute& attribute : given) {
      switch (attribute.value_case()) {
        case Attribute::kText:
          open[attribute.name()] = attribute.text();
          break;
        case Attribute::kInteger:
          open[attribute.name()] = attribute.integer();
          break;
        case Attribute::kNumber:
          open[attribute.name()] = attribute.number();
          break;
        case Attribute::kBoolean:
          open[attribute.name()] = attribute.boolean();
          break;
        case Attribute::VALUE_NOT_SET:
          open.erase(attribute.name());
          personal.erase(attribute.name());
          break;
        case Attribute::kSealed:
          if (keyring_ != nullptr) MAILY_TRY_VOID(MergePersonal(tenant, attribute, personal));
          break;
      }
    }
    return Ok();
  }
  Result<void> MergePersonal(TenantId tenant, const Attribute& attribute, json& personal) {
    MAILY_TRY(auto value, Open(tenant, schema::AttributeFieldId(attribute.name()), attribute.sealed()));
    if (value) {
      // One that was given as a number or truth value is one again.
      json literal = attribute.literal() ? json::parse(*value, nullptr, false) : json(json::value_t::discarded);
      personal[attribute.name()] = literal.is_discarded() ? json(*std::move(value)) : std::move(literal);
    } else {
      personal.erase(attribute.name());
    }
    return Ok();
  }

  Result<void> Created(const EventAt& at, const contacts::ContactCreated& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    WriteOpen(text_, e.attributes(), sorted_);
    MAILY_TRY_VOID(sql::Do(*insert_contact_, at.tenant.value(), contact_id, sql::Blob{e.contact_key()}, std::string_view(text_),
                           std::string_view(e.source()), at.time.us, std::string_view(TagsText(e.tags()))));
    ++added_[at.tenant.value()];
    if (!e.consent_proof().empty()) MAILY_TRY_VOID(Remember(at, contact_id, "readmitted", e.source(), "consent was given anew"));
    if (keyring_ == nullptr) return Ok();
    json personal = json::object();
    for (const Attribute& attribute : e.attributes()) {
      if (attribute.value_case() == Attribute::kSealed) MAILY_TRY_VOID(MergePersonal(at.tenant, attribute, personal));
    }
    MAILY_TRY(const auto address, Open(at.tenant, "address", e.address()));
    const std::string personal_text = Text(personal);
    return sql::Do(*insert_personal_, at.tenant.value(), contact_id, address ? sql::Value::Text(*address) : sql::Value::Null(),
                   std::string_view(personal_text));
  }

  // `tags`: the second column, an array.
  Result<json> Stored(sql::Statement& select, TenantId tenant, int64_t contact_id, json* tags = nullptr) {
    sql::BindAll(select, tenant.value(), contact_id);
    auto row = select.Step();
    json stored = json::object();
    if (row && *row) stored = json::parse(select.bytes(0), nullptr, false);
    if (row && *row && tags != nullptr) *tags = json::parse(select.bytes(1), nullptr, false);
    select.Reset();
    if (!row) return row.error();
    if (!stored.is_object())
      return Fail(Code::kCorrupt, "attributes of contact {} of tenant {} are no JSON object", contact_id, tenant.value());
    return stored;
  }

  Result<void> Changed(const EventAt& at, const contacts::ContactChanged& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    json tags = json::array();
    MAILY_TRY(json open, Stored(*attributes_, at.tenant, contact_id, &tags));
    json personal = json::object();
    if (keyring_ != nullptr) {
      MAILY_TRY(personal, Stored(*personal_attributes_, at.tenant, contact_id));
    }
    MAILY_TRY_VOID(Merge(at.tenant, e.attributes(), open, personal));
    const std::string text = Text(open);
    const std::string tags_text = ChangedTags(tags, e);
    MAILY_TRY_VOID(sql::Do(*change_contact_, at.tenant.value(), contact_id, std::string_view(text), std::string_view(e.source()),
                           at.time.us, std::string_view(tags_text)));
    if (const std::string what = WhatChanged(e); !what.empty()) MAILY_TRY_VOID(Remember(at, contact_id, "changed", e.source(), what));
    if (keyring_ == nullptr) return Ok();
    const std::string personal_text = Text(personal);
    return sql::Do(*change_personal_, at.tenant.value(), contact_id, std::string_view(personal_text));
  }

  static std::string TagsText(const google::protobuf::RepeatedPtrField<std::string>& tags) {
    return tags.empty() ? "[]" : json(std::vector<std::string>(tags.begin(), tags.end())).dump();
  }
  static std::string ChangedTags(const json& tags, const contacts::ContactChanged& e) {
    std::set<std::string> kept;
    if (tags.is_array()) kept = tags.get<std::set<std::string>>();
    for (const std::string& tag : e.remove_tags()) kept.erase(tag);
    for (const std::string& tag : e.add_tags()) kept.insert(tag);
    return json(kept).dump();
  }
  // "plan, city, +tag vip, -tag trial"; empty: it joined lists only.
  static std::string WhatChanged(const contacts::ContactChanged& e) {
    std::vector<std::string> names;
    for (const Attribute& attribute : e.attributes()) names.push_back(attribute.name());
    for (const std::string& tag : e.add_tags()) names.push_back("+tag " + tag);
    for (const std::string& tag : e.remove_tags()) names.push_back("-tag " + tag);
    return fmt::format("{}", fmt::join(names, ", "));
  }

  Result<void> Remember(const EventAt& at, int64_t contact_id, std::string_view kind, std::string_view source, std::string_view detail) {
    return sql::Do(*remember_, at.tenant.value(), contact_id, at.sequence(), at.time.us, kind, source, detail);
  }

  Result<void> Erased(const EventAt& at, const contacts::ContactErased& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY_VOID(sql::Do(*erase_contact_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_personal_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_history_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_address_changes_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_addresses_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_merges_, at.tenant.value(), contact_id));
    MAILY_TRY_VOID(sql::Do(*erase_taken_, at.tenant.value(), contact_id));
    if (!e.merged()) --added_[at.tenant.value()];  // one that was merged is counted no more
    forgot_ = keyring_ != nullptr;
    const std::string chain = fmt::format("{:016x}", at.chain);
    return sql::Do(*remember_erased_, at.tenant.value(), contact_id, sql::Blob{e.contact_key()}, at.time.us, at.partition.value(),
                   at.lsn.value(), at.index, std::string_view(chain));
  }
  Result<void> KeysDestroyed(const EventAt& at, const contacts::ContactKeysDestroyed& e) {
    if (e.has_merged()) return Ok();  // of a contact of another partition, which tells so itself
    return sql::Do(*destroy_keys_, at.tenant.value(), at.ContactId(e.ordinal()), at.time.us);
  }

  Result<void> AddressAsked(const EventAt& at, const contacts::AddressAsked& e) {
    return sql::Do(*ask_address_, at.tenant.value(), at.ContactId(e.ordinal()), at.sequence(), at.time.us);
  }
  Result<void> AddressRefused(const EventAt& at, const contacts::AddressChangeRefused& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    const sql::Value other =
        e.other_contact_id() == 0 ? sql::Value::Null() : sql::Value::Integer(static_cast<int64_t>(e.other_contact_id()));
    MAILY_TRY_VOID(sql::Do(*settle_address_, at.tenant.value(), contact_id, "refused", std::string_view(e.code()), other, at.time.us));
    return Remember(at, contact_id, "address_change_refused", "", e.code());
  }
  Result<void> AddressChanged(const EventAt& at, const contacts::ContactAddressChanged& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY_VOID(
        sql::Do(*change_address_, at.tenant.value(), contact_id, sql::Blob{e.contact_key()}, std::string_view(e.source()), at.time.us));
    MAILY_TRY_VOID(sql::Do(*settle_address_, at.tenant.value(), contact_id, "changed", "", sql::Value::Null(), at.time.us));
    MAILY_TRY_VOID(Remember(at, contact_id, "address_changed", e.source(), ""));
    if (keyring_ == nullptr) return Ok();
    const auto value = [](const std::optional<std::string>& text) { return text ? sql::Value::Text(*text) : sql::Value::Null(); };
    MAILY_TRY(const auto address, Open(at.tenant, "address", e.address()));
    MAILY_TRY(const auto former, Open(at.tenant, "address", e.former_address()));
    MAILY_TRY_VOID(sql::Do(*change_personal_address_, at.tenant.value(), contact_id, value(address)));
    return sql::Do(*remember_addresses_, at.tenant.value(), contact_id, at.sequence(), value(former), value(address));
  }

  static int64_t IdOf(uint32_t partition, uint64_t ordinal) {
    return static_cast<int64_t>(schema::PackContactId({PartitionId(static_cast<uint16_t>(partition)), ordinal}));
  }
  Result<void> MergeAsked(const EventAt& at, const contacts::MergeAsked& e) {
    return sql::Do(*ask_merge_, at.tenant.value(), at.ContactId(e.ordinal()), at.sequence(), IdOf(e.into_partition(), e.into_ordinal()),
                   at.time.us);
  }
  Result<void> MergeRefused(const EventAt& at, const contacts::MergeRefused& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    const sql::Value other =
        e.other_contact_id() == 0 ? sql::Value::Null() : sql::Value::Integer(static_cast<int64_t>(e.other_contact_id()));
    MAILY_TRY_VOID(sql::Do(*settle_merge_, at.tenant.value(), contact_id, "refused", std::string_view(e.code()),
                           std::string_view(e.message()), other, at.time.us));
    return Remember(at, contact_id, "merge_refused", "", e.code());
  }
  Result<void> Merged(const EventAt& at, const contacts::ContactMerged& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    const int64_t into = IdOf(e.into_partition(), e.into_ordinal());
    MAILY_TRY_VOID(sql::Do(*merge_contact_, at.tenant.value(), contact_id, into, at.time.us));
    MAILY_TRY_VOID(sql::Do(*settle_merge_, at.tenant.value(), contact_id, "merged", "", "", sql::Value::Null(), at.time.us));
    --added_[at.tenant.value()];
    return Remember(at, contact_id, "merged", e.source(), fmt::format("into contact {}", into));
  }
  Result<void> TakenOver(const EventAt& at, const contacts::ContactTakenOver& e) {
    const int64_t from = IdOf(e.from_partition(), e.from_ordinal());
    const std::string left_out = json(std::vector<std::string>(e.left_out().begin(), e.left_out().end())).dump();
    MAILY_TRY_VOID(sql::Do(*take_contact_, at.tenant.value(), from, at.ContactId(e.ordinal()), std::string_view(left_out), at.time.us));
    return Remember(at, at.ContactId(e.ordinal()), "took_over", e.source(), fmt::format("contact {}", from));
  }

  Result<void> OptedOut(const EventAt& at, const maily::engagements::v1::Unsubscribed& e) {
    if (e.campaign_id() != 0) return Ok();  // what was done with a mail stands among the engagements
    return Remember(at, at.ContactId(e.ordinal()), "opted_out", e.method(), "");
  }
  Result<void> OptedIn(const EventAt& at, const maily::lists::v1::Resubscribed& e) {
    return Remember(at, at.ContactId(e.ordinal()), "opted_in", "", "");
  }
  Result<void> Suppressed(const EventAt& at, const maily::suppressions::v1::SuppressionAdded& e) {
    return RememberOf(at, e.contact_key(), "suppressed", e.source(), e.reason());
  }
  Result<void> SuppressionLifted(const EventAt& at, const maily::suppressions::v1::SuppressionRemoved& e) {
    return RememberOf(at, e.contact_key(), "suppression_lifted", "", "");
  }
  // Of the contact with that address, if there is one here: where it lives elsewhere, the copy that is made there tells.
  Result<void> RememberOf(const EventAt& at, const std::string& contact_key, std::string_view kind, std::string_view source,
                          std::string_view detail) {
    sql::BindAll(*find_contact_, at.tenant.value(), sql::Blob{contact_key}, at.ContactId(1), at.ContactId(schema::kOrdinalMax));
    const auto row = find_contact_->Step();
    const bool found = row && *row;
    const int64_t contact_id = found ? find_contact_->integer(0) : 0;
    find_contact_->Reset();
    if (!row) return row.error();
    return found ? Remember(at, contact_id, kind, source, detail) : Ok();
  }

  sql::Statement* insert_contact_ = nullptr;
  sql::Statement* insert_personal_ = nullptr;
  sql::Statement* attributes_ = nullptr;
  sql::Statement* change_contact_ = nullptr;
  sql::Statement* personal_attributes_ = nullptr;
  sql::Statement* change_personal_ = nullptr;
  sql::Statement* add_contacts_ = nullptr;
  sql::Statement* erase_contact_ = nullptr;
  sql::Statement* erase_personal_ = nullptr;
  sql::Statement* erase_history_ = nullptr;
  sql::Statement* remember_erased_ = nullptr;
  sql::Statement* destroy_keys_ = nullptr;
  sql::Statement* remember_ = nullptr;
  sql::Statement* find_contact_ = nullptr;
  sql::Statement* ask_address_ = nullptr;
  sql::Statement* settle_address_ = nullptr;
  sql::Statement* change_address_ = nullptr;
  sql::Statement* change_personal_address_ = nullptr;
  sql::Statement* remember_addresses_ = nullptr;
  sql::Statement* erase_address_changes_ = nullptr;
  sql::Statement* erase_addresses_ = nullptr;
  sql::Statement* ask_merge_ = nullptr;
  sql::Statement* settle_merge_ = nullptr;
  sql::Statement* merge_contact_ = nullptr;
  sql::Statement* take_contact_ = nullptr;
  sql::Statement* erase_merges_ = nullptr;
  sql::Statement* erase_taken_ = nullptr;
  keyring::Keyring* keyring_ = nullptr;
  bool forgot_ = false;  // somebody since the last commit
  std::string text_;     // used again for every contact
  std::vector<const Attribute*> sorted_;
  std::map<uint32_t, int64_t> added_;  // tenant -> contacts since the last flush
};

}  // namespace

ReadModel ContactsReadModel() {
  return {.name = "contacts",
          .version = 4,
          .schema_sql = contacts_sql::kSchema,
          .queries_sql = contacts_sql::kQueries,
          .tables = {{"contacts"},
                     {"contacts_pii", TableKind::kPersonal},
                     {"contact_totals"},
                     {"erased_contacts"},
                     {"contact_history"},
                     {"address_changes"},
                     {"contact_merges"},
                     {"taken_contacts"},
                     {"address_changes_pii", TableKind::kPersonal}},
          .make = &ContactsFold::Make};
}

}  // namespace maily::projections
