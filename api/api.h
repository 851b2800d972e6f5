// The API as a whole: what it needs from the process, and the router that serves it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/gateway/auth.h"
#include "api/gateway/gateway.h"
#include "api/http/networks.h"
#include "api/http/router.h"
#include "api/inbound/meaning.h"
#include "api/inbound/refusal.h"
#include "projections/views/views.h"
#include "schemas/asset_store.h"
#include "schemas/attachment_store.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"
#include "streams/port/resolver.h"
#include "streams/port/topic.h"

namespace maily::api {

struct Webhooks;  // webhooks.h

// What a scanner says of the bytes of an asset.
struct AssetVerdict {
  bool clean = true;
  std::string words = {};  // the scanner's, if it is not clean
};

// What assets need of the process; without a store they are answered 501.
struct AssetSettings {
  schema::AssetStore* store = nullptr;             // outlives the API
  schema::AttachmentStore* attachments = nullptr;  // of messages, at the same place; outlives the API
  size_t bytes_max = 2 << 20;                      // of one
  uint64_t mail_bytes_max = 0;                     // of a whole mail; 0: not said
  std::vector<std::string> types = {};             // that are taken: "image/png"
  // Null: assets are not scanned. kRetry: nobody knows whether it is clean. Blocks.
  std::function<Result<AssetVerdict>(std::string_view bytes)> scan = {};
  Executor* scans_on = nullptr;  // with `scan`: where nobody else waits; outlives the API
};

// What the author of a template may want to know.
struct TemplateWarning {
  std::string code;
  std::string place;
  std::string message;
  std::string fix = {};
};
// What is looked at before it is saved: a template without its name, or a mail of another kind.
struct TemplateDraft {
  std::string subject;
  std::string preheader;
  std::string html;
  std::string text;
  std::string from_name;
  std::vector<std::string> attributes;  // that are registered
  struct Partial {
    std::string name;
    std::string html;
    std::string text;
  };
  std::vector<Partial> partials;  // that can be taken in
};
struct TemplateFinding {
  bool is_error = false;  // it cannot be saved so
  TemplateWarning what;
};
// What the compiler of MJML made.
struct MjmlAnswer {
  std::string html;                       // good if there are no problems
  std::string compiler;                   // "mjml 4.15.3"
  std::vector<TemplateWarning> problems;  // places are lines of the source, "mjml:3"
};

// Which send a mail is of, read from its Message-ID.
struct ReceivedSend {
  TenantId tenant;
  PartitionId partition;
  uint64_t campaign_id = 0;
  uint64_t ordinal = 0;
};

// How a command was decided, as the journal has it.
struct FoundDecision {
  TenantId tenant;
  gateway::Outcome outcome = gateway::Outcome::kDone;
  std::string answer;  // JSON object text, or empty
};

// What the mail of a campaign to one contact is made of, in plain text; and that mail, with dead tokens (smtp::Mailing::MakePreview).
struct PreviewSource {
  TenantId tenant;
  uint64_t campaign_id = 0;
  uint64_t list_id = 0;
  uint64_t contact_id = 0;
  std::string from;
  std::string reply_to;
  std::string subject;
  std::string html;
  std::string text;
  std::vector<std::string> links;
  struct Asset {
    std::string id;  // 64 hexadecimal digits
    std::string name;
    std::string content_type;
    std::string how;  // "hosted", "related", "attached"
    std::string file_name;
  };
  std::vector<Asset> assets;
  std::string preheader = {};
  std::string from_name = {};
  std::vector<TemplateDraft::Partial> partials = {};
  struct Variant {
    std::string locale;
    std::string subject;
    std::string preheader;
    std::string html;
    std::string text;
  };
  std::vector<Variant> variants = {};
  std::string locale = {};  // instead of the contact's own; empty: that
  bool sample = false;      // of many: what is enclosed is left out, and what is blank is told
  std::string postal_address;
  std::string company;
  std::string address;
  std::map<std::string, std::string> attributes;
  bool untracked = false;
};
struct Preview {
  std::string subject;
  std::string html;
  std::string text;
  std::string message;                                    // the whole, as it is sent
  std::string from_name = {};                             // of its own; empty: the campaign's
  std::string locale = {};                                // of the variant; empty: the template itself
  std::vector<std::pair<std::string, bool>> blanks = {};  // of a sample: names that are blank, and whether something stands in their place
};

// Where the journal tells of a mail that was sent.
struct SentMailSource {
  TenantId tenant;
  PartitionId partition;
  uint64_t campaign_id = 0;  // or the id of a message
  uint64_t ordinal = 0;
  Lsn opened;                   // of its attempt
  Instant first_opened_at;      // of the first attempt
  std::optional<Lsn> ended;     // of the attempt's end, if the mail was received or may have been
  bool delivered = false;       // it was received
  std::optional<Lsn> accepted;  // of a message
};
struct SentMail {
  std::string cannot;    // the code of why it cannot be made again; empty: here it is
  std::string why;       // in words
  std::string recorded;  // SHA-256 of the bytes that were handed over; empty: not known
  std::string bytes;     // of the mail as it is made now,
  std::string digest;    // and their SHA-256
};

// A key to sign mails with, as it was made (dkim::PrivateKey).
struct SigningKeyPair {
  std::string selector;
  std::string algorithm;    // "rsa-sha256", "ed25519-sha256"
  std::string dns_value;    // of the TXT record
  std::string private_pem;  // a secret
};

// A route of the process itself (its mode, its projections), whose answer is JSON text. Runs on the blocking executor.
struct OperatorRoute {
  http::Method method = http::Method::kGet;
  std::string pattern;
  gateway::Scope scope = gateway::Scope::kAdmin;
  std::string summary;
  std::function<Result<std::string>(const http::Request&)> answer;
};

// All of it outlives the router. `executor` never blocks; those of `blocking` (at least one, reads are spread over them) wait for SQL and
// for keys to become durable; on `bulk` imports are parsed and sealed, and MJML is compiled.
struct Dependencies {
  command::Sender& sender;
  command::Replies& replies;
  keyring::Keyring& keyring;
  projections::Views& views;
  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  std::vector<Executor*> blocking;
  Executor& bulk;
  LogSettings log;
  // Of a Message-ID as a receiver lists it; kInvalid: not one of ours.
  std::function<Result<ReceivedSend>(std::string_view message_id)> read_message_id;
  // How mails that come back name their sends.
  inbound::Readers inbound = {};
  // What providers' notices are verified by; null: none are taken.
  std::shared_ptr<Webhooks> webhooks = nullptr;
  // The decision on the command that stands there; none: it is not known to be decided. kNotFound: no command was ever decided there.
  // Runs on a blocking executor.
  std::function<Result<std::optional<FoundDecision>>(const CommandAt& at)> find_decision;
  // kInvalid: that mail cannot be made. On an executor of `blocking`.
  std::function<Result<Preview>(const PreviewSource& source)> make_preview;
  // A mail that was sent, made again. Null: this process leads no partitions. On an executor of `blocking`.
  std::function<Result<SentMail>(const SentMailSource& source)> remake_mail = {};
  // Of a part in HTML, as saved or as it goes out. Null: nobody is warned.
  std::function<std::vector<TemplateWarning>(std::string_view html)> warnings_of = {};
  // All that would keep it from being saved, and all warnings.
  std::function<std::vector<TemplateFinding>(const TemplateDraft& draft)> lint_template = {};
  // Null: this process compiles no MJML. kRetry: the compiler did not answer. On `bulk`.
  std::function<Result<MjmlAnswer>(std::string_view mjml)> compile_mjml = {};
  AssetSettings assets = {};
  // A domain's keys of a generation (1, 2, …), one of each of these algorithms. On an executor of `blocking`.
  std::function<Result<std::vector<SigningKeyPair>>(uint32_t generation, const std::vector<std::string>& algorithms)> make_signing_keys;
  // Why no mail goes out at present, or empty.
  std::function<std::string()> trouble;
  // Why /readyz says 503, or empty.
  std::function<std::string()> not_ready;
  std::string version;
  std::string mail_host = {};                      // name of the host that takes bounces in, as HostName() gives it; empty: none does
  Resolver* resolver = nullptr;                    // of domain checks; null: this process makes none
  std::vector<std::string> source_addresses = {};  // IP literals that mails leave from; empty: not known
  std::string tracking_base_url = {};              // what links in mails begin with
  bool live = false;                               // mails may go to the world
  http::Networks scanner_networks = {};            // who asks from there is a machine, whatever it says that it is
  std::string banner = {};                         // what every visitor of the status page should know: that this is a sandbox
  // Today's rules, by which refusals of old are reviewed.
  std::function<inbound::Judgement(const inbound::Refusal&)> judge = inbound::JudgeRefusal;
  std::vector<OperatorRoute> operator_routes = {};
  // How mail goes to a site from this process, as JSON text; "null": it does not. Any thread.
  std::function<std::string(const std::string& site)> site_here = {};
};

// Every route of routes.cc, and those of the operator.
http::Router MakeRouter(const Dependencies& dependencies);

}  // namespace maily::api
