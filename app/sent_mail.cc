// See sent_mail.h.
#include "app/sent_mail.h"

#include <chrono>
#include <future>
#include <memory>

#include "maily/messages/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "schemas/codec.h"
#include "schemas/message_id.h"
#include "schemas/types.h"
#include "streams/journal/find.h"

namespace maily::app {
namespace {

constexpr std::chrono::seconds kPatience{10};

// The event of that type in the decision there that `is` says is meant, and the time of its frame.
template <class Event, class Is>
Result<std::pair<Event, Instant>> EventAt(const SentMailNeeds& needs, PartitionId partition, TenantId tenant, Lsn lsn, Is is) {
  const journal::Position known = needs.known(partition);
  MAILY_TRY(const journal::Position before, journal::PositionBefore(needs.log, known, lsn));
  MAILY_TRY(const auto reader, needs.tails.at(partition).Open(before));
  for (;;) {
    MAILY_TRY(const journal::FramePtr frame, reader->Next());
    if (frame == nullptr)
      return Fail(Code::kRetry, "the journal of partition {} cannot be read to decision {} now", partition.value(), lsn.value());
    if (lsn.value() >= frame->first_lsn.value() + frame->decisions.size()) continue;
    if (lsn < frame->first_lsn) break;
    const journal::Decision& decision = frame->decisions[lsn.value() - frame->first_lsn.value()];
    for (const journal::Event& event : decision.events) {
      Event found;
      if (decision.tenant != tenant || event.type != TypeNumberOf<Event>()) continue;
      MAILY_TRY_VOID(schema::DecodeInto(found, event.payload));
      if (is(found)) return std::pair(std::move(found), frame->time);
    }
    break;
  }
  return Fail(Code::kCorrupt, "decision {} of partition {} is not what the read models say of it", lsn.value(), partition.value());
}

std::string_view CodeOf(smtp::Remaker::Cannot cannot) {
  using Cannot = smtp::Remaker::Cannot;
  switch (cannot) {
    case Cannot::kErased:
      return "mail_erased";
    case Cannot::kFilesGone:
      return "mail_files_gone";
    case Cannot::kElsewhere:
      return "led_elsewhere";
    case Cannot::kNothing:
    case Cannot::kOther:
      break;
  }
  return "mail_not_made";
}

}  // namespace

Result<api::SentMail> RemakeMail(const SentMailNeeds& needs, const api::SentMailSource& source) {
  const auto of_send = [&](const auto& event) { return event.campaign_id() == source.campaign_id && event.ordinal() == source.ordinal; };
  const auto at = [&]<class Event>(Lsn lsn, const auto& is) { return EventAt<Event>(needs, source.partition, source.tenant, lsn, is); };
  smtp::Remaker::Sent sent{.tenant = source.tenant, .opened = {}, .first_opened_at = source.first_opened_at, .content = {}};
  MAILY_TRY(auto opened, at.template operator()<sends::v1::AttemptOpened>(source.opened, of_send));
  sent.opened = std::move(opened.first);
  api::SentMail mail;
  if (source.ended && source.delivered) {
    MAILY_TRY(const auto ended, at.template operator()<sends::v1::AttemptDelivered>(*source.ended, of_send));
    mail.recorded = ended.first.mail_sha256();
  } else if (source.ended) {
    MAILY_TRY(const auto ended, at.template operator()<sends::v1::AttemptUnknown>(*source.ended, of_send));
    mail.recorded = ended.first.mail_sha256();
  }
  if (source.accepted) {
    const auto of_message = [&](const messages::v1::MessageAccepted& event) { return event.message_id() == source.campaign_id; };
    MAILY_TRY(auto accepted, at.template operator()<messages::v1::MessageAccepted>(*source.accepted, of_message));
    sent.content = std::move(*accepted.first.mutable_content());
  }
  const auto told = std::make_shared<std::promise<smtp::Remaker::Remade>>();
  auto answer = told->get_future();
  needs.remaker.Make(source.partition, std::move(sent), [told](smtp::Remaker::Remade made) { told->set_value(std::move(made)); });
  if (answer.wait_for(kPatience) != std::future_status::ready) return Fail(Code::kRetry, "the mail was not made within 10 s");
  smtp::Remaker::Remade made = answer.get();
  if (made.cannot != smtp::Remaker::Cannot::kNothing) {
    mail.cannot = CodeOf(made.cannot);
    mail.why = std::move(made.why);
    return mail;
  }
  mail.bytes = std::move(made.bytes);
  mail.digest = std::move(made.digest);
  return mail;
}

}  // namespace maily::app
