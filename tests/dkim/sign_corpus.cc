// Signs hostile mails with two keys of ours and writes them down for verify.py.
//
//   sign_corpus DIR COUNT SEED
//
// DIR/keys: a line "SELECTOR._domainkey.DOMAIN VALUE" for each key. DIR/mails: for each mail its size in bytes as 8 hexadecimal digits,
// then the mail as it travels: an rsa-sha256 and an ed25519-sha256 signature in front, in either order, and a CRLF at its end.
#include <cstdlib>
#include <fstream>

#include "processors/effects/dkim/signer.h"
#include "processors/effects/mime/plan.h"
#include "tests/dkim/mails.h"

namespace {

// The end of the head goes to `mail`.
std::string TailFor(std::string& mail, std::mt19937& random) {
  using namespace maily;  // NOLINT(google-build-using-namespace)
  static constexpr std::string_view kNames[] = {"a.png", "a  b.pdf", "für  März.pdf", "x\"y", "--=_mixed_"};
  mime::Plan plan{.text = true, .html = true, .domain = "shop.example", .images = {}, .attachments = {}};
  std::vector<std::string> bytes;
  for (auto n = 1 + random() % 3; n > 0; --n) {
    std::string content(random() % 2000, '\0');
    for (char& c : content) c = static_cast<char>(random());
    (random() % 2 ? plan.images : plan.attachments)
        .push_back({std::string(64, static_cast<char>('a' + random() % 6)), *mime::MediaType::Parse("image/png"),
                    *mime::FileName::Parse(kNames[random() % std::size(kNames)])});
    bytes.push_back(std::move(content));
  }
  mail += mime::Frame(plan).after;
  return mime::EncodeTail(plan, bytes);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace maily;  // NOLINT(google-build-using-namespace)
  if (argc != 4) {
    fmt::print(stderr, "usage: sign_corpus DIR COUNT SEED\n");
    return 2;
  }
  const std::string dir = argv[1];
  const auto count = std::strtoul(argv[2], nullptr, 10);
  std::mt19937 random(static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
  const auto signer = [](dkim::Algorithm algorithm, std::string_view selector) {
    return dkim::Signer::Make("shop.example", selector, dkim::PrivateKey::Generate(algorithm).ToPem()).value();
  };
  const dkim::Signer rsa = signer(dkim::Algorithm::kRsaSha256, "rsa1");
  const dkim::Signer ed25519 = signer(dkim::Algorithm::kEd25519Sha256, "ed1.sub");
  std::ofstream keys(dir + "/keys");
  for (const dkim::Signer* one : {&rsa, &ed25519}) keys << one->DnsName() << ' ' << one->key().DnsValue() << '\n';
  std::ofstream mails(dir + "/mails", std::ios::binary);
  for (size_t i = 0; i < count; ++i) {
    std::string mail = test::HostileMail(random);
    std::string tail;
    if (random() % 3 == 0) {  // images and attachments, which are signed as they are shared
      if (!mail.ends_with("\r\n")) mail += "\r\n";
      tail = TailFor(mail, random);
    }
    const Instant at{1'700'000'000'000'000 + static_cast<int64_t>(random()) * 1'000};
    const dkim::Prepared prepared = dkim::Prepare(mail, tail);
    const std::string first = rsa.Sign(prepared, at);
    const std::string second = ed25519.Sign(prepared, at);
    mail.insert(0, random() % 2 ? first + second : second + first);
    mail += tail;
    if (!mail.ends_with("\r\n")) mail += "\r\n";  // as SMTP does
    mails << fmt::format("{:08x}", mail.size()) << mail;
  }
  keys.flush();
  mails.flush();
  return keys && mails ? 0 : 1;
}
