// See decide.h.
#include "processors/messages/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "maily/assets/v1/events.pb.h"
#include "maily/assets/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/compliance/gate.h"
#include "processors/compliance/rules.h"
#include "processors/messages/confirmation_mail.h"
#include "processors/messages/evolve.h"
#include "processors/messages/slices.h"
#include "processors/personalization/mail_size.h"
#include "processors/personalization/template.h"
#include "schemas/asset_store.h"
#include "schemas/keys.h"
#include "schemas/mail_bytes.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/state/key.h"

namespace maily::messages {
namespace {

using journal::Outcome;

const tenants::v1::Tenant& TenantOf(const task::Context& context) {
  static const tenants::v1::Tenant kNew;
  const auto* tenant = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  return tenant == nullptr ? kNew : *tenant;
}

uint64_t TemplateIdOf(const task::Context& context, const v1::PrepareMessages& command) {
  if (command.template_id() != 0) return command.template_id();
  const auto* named = context.view<templates::v1::TemplateName>().Find(state::Key(context.tenant(), command.template_()));
  return named == nullptr ? 0 : named->template_id();
}

// Null: there is none.
const templates::v1::TemplateVersion* VersionOf(const templates::v1::Template* saved, uint32_t number) {
  if (saved == nullptr || saved->versions().empty()) return nullptr;
  if (number == 0) return &saved->versions(saved->versions_size() - 1);
  for (const auto& version : saved->versions()) {
    if (version.number() == number) return &version;
  }
  return nullptr;
}

// What makes it that form: a version never changes, so its number says all.
std::string DigestOf(const v1::MessageForm& form) {
  std::string bytes;
  PutOrdered<uint64_t>(bytes, form.template_id());
  PutOrdered<uint32_t>(bytes, form.template_version().number());
  PutOrdered<uint8_t>(bytes, static_cast<uint8_t>((form.untracked() ? 1 : 0) + (form.marketing() ? 2 : 0) + (form.confirmation() ? 4 : 0)));
  for (const std::string* text : {&form.from(), &form.postal_address(), &form.company()}) PutBytes(bytes, *text);
  const Hash128 hash = Xxh3_128(bytes);
  std::string digest;
  PutOrdered<uint64_t>(digest, hash.high);
  PutOrdered<uint64_t>(digest, hash.low);
  return digest;
}

// The version that is asked for; null: there is none.
const templates::v1::TemplateVersion* VersionFor(const task::Context& context, const v1::PrepareMessages& command, uint64_t template_id) {
  if (command.confirmation() && command.template_id() == 0 && command.template_().empty()) return &ConfirmationMail(command.language());
  return VersionOf(context.view<templates::v1::Template>().Find(state::Key(context.tenant(), template_id)), command.version());
}

// Whoever reads any part of any variant finds the link.
bool HasConfirmUrl(const templates::v1::TemplateVersion& version) {
  std::vector<personalization::PartialSource> partials;
  for (const auto& partial : version.partials()) partials.push_back({partial.name(), partial.html(), partial.text()});
  const auto has = [&](const auto& of) {
    const auto parsed = personalization::Parse({of.subject(), of.html(), of.text(), {}, {}, partials});
    return (of.html().empty() || parsed.html_has_confirm_url) && (of.text().empty() || parsed.text_has_confirm_url);
  };
  return has(version) && std::ranges::all_of(version.variants(), has);
}

void RefuseFor(task::Context& context, const std::vector<compliance::Objection>& wrong) {
  std::string all;
  for (const compliance::Objection& one : wrong) all += (all.empty() ? "" : "; ") + one.sentence;
  context.Refuse(Outcome::kInvalid, wrong.front().code, all);
  for (const compliance::Objection& one : wrong) context.Answer(fmt::format("{}#{}", one.path, one.code), one.sentence);
}

// The asset of that name or id, with its digest; or nothing.
std::optional<std::pair<std::string, assets::v1::Asset>> AssetOf(const task::Context& context, const std::string& name) {
  std::string digest;
  if (schema::IsAssetId(name)) {
    digest = schema::AssetDigest(name);
  } else if (const auto* named = context.view<assets::v1::AssetName>().Find(state::Key(context.tenant(), name))) {
    digest = named->asset();
  }
  const auto* asset = context.view<assets::v1::Asset>().Find(state::Key(context.tenant(), digest));
  if (asset == nullptr || asset->archived()) return std::nullopt;
  return std::pair(std::move(digest), *asset);
}

// What a message encloses of the tenant's assets.
struct Enclosed {
  std::vector<std::pair<std::string, assets::v1::Asset>> assets;  // and their digests
  uint64_t bytes = 0;                                             // that they take in its mail
};

Enclosed EnclosedBy(const task::Context& context, const v1::PrepareMessages& command, std::vector<compliance::Objection>& wrong) {
  Enclosed enclosed;
  if (command.assets_size() > kAttachmentsMax)
    wrong.push_back({"/attachments", "too_many", fmt::format("a message has at most {} attachments", kAttachmentsMax)});
  for (int i = 0; i < std::min(command.assets_size(), kAttachmentsMax); ++i) {
    auto asset = AssetOf(context, command.assets(i));
    if (!asset) {
      wrong.push_back(
          {"/attachments", "asset_missing", fmt::format("there is no asset \"{}\", or it is archived", command.assets(i).substr(0, 100))});
      continue;
    }
    enclosed.bytes += schema::EnclosedBytes(asset->second.size());
    enclosed.assets.push_back(*std::move(asset));
  }
  return enclosed;
}

// Says what each is, and that it is not to be deleted any more. False: that is known of all.
bool AnswerEnclosed(task::Context& context, const Enclosed& enclosed) {
  bool news = false;
  for (size_t i = 0; i < enclosed.assets.size(); ++i) {
    const auto& [digest, asset] = enclosed.assets[i];
    context.Answer(fmt::format("asset_{}", i), schema::AssetIdOf(digest));
    context.Answer(fmt::format("asset_{}_name", i), asset.name());
    context.Answer(fmt::format("asset_{}_type", i), asset.content_type());
    context.Answer(fmt::format("asset_{}_bytes", i), uint64_t{asset.size()});
    const auto* known = context.view<assets::v1::Asset>().Find(state::Key(context.tenant(), digest));
    if (known == nullptr || known->enclosed()) continue;
    assets::v1::AssetEnclosed event;
    event.set_asset(digest);
    context.Emit(event);
    news = true;
  }
  return news;
}

void AnswerForm(task::Context& context, uint64_t form_id, const v1::MessageForm& form) {
  context.Answer("form_id", form_id);
  context.Answer("template_id", form.template_id());
  context.Answer("template_version", uint64_t{form.template_version().number()});
}

constexpr size_t kBlobBytesMax = 200;  // of a name

// What is wrong with it; null: nothing.
const char* FaultOf(const v1::PostMessage& command) {
  if (command.form_id() == 0) return "it names no form";
  if (command.contact_key().size() != schema::kContactKeyBytes || command.address().empty()) return "it has no address";
  if (command.content().size() > kContentBytesMax) return "its variables and headers are too large";
  if (Seconds(command.expires_after_s()) > kExpiresAfterMax) return "it expires later than 48 hours from now";
  if (command.attachments() > kAttachmentsMax || command.blobs_size() > kAttachmentsMax) return "it has too many attachments";
  for (const std::string& blob : command.blobs()) {
    if (blob.empty() || blob.size() > kBlobBytesMax) return "it names a blob that cannot be";
  }
  return nullptr;
}

// The id, or 0: it was refused.
uint64_t Accept(task::Context& context, const v1::PostMessage& command) {
  if (const char* wrong = FaultOf(command)) {
    context.Refuse(Outcome::kInvalid, "invalid_message", wrong);
    return 0;
  }
  if (command.blobs_size() > 0 && context.now() > Instant{command.uploaded_at_us()} + kUploadPatience) {
    context.Refuse(Outcome::kInvalid, "upload_expired", "its attachments were uploaded more than an hour ago; post it again");
    return 0;
  }
  const auto* run = context.view<v1::MessageRun>().Find(state::Key(context.tenant()));
  const uint64_t number = run == nullptr ? 1 : run->last_number() + 1;
  if (number > schema::kMessageNumberMax) {
    context.Refuse(Outcome::kInvalid, "too_many_messages", "there are no numbers left for messages");
    return 0;
  }
  const auto* ref = context.view<contacts::v1::ContactRef>().Find(state::Key(context.tenant(), command.contact_key()));
  const Duration lasts = command.expires_after_s() == 0 ? kExpiresAfterMax : Seconds(command.expires_after_s());
  v1::MessageAccepted accepted;
  accepted.set_message_id(schema::PackMessageId({context.partition(), number}));
  accepted.set_ordinal(ref == nullptr ? 0 : ref->ordinal());
  accepted.set_form_id(command.form_id());
  accepted.set_template_id(command.template_id());
  accepted.set_template_version(command.template_version());
  accepted.set_contact_key(command.contact_key());
  accepted.set_address(command.address());
  accepted.set_domain_key(command.domain_key());
  accepted.set_content(command.content());
  accepted.set_expires_at_us((context.now() + lasts).us);
  accepted.set_retry_unknown(command.retry_unknown());
  accepted.set_test(command.test());
  accepted.set_source(command.source());
  accepted.set_confirm_number(command.confirm_number());
  *accepted.mutable_blobs() = command.blobs();
  accepted.set_attachments(command.attachments());
  if (context.command() != nullptr && !context.command()->trace.IsZero()) {
    const TraceId& trace = context.command()->trace;
    accepted.set_trace(trace.view().data(), trace.view().size());
  }
  context.Emit(accepted);
  return accepted.message_id();
}

}  // namespace

// ---- In the tenant's home ----

void Decide(task::Context& context, const v1::PrepareMessages& command) {
  const tenants::v1::Tenant& tenant = TenantOf(context);
  const uint64_t template_id = TemplateIdOf(context, command);
  const templates::v1::TemplateVersion* version = VersionFor(context, command, template_id);
  const auto* saved = context.view<templates::v1::Template>().Find(state::Key(context.tenant(), template_id));
  if (version == nullptr && saved != nullptr) {
    context.Refuse(Outcome::kInvalid, "template_version_not_found",
                   fmt::format("version {} of template {} is not there; the last 16 are kept", command.version(), template_id));
    return context.Answer("/version#template_version_not_found", "there is no such version");
  }
  const bool archived = saved != nullptr && saved->archived();
  campaigns::v1::CampaignSpec spec;
  spec.set_template_id(template_id);
  spec.set_from(!command.from().empty() || tenant.senders().empty() ? command.from() : tenant.senders(0));
  std::vector<compliance::Objection> wrong =
      compliance::MessageObjections({.spec = spec,
                                     .tenant = tenant,
                                     .templates = {{.id = template_id, .version = version, .archived = archived}},
                                     .domain = compliance::DomainOf(context.view<domains::v1::Domain>(), context.tenant(), spec.from()),
                                     .live = command.live()},
                                    command.marketing());
  if (command.confirmation() && version != nullptr && !HasConfirmUrl(*version))
    wrong.push_back({"/template_id", "confirm_url_missing",
                     "every part of the template, in every language, needs {{ confirm_url }} outside of all conditions and loops"});
  const Enclosed enclosed = EnclosedBy(context, command, wrong);
  if (!wrong.empty()) return RefuseFor(context, wrong);
  const uint64_t mail_bytes = personalization::MailBytes(*version) + enclosed.bytes + command.brought_bytes();
  if (command.mail_bytes_max() != 0 && mail_bytes > command.mail_bytes_max()) {
    return context.Refuse(Outcome::kInvalid, "mail_too_large",
                          fmt::format("each mail would have {} bytes, more than {} (mail_kb_max)", mail_bytes, command.mail_bytes_max()));
  }
  v1::MessageFormMade made;
  v1::MessageForm& form = *made.mutable_form();
  form.set_template_id(template_id);
  *form.mutable_template_version() = *version;
  form.set_from(spec.from());
  form.set_postal_address(tenant.postal_address());
  form.set_company(tenant.company());
  // Who has not agreed to anything yet is not watched.
  form.set_untracked(command.confirmation() || tenant.tracking() == tenants::v1::TRACKING_OFF);
  form.set_confirmation(command.confirmation());
  form.set_marketing(command.marketing());
  made.set_digest(DigestOf(form));
  if (const auto* known = context.view<v1::MessageFormRef>().Find(state::Key(context.tenant(), made.digest()))) {
    AnswerForm(context, known->form_id(), form);
    if (AnswerEnclosed(context, enclosed)) return;
    return context.Unchanged();
  }
  const auto* counter = context.view<v1::MessageFormCounter>().Find(state::Key(context.tenant()));
  made.set_form_id(counter == nullptr ? 1 : counter->last_form_id() + 1);
  if (made.form_id() > kFormsMax) {
    return context.Refuse(
        Outcome::kInvalid, "too_many_forms",
        fmt::format("a tenant has at most {} different combinations of template version and sender for messages", kFormsMax));
  }
  if (made.ByteSizeLong() > kFormBytesMax) {
    return context.Refuse(Outcome::kInvalid, "form_too_large",
                          fmt::format("with its template it has {} bytes, more than {}", made.ByteSizeLong(), kFormBytesMax));
  }
  context.Emit(made);
  AnswerForm(context, made.form_id(), form);
  AnswerEnclosed(context, enclosed);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::MessageFormMade& made) {
  if (context.view<v1::HeldForm>().Find(state::Key(context.tenant(), made.form_id())) != nullptr) return context.Unchanged();
  v1::MessageFormHeld held;
  held.set_form_id(made.form_id());
  *held.mutable_form() = made.form();
  context.Emit(held);
}

void Decide(task::Context& context, const v1::PostMessage& command) {
  const uint64_t message_id = Accept(context, command);
  if (message_id == 0) return;
  const std::string held_up = SkipIfSuppressed(context, message_id);
  context.Answer("message_id", std::to_string(message_id));
  context.Answer("status", held_up.empty() ? "queued" : "skipped");
  if (!held_up.empty()) context.Answer("reason", held_up);
}

void Decide(task::Context& context, const v1::ReleaseAttachments& command) {
  if (command.blobs_size() > kReleasesMax)
    return context.Refuse(Outcome::kInvalid, "too_many", fmt::format("at most {} blobs are asked for at once", kReleasesMax));
  std::string free;
  for (const std::string& blob : command.blobs())
    free += context.view<v1::AttachmentBlob>().Find(state::Key(context.tenant(), blob)) == nullptr ? '1' : '0';
  context.Answer("free", free);
  context.Unchanged();
}

void React(task::Context& context, const v1::MessageWanted& wanted) {
  const uint64_t message_id = Accept(context, wanted.message());
  if (message_id != 0) SkipIfSuppressed(context, message_id);
}

void React(task::Context& context, const v1::MessageWithdrawn& withdrawn) {
  const auto* message = context.view<v1::Message>().Find(state::Key(context.tenant(), withdrawn.message_id()));
  if (message == nullptr || (message->status() != sends::v1::PENDING && message->status() != sends::v1::WAITING)) return;
  sends::v1::SendSkipped skipped;
  skipped.set_campaign_id(withdrawn.message_id());
  skipped.set_ordinal(message->ordinal());
  skipped.set_reason(campaigns::v1::CANCELLED);
  skipped.set_detail(withdrawn.why());
  context.Emit(skipped);
}

void Expire(task::Context& context, std::string_view subject) {
  const auto message_id = Cursor(subject).Ordered<uint64_t>();
  const auto* message = context.view<v1::Message>().Find(state::Key(context.tenant(), message_id));
  // An attempt that is open comes to its end first, and is not put off any more then.
  if (message == nullptr || (message->status() != sends::v1::PENDING && message->status() != sends::v1::WAITING)) return;
  const auto* open = context.view<sends::v1::OpenAttempt>().Find(state::Key(context.tenant(), message_id, message->ordinal()));
  sends::v1::SendExpired expired;
  expired.set_campaign_id(message_id);
  expired.set_ordinal(message->ordinal());
  if (open != nullptr) expired.set_last_reply(open->last_reply());
  context.Emit(expired);
}

}  // namespace maily::messages
