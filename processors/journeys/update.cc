// See update.h.
#include "processors/journeys/update.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace maily::journeys {
namespace {

using nlohmann::json;
using tenants::v1::AttributeType;

constexpr size_t kTagBytesMax = 40;  // as the noun contacts has it

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kTagBytesMax && std::ranges::all_of(tag, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':';
  });
}

bool IsFinite(double number) { return number >= std::numeric_limits<double>::lowest() && number <= std::numeric_limits<double>::max(); }

// False: it is no value of that type.
bool TakeValue(const json& given, AttributeType type, v1::JourneyValue& out) {
  if (given.is_null()) return true;  // the attribute is removed
  switch (type) {
    case tenants::v1::TEXT:
      if (!given.is_string() || given.get_ref<const std::string&>().size() > kUpdateTextBytesMax) return false;
      out.set_text(given.get<std::string>());
      return true;
    case tenants::v1::INTEGER:
      if (!given.is_number_integer() || (given.is_number_unsigned() && given.get<uint64_t>() > INT64_MAX)) return false;
      out.set_integer(given.get<int64_t>());
      return true;
    case tenants::v1::NUMBER:
      if (!given.is_number() || !IsFinite(given.get<double>())) return false;
      out.set_number(given.get<double>());
      return true;
    case tenants::v1::BOOLEAN:
      if (!given.is_boolean()) return false;
      out.set_boolean(given.get<bool>());
      return true;
    default:
      return false;
  }
}

const char* NameOf(AttributeType type) {
  switch (type) {
    case tenants::v1::INTEGER:
      return "a whole number";
    case tenants::v1::NUMBER:
      return "a number";
    case tenants::v1::BOOLEAN:
      return "true or false";
    default:
      return "a text of at most 1024 bytes";
  }
}

class UpdateReader {
 public:
  UpdateReader(std::string_view where, const audience::SegmentCatalog& catalog, std::vector<JourneyProblem>& problems)
      : where_(where), catalog_(catalog), problems_(problems) {}

  void Set(const json& values, v1::UpdateStep& out) {
    if (!values.is_object() || values.empty() || values.size() > kUpdateValuesMax)
      return Problem("set", "invalid", fmt::format("an object of 1 to {} attributes and their values; null removes one", kUpdateValuesMax));
    for (const auto& [name, value] : values.items()) {
      const std::string at = "set/" + name.substr(0, 64);
      const auto known = std::ranges::find(catalog_.attributes, name, [](const auto& attribute) { return attribute.name; });
      if (known == catalog_.attributes.end()) {
        Problem(at, "unknown_attribute", "there is no such attribute; register it first");
      } else if (known->personal) {
        Problem(at, "personal_attribute", "a personal attribute is sealed for one contact: a step cannot set it");
      } else {
        v1::JourneyValue& one = *out.add_set();
        one.set_name(name);
        if (!TakeValue(value, known->type, one)) Problem(at, "invalid", fmt::format("{}, or null", NameOf(known->type)));
      }
    }
  }
  void Tags(const json& tags, const char* member, google::protobuf::RepeatedPtrField<std::string>& out) {
    const auto fits = [](const json& tag) { return tag.is_string() && IsTag(tag.get_ref<const std::string&>()); };
    if (!tags.is_array() || tags.empty() || tags.size() > kUpdateTagsMax || !std::ranges::all_of(tags, fits)) {
      return Problem(member, "invalid",
                     fmt::format("a list of 1 to {} tags of a-z, 0-9, _ - . and :, up to {} bytes each", kUpdateTagsMax, kTagBytesMax));
    }
    for (const json& tag : tags) out.Add(tag.get<std::string>());
  }
  void Problem(const std::string& member, std::string code, std::string sentence) {
    if (problems_.size() < kProblemsMax)
      problems_.push_back({member.empty() ? where_ : where_ + "/" + member, std::move(code), std::move(sentence)});
  }

 private:
  const std::string where_;
  const audience::SegmentCatalog& catalog_;
  std::vector<JourneyProblem>& problems_;
};

bool SameValue(const contacts::v1::Attribute& a, const v1::JourneyValue& b) {
  if (b.has_text()) return a.has_text() && a.text() == b.text();
  if (b.has_integer()) return a.has_integer() && a.integer() == b.integer();
  if (b.has_number()) return a.has_number() && a.number() == b.number();
  return a.has_boolean() && a.boolean() == b.boolean();
}

}  // namespace

v1::UpdateStep ReadUpdate(const json& step, std::string_view where, const audience::SegmentCatalog& catalog,
                          std::vector<JourneyProblem>& problems) {
  v1::UpdateStep out;
  UpdateReader reader(where, catalog, problems);
  const auto has = [&](const char* member) { return step.contains(member) && !step[member].is_null(); };
  if (!has("set") && !has("add_tags") && !has("remove_tags"))
    reader.Problem("", "missing", "give one or more of set, add_tags and remove_tags");
  if (has("set")) reader.Set(step["set"], out);
  if (has("add_tags")) reader.Tags(step["add_tags"], "add_tags", *out.mutable_add_tags());
  if (has("remove_tags")) reader.Tags(step["remove_tags"], "remove_tags", *out.mutable_remove_tags());
  for (const std::string& tag : out.remove_tags()) {
    if (std::ranges::find(out.add_tags(), tag) != out.add_tags().end())
      reader.Problem("remove_tags", "invalid", fmt::format("\"{}\" is added and removed", tag));
  }
  return out;
}

bool IsAsWanted(const contacts::v1::Contact& contact, const v1::UpdateStep& update) {
  const auto is = [&](const v1::JourneyValue& wanted) {
    const auto found = std::ranges::find(contact.attributes(), wanted.name(), &contacts::v1::Attribute::name);
    if (found == contact.attributes().end()) return wanted.value_case() == v1::JourneyValue::VALUE_NOT_SET;
    return wanted.value_case() != v1::JourneyValue::VALUE_NOT_SET && SameValue(*found, wanted);
  };
  const auto tagged = [&](const std::string& tag) { return std::ranges::find(contact.tags(), tag) != contact.tags().end(); };
  return std::ranges::all_of(update.set(), is) && std::ranges::all_of(update.add_tags(), tagged) &&
         std::ranges::none_of(update.remove_tags(), tagged);
}

bool MayUpdate(const v1::JourneyInstance& instance, int64_t now_s) {
  return instance.updates() < kUpdatesMax || now_s - instance.updates_from_s() >= kUpdatesWithinS;
}

void CountUpdate(v1::JourneyInstance& instance, int64_t now_s) {
  if (instance.updates() == 0 || now_s - instance.updates_from_s() >= kUpdatesWithinS) {
    instance.set_updates_from_s(now_s);
    instance.set_updates(0);
  }
  instance.set_updates(instance.updates() + 1);
}

}  // namespace maily::journeys
