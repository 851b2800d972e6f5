// Which variant of a template's version somebody reads, by what an attempt carries of him. Pure; thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "maily/contacts/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"

namespace maily::personalization {

using Attributes = google::protobuf::RepeatedPtrField<contacts::v1::Attribute>;

// Which of `locales`, those of a version's variants; -1: none, what stands in the version itself.
int VariantOf(std::span<const std::string_view> locales, const Attributes& attributes);
// The language of what is read; of the version itself, what that says of its own, which may be nothing.
std::string LocaleOf(const templates::v1::TemplateVersion& version, const Attributes& attributes);

}  // namespace maily::personalization
