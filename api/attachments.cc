// See attachments.h.
#include "api/attachments.h"

#include <algorithm>

#include "api/assets.h"
#include "schemas/asset_store.h"
#include "schemas/mail_bytes.h"
#include "schemas/media.h"
#include "streams/base/base64.h"

namespace maily::api {
namespace {

using messages::v1::MessageAttachment;
using messages::v1::MessageContent;

http::Problem TooLarge(std::string path, std::string hint) {
  return {.status = 413,
          .code = "body_too_large",
          .message = "the attachments are too large",
          .details = {{std::move(path), "too_large", std::move(hint)}}};
}

std::optional<std::string> ReadFileName(Members& members, bool required) {
  const auto name = members.Text("file_name", schema::FileName::kBytesMax, required);
  if (!name) return std::nullopt;
  const auto parsed = schema::FileName::Parse(*name);
  if (!parsed) return members.Violation("file_name", "invalid_name", parsed.error().message);
  return parsed->text();
}

// The type, if it is one of those that assets have here.
std::optional<std::string> ReadType(Members& members, const AssetSettings& settings) {
  const auto said = members.Text("content_type", kNameBytesMax, kRequired);
  if (!said) return std::nullopt;
  const auto parsed = schema::MediaType::Parse(*said);
  if (parsed && std::ranges::find(settings.types, parsed->text()) != settings.types.end()) return parsed->text();
  return members.Violation("content_type", "asset_type_refused", fmt::format("taken are: {}", fmt::join(settings.types, ", ")));
}

// One that the request brings along.
void ReadFile(Members& members, const std::string& path, const AssetSettings& settings, Posting::One& one, MessageContent& content,
              std::optional<http::Problem>& too_large) {
  const auto name = ReadFileName(members, true);
  const auto type = ReadType(members, settings);
  const auto text = members.Text("content", kMessageBodyBytesMax, kRequired);
  if (!name || !type || !text) return;
  if (text->size() / 4 * 3 > settings.bytes_max + 2) {
    too_large = TooLarge(path + "/content", fmt::format("a file has at most {} bytes here (asset_kb_max)", settings.bytes_max));
    return;
  }
  auto bytes = FromBase64(*text);
  if (!bytes || bytes->empty()) {
    members.Violation("content", "invalid_base64", "the bytes of the file in base64 with padding, in one line (RFC 4648 4)");
    return;
  }
  if (bytes->size() > settings.bytes_max) {
    too_large = TooLarge(path + "/content", fmt::format("a file has at most {} bytes here (asset_kb_max), and this one has {}",
                                                        settings.bytes_max, bytes->size()));
    return;
  }
  if (!LooksLike(*type, *bytes)) {
    members.Violation("content", "asset_type_refused", fmt::format("these bytes are no {}: they begin otherwise", *type));
    return;
  }
  MessageAttachment& attachment = *content.add_attachments();
  attachment.set_digest(schema::AssetDigest(schema::AssetId(*bytes)));
  attachment.set_content_type(*type);
  attachment.set_file_name(*name);
  attachment.set_size(bytes->size());
  one.brought.push_back({.place = content.attachments_size() - 1, .bytes = *std::move(bytes), .blob = {}});
}

void ReadAsset(Members& members, Posting& posting, MessageContent& content) {
  const auto asset = members.Text("asset", kNameBytesMax, kRequired);
  const auto name = ReadFileName(members, false);
  if (!asset) return;
  if (!schema::IsAssetName(*asset)) {
    members.Violation("asset", "invalid_name", "the name of an asset, or its id");
    return;
  }
  posting.prepare.add_assets(*asset);
  content.add_attachments()->set_file_name(name.value_or(""));  // digest, type and size when the home has told them
}

}  // namespace

std::optional<http::Problem> ReadAttachments(Body& body, const Call& call, Posting& posting, Posting::One& one, MessageContent& content) {
  if (!body.Has("attachments")) return std::nullopt;
  const AssetSettings& settings = call.api->parts.assets;
  std::optional<http::Problem> wrong;
  size_t at = 0;
  body.Each("attachments", kAttachmentsMax, [&](Members& members) {
    const std::string path = fmt::format("/attachments/{}", at++);
    if (members.Has("asset") == members.Has("content")) {
      members.Violation("asset", "missing", "either asset, the name or id of one, or content, bytes in base64");
    }
    if (members.Has("asset")) return ReadAsset(members, posting, content);
    ReadFile(members, path, settings, one, content, wrong);
  });
  uint64_t brought = 0;
  for (const Posting::Brought& file : one.brought) brought += schema::EnclosedBytes(file.bytes.size());
  posting.prepare.set_brought_bytes(brought);
  one.message.set_attachments(static_cast<uint32_t>(content.attachments_size()));
  if (wrong) return wrong;
  if (settings.mail_bytes_max != 0 && brought > settings.mail_bytes_max) {
    return TooLarge("/attachments",
                    fmt::format("a mail with all it encloses has at most {} bytes here (mail_kb_max), and in it these have {}",
                                settings.mail_bytes_max, brought));
  }
  if (settings.store == nullptr || settings.attachments == nullptr) {
    return http::Problem{
        .status = 501, .code = "not_implemented", .message = "this process has no place for attachments: see the setting assets"};
  }
  return std::nullopt;
}

Result<void> StoreAttachments(const Call& call, Posting::One& one, const keyring::SubjectKey& key) {
  const PartitionId partition = PartitionOf(one.message.contact_key(), call.api->gateway.log().partition_count);
  for (Posting::Brought& file : one.brought) {
    MAILY_TRY(file.blob, call.api->parts.assets.attachments->Put(call.caller.tenant, partition, key, file.bytes));
    file.bytes.clear();
    file.bytes.shrink_to_fit();
  }
  if (!one.brought.empty()) one.message.set_uploaded_at_us(call.api->parts.clock.Now().us);
  return Ok();
}

void TakeAssets(const nlohmann::json& form, messages::v1::PostMessage& message) {
  if (message.attachments() == 0) return;
  MessageContent content;
  MAILY_CHECK(content.ParseFromString(message.content()), "the content of a message is our own");
  size_t asset = 0;
  for (MessageAttachment& attachment : *content.mutable_attachments()) {
    if (!attachment.digest().empty()) continue;  // brought along
    const std::string member = fmt::format("asset_{}", asset++);
    const std::string id = form.value(member, std::string());
    if (!schema::IsAssetId(id)) continue;  // a dry run
    attachment.set_digest(schema::AssetDigest(id));
    attachment.set_content_type(form.value(member + "_type", std::string()));
    attachment.set_size(form.value(member + "_bytes", uint64_t{0}));
    if (attachment.file_name().empty()) attachment.set_file_name(form.value(member + "_name", std::string()));
  }
  message.set_content(content.SerializeAsString());
}

void NameBlobs(Posting::One& one) {
  if (one.brought.empty()) return;
  MessageContent content;
  MAILY_CHECK(content.ParseFromString(one.message.content()), "the content of a message is our own");
  for (const Posting::Brought& file : one.brought) {
    if (file.blob.empty()) continue;  // a dry run
    content.mutable_attachments(file.place)->set_blob(file.blob);
    one.message.add_blobs(file.blob);
  }
  one.message.set_content(content.SerializeAsString());
}

}  // namespace maily::api
