// The mail itself: the same bytes on every attempt, because nothing in it depends on when and where it is made. Pure; thread: any.
//
// multipart/alternative (text, then HTML) or the one part there is, in the tree of mime/plan.h if there are images or attachments; UTF-8,
// quoted-printable, so 7-bit lines of at most 76 characters; headers of at most 998, CRLF everywhere. No value can begin a header:
// addresses and names are checked, subjects cleaned and encoded.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "processors/effects/mime/plan.h"
#include "processors/effects/smtp/send_id.h"
#include "processors/personalization/render.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/keyring/keyring.h"

namespace maily::smtp {

// The address as the envelope and To say it: as spelled, but for a domain that SMTP knows only by its A-labels.
std::string OnTheWire(std::string spelled);

// "Shop <news@example.com>", "\"Shop, Inc.\" <news@example.com>" or "news@example.com".
struct Mailbox {
  std::string name;  // may be empty; UTF-8
  std::string address;
  std::string_view domain() const { return std::string_view(address).substr(address.rfind('@') + 1); }
};
// What stands before the address: UTF-8 without control characters, at most kBytesMax. Only so a value gets into a mailbox, so none can
// begin a header.
class DisplayName {
 public:
  static constexpr size_t kBytesMax = 200;
  // Of any text: a run of white space and control characters is one space, bytes that are no UTF-8 and what is too long are left out.
  static DisplayName Of(std::string_view text);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};
// kInvalid: no such thing, or with control characters.
Result<Mailbox> ParseMailbox(std::string_view text);
// Its domain in A-labels and lower case, where it has such a form.
std::string FromDomain(const Mailbox& mailbox);
// An address that may stand in a header and an envelope as it is: dot-atom @ domain, both possibly with UTF-8 letters.
bool IsPlainAddress(std::string_view address);

// What the mails of an instance bear besides, so that more finds its way back.
struct Returns {
  // Takes mail to u<token>@ in, as HostName() gives it: then List-Unsubscribe offers a mail there (RFC 2369 §3.2) beside the link. Empty:
  // nobody does.
  std::string opt_out_host = {};
  // The provider that the relay is of, where its notices name no mail unless that has told it how: by a field that it reads.
  enum class Provider : uint8_t { kNone, kSendGrid, kPostmark } provider = Provider::kNone;
  // HTML parts that are tracked have a link that no person sees: who follows it is a machine.
  bool honeypot = false;
};

// What all mails of a campaign share, compiled once.
class Mailing {
 public:
  struct Options {
    TenantId tenant;
    uint64_t campaign_id = 0;
    uint64_t list_id = 0;
    std::string_view trace = {};  // of the launch, 32 hexadecimal digits; empty = not said
    std::string_view from;
    std::string_view reply_to = {};   // empty = none
    std::string_view from_name = {};  // Liquid: the name in From; empty = that of `from`, as where it fails or is blank
    personalization::Source source = {};
    std::span<const std::string> links = {};  // the template version's
    uint32_t first_link = 0;                  // the number of the first of them in the campaign
    std::string_view postal_address = {};
    std::string_view company = {};
    std::string_view tracking_base_url;  // "https://t.example.com", without a slash at the end
    Returns returns = {};
    bool untracked = false;  // no mail of it has tracked links or a pixel
    // Of messages, campaign_id being their form's id: no opt-out is offered in the headers, and nothing names a list.
    bool messages = false;
    bool opt_out = false;       // of messages: an opt-out is offered in the headers all the same
    bool confirmation = false;  // of messages: they answer a form that somebody filled in
    // Images and attachments; text and html are set by Make from the source, and the domain from From.
    std::vector<mime::Item> images = {};
    std::vector<mime::Item> attachments = {};
  };
  // kInvalid: From, Reply-To, the template or the base URL.
  static Result<Mailing> Make(const Options& options);

  const std::vector<std::string>& attributes() const { return compiled_.attributes(); }
  const std::string& from_address() const { return from_.address; }
  // In A-labels and lower case.
  const std::string& from_domain() const { return from_domain_; }
  // What the tail of each mail is encoded by (mime::EncodeTail); plain: there is none.
  const mime::Plan& plan() const { return plan_; }

  struct Recipient {
    PartitionId partition;
    uint64_t ordinal = 0;
    std::string_view address;
    std::span<const personalization::Value> attributes;  // in the order of attributes(); nil = no value
    Instant date;                                        // of the first attempt
    bool untracked = false;                              // this contact wants none
    const liquid::BlankSeen* blank = nullptr;            // told of what is written and blank
    // Of messages alone:
    uint64_t message_id = 0;
    personalization::Value variables = {};
    std::string_view headers = {};  // whole lines, each with its CRLF
    std::string_view subject_prefix = {};
    uint64_t confirm_number = 0;         // of the contact's ask, whose link the mail carries; 0 = none
    const mime::Frame* frame = nullptr;  // of the mail's own plan; null: of all
  };
  // Puts the whole message into `out`, or the head of one that has a tail; not dot-stuffed. kInvalid: not possible for this recipient, and
  // never will be.
  Result<void> Compose(const Recipient& to, const keyring::TenantKeys& keys, std::string& out) const;

  // The same mail to look at. It differs in the tokens of its links and its Message-ID alone: there they are as many letters x, so that
  // looking counts nothing and opts nobody out.
  struct Preview {
    personalization::Rendered parts;
    std::string message;  // without its tail
  };
  Result<Preview> MakePreview(const Recipient& to, const keyring::TenantKeys& keys) const;

 private:
  // What only this mail has.
  struct Tokens {
    std::vector<std::string> links;
    std::string pixel;
    std::string honeypot;  // empty: none
    std::string unsubscribe;
    std::string preferences;
    std::string confirm;     // empty: none
    std::string message_id;  // without brackets and domain
  };
  Tokens TokensOf(const Recipient& to, const keyring::TenantKeys& keys) const;
  Result<void> Compose(const Recipient& to, const Tokens& tokens, personalization::Rendered& rendered, std::string& out) const;
  Mailing(personalization::Compiled compiled, Mailbox from) : compiled_(std::move(compiled)), from_(std::move(from)) {}

  personalization::Compiled compiled_;
  Mailbox from_;
  std::string from_domain_;
  mime::Plan plan_;
  std::optional<mime::Frame> frame_;  // none: the plan is plain
  TenantId tenant_;
  uint64_t campaign_id_ = 0;
  uint32_t first_link_ = 0;
  bool messages_ = false;
  bool opt_out_ = true;  // is offered in the headers
  std::string postal_address_;
  std::string company_;
  std::string base_url_;
  Returns returns_;
  bool untracked_ = false;
  std::string from_header_;    // with the name that all have who have none
  std::string fixed_headers_;  // Reply-To, List-ID, Feedback-ID, …: equal in every mail
};

// Building blocks, seen by tests.
void AppendQuotedPrintable(std::string_view text, std::string& out);  // RFC 2045 §6.7; any line ends become CRLF; ends with CRLF
void AppendHeader(std::string_view name, std::string_view value, std::string& out);  // RFC 2047 and folding where needed
void AppendMailbox(std::string_view header, const Mailbox& mailbox, std::string& out);
std::string FormatDate(Instant at);  // RFC 5322 §3.3, UTC

}  // namespace maily::smtp
