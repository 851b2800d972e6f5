// Certificates made for a test: an authority of its own, and what it signed.
#pragma once

#include <string>

namespace maily::tls {

struct TestCertificate {
  std::string roots;  // PEM of the authority
  std::string chain;  // PEM of the certificate
  std::string key;    // PEM
};
// For the DNS name or IP address `name`, valid for a day around now; `expired`: it was until an hour ago.
TestCertificate MakeTestCertificate(const std::string& name, bool expired = false);

}  // namespace maily::tls
