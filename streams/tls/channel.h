// TLS (OpenSSL) without I/O: encrypted bytes come in and go out on one side, plain ones on the other.
//
// The driver's loop: give what was read to Receive and what is to be written to Send; after each call write what TakeEncrypted gives, and
// use what TakePlain gives. A client speaks first: TakeEncrypted gives its hello at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::tls {

enum class Verify {
  kRecord,   // any certificate will do; facts() say whether it would have been accepted
  kRequire,  // without a chain to a trusted root and a name that fits there is no connection
};

// What one side of many connections has in common. Immutable; thread: any.
class Context {
 public:
  // `roots`: a file of PEM certificates that are trusted; empty = the system's. kInvalid: it cannot be read.
  static Result<std::shared_ptr<const Context>> Client(const std::string& roots);
  // For servers: certificate chain and private key, PEM. kInvalid: they do not parse, or do not belong together.
  static Result<std::shared_ptr<const Context>> Server(std::string_view chain, std::string_view key);
  ~Context();

 private:
  friend class Channel;
  struct Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

// How a connection is secured.
struct Facts {
  std::string version;  // "TLSv1.3"
  std::string cipher;   // "TLS_AES_256_GCM_SHA384"
  bool verified = false;
  std::string why_not = {};  // why it is not verified
};

// One connection. TLS 1.2 at least. Not thread-safe.
class Channel {
 public:
  // A client of `name`: what the certificate must be for (RFC 6125), and what is asked for by SNI if it is no address.
  Channel(std::shared_ptr<const Context> context, const std::string& name, Verify verify);
  // A server.
  explicit Channel(std::shared_ptr<const Context> context);
  ~Channel();

  // kRetry: the handshake failed, or the peer broke the protocol; what TakeEncrypted then gives is the alert.
  Result<void> Receive(std::string_view encrypted);
  // CHECK: established().
  Result<void> Send(std::string_view plain);
  // Says that nothing follows (close_notify).
  void Close();

  std::string TakeEncrypted();
  std::string TakePlain();

  bool established() const;
  // The peer has said that nothing follows.
  bool closed() const;
  // CHECK: established().
  Facts facts() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace maily::tls
