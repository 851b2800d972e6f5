// What a notice of an email service provider (api/esp) means: of which send of ours it is, and which command it becomes.
//
// The webhook is the provider's, but what names a send is a token that this platform signed, as in mails that come back: the Message-ID, or
// the envelope's sender. Who is mailed is not asked: an address alone names no send. Pure but for the readers; thread: any.
//
//   kind                                   becomes
//   bounced; suppressed for a bad address  RecordNotice, a bounce, hard if the verdict is
//   suppressed after a complaint           the same, hard: this mail was not complained of, and its address is not to be mailed
//   suppressed after an opt-out            RecordUnsubscribe, method "provider"
//   rejected                               RecordNotice, a soft bounce, reason "policy"
//   complained                             RecordNotice, a complaint, reason "abuse", or "fraud"
//   auto_reply                             RecordNotice
//   unsubscribed                           RecordUnsubscribe, method "provider"
//   accepted, delivered, deferred          nothing: the attempt has ended when the provider took the mail
//   opened, clicked                        nothing: the mail's own links and pixel tell it
//   reported, resubscribed, unknown        nothing: a person who left comes back by a form of the tenant, not by a provider
#pragma once

#include "api/esp/notice.h"
#include "api/inbound/meaning.h"

namespace maily::inbound {

// An error only if the readers have one that is not kInvalid: then nothing is known.
Result<Meaning> InterpretNotice(const esp::Notice& notice, const Readers& readers);

}  // namespace maily::inbound
