// Mails that were sent, made again from what the journal says of them, and compared with what was handed over. Sends nothing.
#include "api/handlers.h"
#include "api/read.h"
#include "schemas/asset_store.h"
#include "schemas/keys.h"
#include "schemas/message_id.h"

namespace maily::api {
namespace {

constexpr int64_t kAttemptsMax = 1000;
// Of send_history.
constexpr int64_t kAttemptOpened = 1;
constexpr int64_t kDelivered = 2;

Lsn LsnOf(const Value& sequence) { return Lsn(static_cast<uint64_t>(sequence.integer) >> 8); }

// The attempt that the receiver took, or may have; else the last one.
struct Attempt {
  SentMailSource source;
  int64_t number = 0;
};

Result<std::optional<Attempt>> FindAttempt(Call& call, uint64_t campaign_id, uint64_t contact_id) {
  MAILY_TRY(const Rows rows,
            QueryOwn(call, "send_attempts",
                     {{"campaign_id", Number(campaign_id)}, {"contact_id", Number(contact_id)}, {"limit", Value::Integer(kAttemptsMax)}}));
  const schema::ContactId contact = schema::UnpackContactId(contact_id);
  Attempt found;
  found.source.tenant = call.caller.tenant;
  found.source.partition = contact.partition;
  found.source.campaign_id = campaign_id;
  found.source.ordinal = contact.ordinal;
  std::optional<size_t> opened;
  for (size_t row = 0; row < rows.size(); ++row) {
    const int64_t kind = rows.at(row, "kind").integer;
    if (kind == kAttemptOpened) {
      if (!opened) found.source.first_opened_at = Instant{rows.at(row, "at_us").integer};
      opened = row;
      if (found.source.ended) continue;  // another attempt after one that is unknown
    } else if (found.source.delivered) {
      continue;
    } else {
      found.source.ended = LsnOf(rows.at(row, "sequence"));
      found.source.delivered = kind == kDelivered;
    }
    if (!opened) continue;
    found.source.opened = LsnOf(rows.at(*opened, "sequence"));
    found.number = rows.at(*opened, "attempt").integer;
  }
  return opened ? std::optional(found) : std::nullopt;
}

http::Problem CannotBeMade(const SentMail& mail) {
  const bool elsewhere = mail.cannot == "led_elsewhere";
  const bool gone = mail.cannot == "mail_erased" || mail.cannot == "mail_files_gone";
  return {.status = elsewhere ? 503 : gone ? 410 : 409, .code = mail.cannot, .message = "this mail cannot be made again: " + mail.why};
}

Json MailJson(uint64_t campaign_id, uint64_t contact_id, const Attempt& attempt, const SentMail& mail) {
  Json body{{schema::IsMessage(campaign_id) ? "message_id" : "campaign_id", CellJson("campaign_id", Number(campaign_id))}};
  body["contact_id"] = schema::UnpackContactId(contact_id).ordinal == 0 ? Json() : Json(std::to_string(contact_id));
  body["attempt"] = attempt.number;
  body["first_attempted_at"] = Rfc3339(attempt.source.first_opened_at.us);
  body["sent_sha256"] = mail.recorded.empty() ? Json() : Json(schema::AssetIdOf(mail.recorded));
  body["sha256"] = schema::AssetIdOf(mail.digest);
  body["same"] = mail.recorded.empty() ? Json() : Json(mail.recorded == mail.digest);
  if (mail.recorded.empty()) {
    body["why"] =
        attempt.source.ended
            ? "the hash of what was handed over is not known: it was sent by an older version, or the process ended before it told"
            : "no receiver has taken this mail";
  } else if (mail.recorded != mail.digest) {
    body["why"] =
        "what was handed over was made otherwise: by other settings of the instance (tracking_base_url, mail_host), by signing keys that "
        "are "
        "gone, or by another version of the program";
  }
  body["bytes"] = mail.bytes.size();
  body["mail"] = mail.bytes;
  return body;
}

// `accepted`: of a message, where the journal tells of it.
void AnswerMail(Call& call, uint64_t campaign_id, uint64_t contact_id, std::optional<Lsn> accepted) {
  auto attempt = FindAttempt(call, campaign_id, contact_id);
  if (!attempt) return Refuse(call, attempt.error());
  if (!*attempt) return Refuse(call, {.status = 409, .code = "mail_not_sent", .message = "no attempt was made to send this mail"});
  (*attempt)->source.accepted = accepted;
  const auto mail = call.api->parts.remake_mail((*attempt)->source);
  if (!mail) return Refuse(call, mail.error());
  if (!mail->cannot.empty()) return Refuse(call, CannotBeMade(*mail));
  http::Headers headers;
  headers.Add("cache-control", "no-store");
  Answer(call, 200, MailJson(campaign_id, contact_id, **attempt, *mail), std::move(headers));
}

http::Problem NotHere() {
  return {.status = 501, .code = "not_implemented", .message = "this process leads no partitions: ask one with the role tasks"};
}

}  // namespace

void ShowSendMail(Call call) {
  const auto id = IdParam(call);
  const auto contact = IdParam(call, "contact_id");
  if (!id || !contact) return Refuse(call, NoSuch("send"));
  if (!call.api->parts.remake_mail) return Refuse(call, NotHere());
  AfterOwnWrites(std::move(call), "send", Seconds(2), [id = *id, contact = *contact](Call c, bool) {
    const auto send = QueryOwn(c, "send", {{"campaign_id", Number(id)}, {"contact_id", Number(contact)}});
    if (!send) return Refuse(c, send.error());
    if (send->empty() || schema::IsMessage(id)) return Refuse(c, NoSuch("send"));
    AnswerMail(c, id, contact, std::nullopt);
  });
}

void ShowMessageMail(Call call) {
  const auto id = IdParam(call);
  if (!id || !schema::IsMessage(*id)) return Refuse(call, NoSuch("message"));
  if (!call.api->parts.remake_mail) return Refuse(call, NotHere());
  AfterOwnWrites(std::move(call), "message_place", Seconds(2), [id = *id](Call c, bool) {
    const auto place = QueryOwn(c, "message_place", {{"message_id", Number(id)}});
    if (!place) return Refuse(c, place.error());
    if (place->empty()) return Refuse(c, NoSuch("message"));
    AnswerMail(c, id, static_cast<uint64_t>(place->at(0, "contact_id").integer), LsnOf(place->at(0, "sequence")));
  });
}

}  // namespace maily::api
