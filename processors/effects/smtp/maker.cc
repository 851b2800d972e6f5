// See maker.h.
#include "processors/effects/smtp/maker.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "processors/audience/arm_mail.h"
#include "processors/personalization/asset_refs.h"
#include "processors/personalization/variables.h"
#include "processors/personalization/variants.h"
#include "schemas/asset_store.h"
#include "schemas/message_headers.h"
#include "schemas/message_id.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/keyring/cipher.h"
#include "streams/observe/logging.h"
#include "streams/state/key.h"
#include "streams/state/table.h"

namespace maily::smtp {
namespace {

using domains::v1::SigningDomain;
using domains::v1::SigningKey;

constexpr size_t kMailingsMax = 64;  // campaigns compiled at once; a mail of another one compiles again
constexpr size_t kSignersMax = 256;  // keys parsed at once
constexpr std::string_view kKeyField = "dkim_key";
constexpr std::string_view kContentField = "message";
constexpr uint64_t kFormMark = uint64_t{1} << 63;  // no campaign's id is so high

// False, or the text "false".
Result<bool> IsFalse(const contacts::v1::Attribute& attribute, TenantId tenant, keyring::Keyring& keyring) {
  if (attribute.value_case() == contacts::v1::Attribute::kBoolean) return !attribute.boolean();
  if (attribute.value_case() != contacts::v1::Attribute::kSealed) return attribute.text() == "false";
  MAILY_TRY(const std::string text, schema::Open(keyring, tenant, schema::AttributeFieldId(attribute.name()), attribute.sealed()));
  return text == "false";
}

// As templates have it; `text` keeps what it views.
Result<personalization::Value> ValueOf(const contacts::v1::Attribute& attribute, TenantId tenant, keyring::Keyring& keyring,
                                       std::string& text) {
  using personalization::Value;
  switch (attribute.value_case()) {
    case contacts::v1::Attribute::kText:
      return Value::String(attribute.text());
    case contacts::v1::Attribute::kInteger:
      return Value::Integer(attribute.integer());
    case contacts::v1::Attribute::kNumber:
      return Value::ShortDouble(attribute.number());
    case contacts::v1::Attribute::kBoolean:
      return Value::Bool(attribute.boolean());
    case contacts::v1::Attribute::kSealed: {
      MAILY_TRY(text, schema::Open(keyring, tenant, schema::AttributeFieldId(attribute.name()), attribute.sealed()));
      return Value::String(text);
    }
    case contacts::v1::Attribute::VALUE_NOT_SET:
      break;
  }
  return Value();
}

// Of that name, or of the nearest one above it that has two labels at least. Null: there is none.
const SigningDomain* Nearest(TenantId tenant, std::string& name, state::Cache& cache) {
  const auto domains = state::View<SigningDomain>(cache);
  while (name.find('.') != std::string::npos) {
    if (const SigningDomain* found = domains.Find(state::Key(tenant, name))) return found;
    name.erase(0, name.find('.') + 1);
  }
  return nullptr;
}

bool Signs(const SigningKey& key, Instant at) {
  return key.active_from_us() != 0 && key.active_from_us() <= at.us && (key.active_to_us() == 0 || at.us < key.active_to_us());
}

// What only one message has, ready to be composed.
struct Content {
  personalization::Variables variables;
  std::string headers;
  std::string subject_prefix;
  uint64_t confirm_number = 0;
  std::vector<mime::Item> attachments;
};

Result<messages::v1::MessageContent> OpenContent(TenantId tenant, const std::string& sealed, keyring::Keyring& keyring) {
  messages::v1::MessageContent read;
  if (sealed.empty()) return read;
  MAILY_TRY(const std::string opened, schema::Open(keyring, tenant, kContentField, sealed));
  if (!read.ParseFromString(opened)) return Fail(Code::kInvalid, "what the message was posted with cannot be read");
  return read;
}

Result<std::vector<mime::Item>> ItemsOf(const messages::v1::MessageContent& content) {
  std::vector<mime::Item> items;
  for (const messages::v1::MessageAttachment& attachment : content.attachments()) {
    MAILY_TRY(schema::MediaType type, schema::MediaType::Parse(attachment.content_type()));
    MAILY_TRY(schema::FileName name, schema::FileName::Parse(attachment.file_name()));
    items.push_back({.id = schema::AssetIdOf(attachment.digest()),
                     .type = std::move(type),
                     .name = std::move(name),
                     .blob = attachment.blob(),
                     .size = attachment.size()});
  }
  return items;
}

// The form's plan with what the message encloses.
mime::Plan OwnPlan(const mime::Plan& shared, std::vector<mime::Item> attachments) {
  mime::Plan plan = shared;
  plan.own = true;
  for (mime::Item& item : attachments) plan.attachments.push_back(std::move(item));
  return plan;
}

// `sealed`: instead of what the state has; or null.
Result<Content> ContentOf(TenantId tenant, uint64_t message_id, state::Cache& cache, keyring::Keyring& keyring, const std::string* sealed) {
  const auto* message = state::View<messages::v1::Message>(cache).Find(state::Key(tenant, message_id));
  if (message == nullptr) return Fail(Code::kInvalid, "the message is not known in this partition");
  Content content;
  content.confirm_number = message->confirm_number();
  const std::string& box = sealed != nullptr ? *sealed : message->content();
  if (!box.empty()) {
    MAILY_TRY(const messages::v1::MessageContent read, OpenContent(tenant, box, keyring));
    MAILY_TRY(content.attachments, ItemsOf(read));
    MAILY_TRY(content.variables, personalization::Variables::Parse(read.variables()));
    content.subject_prefix = read.subject_prefix();
    if (!read.reply_to().empty()) {
      MAILY_TRY(const Mailbox reply_to, ParseMailbox(read.reply_to()));
      AppendMailbox("Reply-To", reply_to, content.headers);
    }
    for (const auto& header : read.headers()) {
      if (!schema::IsMessageHeaderName(header.name()) || !schema::IsMessageHeaderValue(header.name(), header.value()))
        return Fail(Code::kInvalid, "a header of the message cannot stand in a mail");
      const bool ascii = std::ranges::all_of(header.value(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
      if (ascii) {  // as it is: ids of mails must not be encoded
        content.headers += header.name() + ": " + header.value() + "\r\n";
      } else {
        AppendHeader(header.name(), header.value(), content.headers);
      }
    }
  }
  if (!message->trace().empty()) content.headers += "X-Maily-Trace: " + TraceId::From(message->trace()).ToHex() + "\r\n";
  return content;
}

// What of the version's files is enclosed.
Result<void> AddItems(const templates::v1::TemplateVersion& version, Mailing::Options& options) {
  for (const templates::v1::UsedAsset& used : version.assets()) {
    if (used.use() == templates::v1::UsedAsset::HOSTED) continue;
    MAILY_TRY(schema::MediaType type, schema::MediaType::Parse(used.content_type()));
    MAILY_TRY(schema::FileName name, schema::FileName::Parse(used.file_name()));
    (used.use() == templates::v1::UsedAsset::RELATED ? options.images : options.attachments)
        .push_back({schema::AssetIdOf(used.asset()), std::move(type), std::move(name)});
  }
  return Ok();
}

// The HTML with the addresses of its images in place of "cid:NAME" and "asset:NAME".
std::string WithAssets(const templates::v1::TemplateVersion& version, std::string_view html, TenantId tenant, std::string_view base_url,
                       std::string_view from) {
  if (version.assets().empty()) return std::string(html);
  const auto mailbox = ParseMailbox(from);
  const std::string domain = mailbox ? FromDomain(*mailbox) : std::string();
  return personalization::ReplaceAssetRefs(html, [&](const personalization::AssetRef& ref) -> std::string {
    const bool enclosed = ref.kind == personalization::AssetRef::Kind::kEnclosed;
    for (const templates::v1::UsedAsset& used : version.assets()) {
      if (used.name() != ref.name || (used.use() == templates::v1::UsedAsset::RELATED) != enclosed) continue;
      if (used.use() == templates::v1::UsedAsset::ATTACHED) continue;
      const std::string id = schema::AssetIdOf(used.asset());
      return enclosed ? "cid:" + mime::ContentId(id, domain) : schema::HostedAddress(base_url, tenant, id);
    }
    return {};
  });
}

// The message of that id, if it encloses files of its own; or null.
const messages::v1::Message* AttachingMessage(TenantId tenant, uint64_t campaign_id, state::Cache& cache) {
  if (!schema::IsMessage(campaign_id)) return nullptr;
  const auto* message = state::View<messages::v1::Message>(cache).Find(state::Key(tenant, campaign_id));
  return message == nullptr || message->attachments() == 0 ? nullptr : message;
}

// The version as an arm gets it: its own subject stands in every language.
templates::v1::TemplateVersion VersionOf(const templates::v1::TemplateVersion& version, const campaigns::v1::Arm& arm) {
  templates::v1::TemplateVersion own = version;
  if (arm.subject().empty()) return own;
  own.set_subject(arm.subject());
  for (templates::v1::TemplateVariant& variant : *own.mutable_variants()) variant.set_subject(arm.subject());
  return own;
}

}  // namespace

Result<Mailing> MailingOf(const templates::v1::TemplateVersion& version, Mailing::Options options, int variant) {
  const bool own = variant < 0;
  const auto& of = own ? templates::v1::TemplateVariant::default_instance() : version.variants(variant);
  const auto with_assets = [&](std::string_view html) {
    return WithAssets(version, html, options.tenant, options.tracking_base_url, options.from);
  };
  const std::string html = with_assets(own ? version.html() : of.html());
  std::deque<std::string> texts;  // what `partials` view
  std::vector<personalization::PartialSource> partials;
  for (const templates::v1::UsedPartial& partial : version.partials())
    partials.push_back({partial.name(), texts.emplace_back(with_assets(partial.html())), partial.text()});
  const std::vector<std::string> links(version.links().begin(), version.links().end());
  options.source = {.subject = own ? version.subject() : of.subject(),
                    .html = html,
                    .text = own ? version.text() : of.text(),
                    .preheader = own ? version.preheader() : of.preheader(),
                    .from_name = options.from_name,
                    .partials = partials};
  options.links = links;
  MAILY_TRY_VOID(AddItems(version, options));
  return Mailing::Make(options);
}

std::string MailDigest(const Made& made) {
  const keyring::Digest digest = keyring::Sha256(made.data, made.tail ? std::string_view(*made.tail) : std::string_view());
  return std::string(keyring::View(digest));
}

const Maker::Compiled& Maker::CompiledFor(TenantId tenant, uint64_t campaign_id, uint32_t arm, state::Cache& cache) {
  static const Compiled kNone{.mailing = nullptr, .variants = {}, .error = "the campaign is not known in this partition"};
  if (schema::IsMessage(campaign_id)) {
    const auto* message = state::View<messages::v1::Message>(cache).Find(state::Key(tenant, campaign_id));
    if (message == nullptr) return kNone;
    const uint64_t key = message->form_id() | kFormMark;
    if (const auto found = mailings_.find({tenant, key, 0}); found != mailings_.end()) return found->second;
    const auto* held = state::View<messages::v1::HeldForm>(cache).Find(state::Key(tenant, message->form_id()));
    if (held == nullptr) return kNone;
    const messages::v1::MessageForm& form = held->form();
    return Compile(tenant, key, 0, form.template_version(),
                   {.tenant = tenant,
                    .campaign_id = message->form_id(),
                    .from = form.from(),
                    .postal_address = form.postal_address(),
                    .company = form.company(),
                    .tracking_base_url = tracking_base_url_,
                    .returns = returns_,
                    .untracked = form.untracked(),
                    .messages = true,
                    .opt_out = form.marketing(),
                    .confirmation = form.confirmation()});
  }
  if (const auto found = mailings_.find({tenant, campaign_id, arm}); found != mailings_.end()) return found->second;
  const auto* known = state::View<campaigns::v1::CampaignRun>(cache).Find(state::Key(tenant, campaign_id));
  if (known == nullptr) return kNone;
  const campaigns::v1::CampaignRun run = *known;  // a copy: the template of its arm is looked up meanwhile
  const std::string trace = run.trace().empty() ? "" : TraceId::From(run.trace()).ToHex();
  const auto& own =
      arm < static_cast<uint32_t>(run.spec().arms_size()) ? run.spec().arms(static_cast<int>(arm)) : campaigns::v1::Arm::default_instance();
  const audience::ArmMail mail = audience::MailOf(run, arm, tenant, campaign_id, state::View<templates::v1::PinnedTemplate>(cache));
  if (mail.version == nullptr) return kNone;
  return Compile(tenant, campaign_id, arm, VersionOf(*mail.version, own),
                 {.tenant = tenant,
                  .campaign_id = campaign_id,
                  .list_id = run.spec().list_id(),
                  .trace = trace,
                  .from = run.spec().from(),
                  .reply_to = run.spec().reply_to(),
                  .from_name = own.from_name().empty() ? run.spec().from_name() : own.from_name(),
                  .first_link = mail.first_link,
                  .postal_address = run.postal_address(),
                  .company = run.company(),
                  .tracking_base_url = tracking_base_url_,
                  .returns = returns_,
                  .untracked = run.spec().untracked()});
}

const Maker::Compiled& Maker::Compile(TenantId tenant, uint64_t key, uint32_t arm, const templates::v1::TemplateVersion& version,
                                      const Mailing::Options& options) {
  if (mailings_.size() >= kMailingsMax) mailings_.clear();
  Compiled& compiled = mailings_[{tenant, key, arm}];
  for (int variant = -1; variant < version.variants_size(); ++variant) {
    auto mailing = MailingOf(version, options, variant);
    if (!mailing) {
      compiled = {.mailing = nullptr, .variants = {}, .error = mailing.error().message};
      observe::Log(observe::Level::kError, "mails of a template cannot be made",
                   {{"tenant", tenant}, {"campaign", options.campaign_id}, {"error", mailing.error()}});
      break;
    }
    auto shared = std::make_shared<const Mailing>(std::move(*mailing));
    if (variant < 0) {
      compiled.mailing = std::move(shared);
    } else {
      compiled.variants.emplace_back(version.variants(variant).locale(), std::move(shared));
    }
  }
  return compiled;
}

const Mailing& Maker::Compiled::For(const sends::v1::AttemptOpened& opened) const {
  if (variants.empty()) return *mailing;
  std::vector<std::string_view> locales;
  for (const auto& [locale, variant] : variants) locales.push_back(locale);
  const int chosen = personalization::VariantOf(locales, opened.attributes());
  return chosen < 0 ? *mailing : *variants[static_cast<size_t>(chosen)].second;
}

const mime::Plan* Maker::Lacks(TenantId tenant, uint64_t campaign_id, uint32_t arm, state::Cache& cache, const std::string* content) {
  if (!tails_) return nullptr;
  const Compiled& compiled = CompiledFor(tenant, campaign_id, arm, cache);
  if (!compiled.mailing) return nullptr;
  if (const auto* message = AttachingMessage(tenant, campaign_id, cache)) {
    auto read = OpenContent(tenant, content != nullptr ? *content : message->content(), keyring_);
    auto items = read ? ItemsOf(*read) : Result<std::vector<mime::Item>>(read.error());
    if (!items) return nullptr;  // Make says why
    own_plan_ = OwnPlan(compiled.mailing->plan(), *std::move(items));
    return &own_plan_;
  }
  if (compiled.mailing->plan().plain() || tails_->Find(tenant, compiled.mailing->plan())) return nullptr;
  return &compiled.mailing->plan();
}

Result<const dkim::Signer*> Maker::SignerFor(TenantId tenant, const std::string& domain, const std::string& selector,
                                             std::string_view sealed) {
  std::string id = fmt::format("{}/{}/{}/{}", tenant.value(), domain, selector, sealed);
  const auto found = signers_.find(id);
  if (found != signers_.end()) return &found->second;
  const auto later = [&](const Error& why) {
    return Fail(Code::kRetry, "the key {} of {} cannot be used: {}", selector, domain, why.message);
  };
  const auto pem = schema::Open(keyring_, tenant, kKeyField, sealed);
  if (!pem) return later(pem.error());
  auto signer = dkim::Signer::Make(domain, selector, *pem);
  if (!signer) return later(signer.error());
  if (signers_.size() >= kSignersMax) signers_.clear();
  return &signers_.emplace(std::move(id), std::move(*signer)).first->second;
}

Result<std::string> Maker::Signatures(TenantId tenant, const Mailing& mailing, Instant at, state::Cache& cache, const Made& made,
                                      std::string& return_path) {
  std::string name = mailing.from_domain();
  const SigningDomain* domain = Nearest(tenant, name, cache);
  if (domain == nullptr) return std::string();
  return_path = domain->return_path();
  std::string rsa, others;
  std::optional<dkim::Prepared> prepared;  // only if a key signs
  for (const SigningKey& key : domain->keys()) {
    if (!Signs(key, at)) continue;
    if (!prepared) prepared = dkim::Prepare(made.data, made.tail ? std::string_view(*made.tail) : std::string_view());
    MAILY_TRY(const dkim::Signer* signer, SignerFor(tenant, name, key.selector(), key.private_key()));
    (signer->key().algorithm() == dkim::Algorithm::kRsaSha256 ? rsa : others) += signer->Sign(*prepared, at);
  }
  return rsa + others;
}

Result<void> Maker::Make(TenantId tenant, PartitionId partition, const sends::v1::AttemptOpened& opened, Instant first_opened_at,
                         state::Cache& cache, Made& made, Tail tail, const std::string* sealed) {
  const Compiled& compiled = CompiledFor(tenant, opened.campaign_id(), opened.arm(), cache);
  if (!compiled.mailing) return Fail(Code::kInvalid, "{}", compiled.error);
  const Mailing& mailing = compiled.For(opened);
  MAILY_TRY(std::string spelled, schema::Open(keyring_, tenant, "address", opened.address()));
  made.rcpt_to = OnTheWire(std::move(spelled));
  Content content;
  if (schema::IsMessage(opened.campaign_id())) {
    MAILY_TRY(content, ContentOf(tenant, opened.campaign_id(), cache, keyring_, sealed));
  }
  std::optional<mime::Frame> frame;
  if (!content.attachments.empty()) {
    frame.emplace(OwnPlan(mailing.plan(), std::move(content.attachments)));
    made.tail = std::move(tail);
    if (!made.tail) return Fail(Code::kRetry, "its attachments are not there");
  } else if (!mailing.plan().plain()) {
    made.tail = tail || !tails_ ? std::move(tail) : tails_->Find(tenant, mailing.plan());
    if (!made.tail) return Fail(Code::kRetry, "its images and attachments are not there");
  }
  std::vector<personalization::Value> values(mailing.attributes().size());
  std::vector<std::string> texts(values.size());
  bool untracked = false;
  for (const auto& attribute : opened.attributes()) {
    if (attribute.name() == schema::kTrackingAttribute) {
      MAILY_TRY(untracked, IsFalse(attribute, tenant, keyring_));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (mailing.attributes()[i] != attribute.name()) continue;
      MAILY_TRY(values[i], ValueOf(attribute, tenant, keyring_, texts[i]));
    }
  }
  MAILY_TRY(const keyring::TenantKeys* keys, keyring_.Tenant(tenant));
  MAILY_TRY_VOID(mailing.Compose({.partition = partition,
                                  .ordinal = opened.ordinal(),
                                  .address = made.rcpt_to,
                                  .attributes = values,
                                  .date = first_opened_at,
                                  .untracked = untracked,
                                  .message_id = opened.campaign_id(),
                                  .variables = content.variables.value(),
                                  .headers = content.headers,
                                  .subject_prefix = content.subject_prefix,
                                  .confirm_number = content.confirm_number,
                                  .frame = frame ? &*frame : nullptr},
                                 *keys, made.data));
  std::string return_path;
  MAILY_TRY(const std::string signatures, Signatures(tenant, mailing, first_opened_at, cache, made, return_path));
  made.data.insert(0, signatures);
  made.mail_from = return_path.empty() ? mailing.from_address()
                                       : EncodeReturnPath({tenant, partition, opened.campaign_id(), opened.ordinal()}, return_path, *keys);
  return Ok();
}

}  // namespace maily::smtp
