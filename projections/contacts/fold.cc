// Folds events of contacts.
#include "projections/contacts/fold.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "maily/contacts/v1/events.pb.h"
#include "projections/contacts/sql.h"
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
    fold->keyring_ = setup.keyring();
    setup.handlers.On(fold.get(), &ContactsFold::Created);
    setup.handlers.On(fold.get(), &ContactsFold::Changed);
    return std::unique_ptr<Fold>(std::move(fold));
  }

  Result<void> Flush() override {
    for (const auto& [tenant, added] : added_) MAILY_TRY_VOID(sql::Do(*add_contacts_, tenant, added));
    added_.clear();
    return Ok();
  }

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
      personal[attribute.name()] = *std::move(value);
    } else {
      personal.erase(attribute.name());
    }
    return Ok();
  }

  Result<void> Created(const EventAt& at, const contacts::ContactCreated& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    WriteOpen(text_, e.attributes(), sorted_);
    MAILY_TRY_VOID(sql::Do(*insert_contact_, at.tenant.value(), contact_id, sql::Blob{e.contact_key()}, std::string_view(text_),
                           std::string_view(e.source()), at.time.us));
    ++added_[at.tenant.value()];
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

  Result<json> Stored(sql::Statement& select, TenantId tenant, int64_t contact_id) {
    sql::BindAll(select, tenant.value(), contact_id);
    auto row = select.Step();
    json stored = json::object();
    if (row && *row) stored = json::parse(select.bytes(0), nullptr, false);
    select.Reset();
    if (!row) return row.error();
    if (!stored.is_object())
      return Fail(Code::kCorrupt, "attributes of contact {} of tenant {} are no JSON object", contact_id, tenant.value());
    return stored;
  }

  Result<void> Changed(const EventAt& at, const contacts::ContactChanged& e) {
    const int64_t contact_id = at.ContactId(e.ordinal());
    MAILY_TRY(json open, Stored(*attributes_, at.tenant, contact_id));
    json personal = json::object();
    if (keyring_ != nullptr) {
      MAILY_TRY(personal, Stored(*personal_attributes_, at.tenant, contact_id));
    }
    MAILY_TRY_VOID(Merge(at.tenant, e.attributes(), open, personal));
    const std::string text = Text(open);
    MAILY_TRY_VOID(
        sql::Do(*change_contact_, at.tenant.value(), contact_id, std::string_view(text), std::string_view(e.source()), at.time.us));
    if (keyring_ == nullptr) return Ok();
    const std::string personal_text = Text(personal);
    return sql::Do(*change_personal_, at.tenant.value(), contact_id, std::string_view(personal_text));
  }

  sql::Statement* insert_contact_ = nullptr;
  sql::Statement* insert_personal_ = nullptr;
  sql::Statement* attributes_ = nullptr;
  sql::Statement* change_contact_ = nullptr;
  sql::Statement* personal_attributes_ = nullptr;
  sql::Statement* change_personal_ = nullptr;
  sql::Statement* add_contacts_ = nullptr;
  keyring::Keyring* keyring_ = nullptr;
  std::string text_;  // used again for every contact
  std::vector<const Attribute*> sorted_;
  std::map<uint32_t, int64_t> added_;  // tenant -> contacts since the last flush
};

}  // namespace

ReadModel ContactsReadModel() {
  return {.name = "contacts",
          .version = 1,
          .schema_sql = contacts_sql::kSchema,
          .queries_sql = contacts_sql::kQueries,
          .tables = {{"contacts"}, {"contacts_pii", TableKind::kPersonal}, {"contact_totals"}},
          .make = &ContactsFold::Make};
}

}  // namespace maily::projections
