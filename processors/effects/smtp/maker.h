// Makes the mail of an attempt: rendered from the sealed values that its event carries, and signed. The same bytes on every attempt.
//
// Signed with the keys of the domain in From, or of the nearest domain above it, that signed when the first attempt was opened: RSA on
// top, since some receivers look at the first signature only. A tenant without such a domain sends unsigned (the launch of a live campaign
// is refused then). Lives on one executor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "maily/sends/v1/events.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "processors/effects/dkim/signer.h"
#include "processors/effects/smtp/encoded.h"
#include "processors/effects/smtp/message.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/keyring/keyring.h"
#include "streams/state/cache.h"

namespace maily::smtp {

struct Made {
  std::string mail_from;
  std::string rcpt_to;  // also if the rest could not be made, as far as it is known
  std::string data;     // CRLF lines, not dot-stuffed; the head, if there is a tail
  Tail tail;            // of mails with images or attachments, else null
};

// SHA-256 of the bytes of a mail, head and tail: 32 bytes. What the receiver has, less what servers put in front of it.
std::string MailDigest(const Made& made);

// The mailing of a template's version: `options` without source, links, images and attachments. `variant`: which one of the version's;
// -1: what stands in it itself. kInvalid: as Mailing::Make.
Result<Mailing> MailingOf(const templates::v1::TemplateVersion& version, Mailing::Options options, int variant = -1);

class Maker {
 public:
  // `tracking_base_url` without a slash at its end. The keyring outlives it.
  // `tails`: null where mails have none; then those that ought to have one are put off.
  Maker(std::string tracking_base_url, Returns returns, keyring::Keyring& keyring, std::shared_ptr<EncodedTails> tails = nullptr)
      : tracking_base_url_(std::move(tracking_base_url)), returns_(std::move(returns)), keyring_(keyring), tails_(std::move(tails)) {}

  // The plan whose tail has to be loaded before mails of the campaign can be made, or null. Good until the next call.
  // `campaign_id`: or the id of a message. `arm`: of the campaign. `content`: as Make's.
  const mime::Plan* Lacks(TenantId tenant, uint64_t campaign_id, uint32_t arm, state::Cache& cache, const std::string* content = nullptr);

  // Into `made`. `cache`: the partition's state. `tail`: what Lacks asked for, if it did. `content`: of a message, sealed, if the state has
  // it no more. kNotFound: a key of the contact is gone. kInvalid: this mail cannot be made, and never will be. Others: later.
  Result<void> Make(TenantId tenant, PartitionId partition, const sends::v1::AttemptOpened& opened, Instant first_opened_at,
                    state::Cache& cache, Made& made, Tail tail = nullptr, const std::string* content = nullptr);

 private:
  struct Compiled {
    std::shared_ptr<const Mailing> mailing;                                             // null: see `error`
    std::vector<std::pair<std::string, std::shared_ptr<const Mailing>>> variants = {};  // by locale
    std::string error = {};
    // The one in the contact's language.
    const Mailing& For(const sends::v1::AttemptOpened& opened) const;
  };
  // Of an arm of a campaign, or of the form of a message.
  const Compiled& CompiledFor(TenantId tenant, uint64_t campaign_id, uint32_t arm, state::Cache& cache);
  const Compiled& Compile(TenantId tenant, uint64_t key, uint32_t arm, const templates::v1::TemplateVersion& version,
                          const Mailing::Options& options);
  // What goes in front of `data`; empty: there is no key. `return_path`: the host of envelope senders, or empty.
  Result<std::string> Signatures(TenantId tenant, const Mailing& mailing, Instant at, state::Cache& cache, const Made& made,
                                 std::string& return_path);
  // Opened and parsed once. kRetry: it cannot be opened.
  Result<const dkim::Signer*> SignerFor(TenantId tenant, const std::string& domain, const std::string& selector, std::string_view sealed);

  const std::string tracking_base_url_;
  const Returns returns_;
  keyring::Keyring& keyring_;
  const std::shared_ptr<EncodedTails> tails_;
  std::map<std::tuple<TenantId, uint64_t, uint32_t>, Compiled> mailings_;  // by campaign and arm, or form with kFormMark
  std::map<std::string, dkim::Signer> signers_;                            // by tenant, domain, selector and sealed key
  mime::Plan own_plan_;                                                    // that Lacks gave last
};

}  // namespace maily::smtp
