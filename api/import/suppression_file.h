// What a file of suppressions says, row by row: columns of our own, of Mailchimp, SendGrid and listmonk; CSV, or a JSON object a line.
//
//   maily      email or domain; reason, stream, note
//   mailchimp  exports of unsubscribed or cleaned members: Email Address, with UNSUB_TIME or CLEAN_TIME
//   sendgrid   bounces, blocks, invalid addresses (email, reason, created, perhaps status), spam reports (with ip), unsubscribes
//   listmonk   export of subscribers: email, status; those that are enabled are passed over
// A bad row is a reject and stops nothing. Memory is bounded by one row, whatever comes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace maily::import {

inline constexpr size_t kSuppressionNoteBytesMax = 500;

enum class SuppressionFormat : uint8_t { kAuto, kMaily, kMailchimp, kSendgrid, kListmonk };
inline constexpr std::string_view kSuppressionFormats[] = {"auto", "maily", "mailchimp", "sendgrid", "listmonk"};  // by number
// None: there is no format of that name.
std::optional<SuppressionFormat> SuppressionFormatOf(std::string_view name);

struct SuppressionRow {
  uint64_t line = 0;
  std::string email = {};   // an address; or
  std::string domain = {};  // every one there
  std::string reason = {};  // one of schema::kSuppressionReasons
  std::string stream = {};  // "all", "marketing", "transactional"
  std::string note = {};
  std::string raw = {};  // its first bytes as they came, at most 200
};

struct SuppressionReject {
  uint64_t line = 0;
  // Of CsvReject, or "missing", "invalid_address", "invalid_domain", "unknown_reason", "unknown_stream", "too_long", "malformed_json".
  std::string code = {};
  std::string reason = {};  // a sentence
  std::string raw = {};     // as of SuppressionRow
};

// Lives on one thread at a time.
class SuppressionReader {
 public:
  struct Options {
    SuppressionFormat format = SuppressionFormat::kAuto;
    std::string reason = {};  // of all rows, whatever they say; empty: theirs
  };
  struct Sink {
    std::function<void(SuppressionRow)> row;
    std::function<void(SuppressionReject)> reject;
    std::function<void()> passed;  // a row of somebody who gets mail
  };
  SuppressionReader(Options options, Sink sink);
  ~SuppressionReader();

  // Takes any piece of the file.
  void Feed(std::string_view bytes);
  void Finish();
  // Why nothing of the file can be read, with what to do; empty: it can.
  const std::string& trouble() const;
  // That of the rows so far; kAuto before the first.
  SuppressionFormat format() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::import
