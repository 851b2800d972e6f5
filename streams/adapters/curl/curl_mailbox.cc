// See curl_mailbox.h. One easy handle, whose kept connection is the session.
#include "streams/adapters/curl/curl_mailbox.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "streams/base/destroy.h"
#include "streams/port/resolver.h"

namespace maily::curl {
namespace {

using EasyPtr = std::unique_ptr<CURL, Destroy<curl_easy_cleanup>>;
using UrlPtr = std::unique_ptr<CURLU, Destroy<curl_url_cleanup>>;

constexpr size_t kListBytesMax = 8 << 20;  // of an answer that lists mails: some 400,000
constexpr size_t kLineBytesMax = 1000;

std::string PartOf(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK || text == nullptr) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

// The next line of `text`, without its end.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}
std::string_view TakeWord(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}
bool IsNumber(std::string_view word) {
  return !word.empty() && word.size() <= 10 && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}
size_t NumberOf(std::string_view word) {
  size_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

// One command to the server.
struct Command {
  std::string url;
  std::string custom = {};   // in the place of libcurl's own
  bool answer_only = false;  // a status and nothing that follows it
  size_t bytes_max = kListBytesMax;
};

}  // namespace

struct CurlMailbox::Impl {
  Impl(MailboxOptions options_in, Mode mode_in) : options(std::move(options_in)), mode(mode_in) {}

  static size_t TakeBody(char* bytes, size_t /*one*/, size_t size, void* argument) {
    auto* const self = static_cast<Impl*>(argument);
    if (self->body.size() + size > self->bytes_max) {
      self->over_limit = true;
      return 0;
    }
    self->body.append(bytes, size);
    return size;
  }
  static size_t TakeAnswer(char* bytes, size_t /*one*/, size_t size, void* argument) {
    static_cast<Impl*>(argument)->answer.assign(bytes, std::min(size, kLineBytesMax));
    return size;
  }
  // Whatever a name was looked up to: in sandbox mode no socket leaves loopback.
  static curl_socket_t OpenSocket(void* argument, curlsocktype /*purpose*/, curl_sockaddr* to) {
    auto* const self = static_cast<Impl*>(argument);
    char text[INET6_ADDRSTRLEN] = "";
    if (to->family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&to->addr)->sin_addr, text, sizeof(text));
    if (to->family == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&to->addr)->sin6_addr, text, sizeof(text));
    if (self->mode == Mode::kSandbox && !IsLoopback(text)) {
      self->forbidden = true;
      return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  }
  static int Continue(void* argument, curl_off_t /*of*/, curl_off_t /*down*/, curl_off_t /*to*/, curl_off_t /*up*/) {
    return static_cast<Impl*>(argument)->interrupted ? 1 : 0;
  }

  void Open();
  // What the server lists or gives. `new_session`: the command began one.
  Result<std::string> Perform(const Command& command, bool& new_session);
  // The same in the session that there is. kRetry: it had ended; nothing of it is left then.
  Result<std::string> InSession(const Command& command);
  Error ErrorOf(CURLcode code) const;

  const MailboxOptions options;
  const Mode mode;
  bool imap = false;
  bool foreign = false;  // the mode lets it not even be looked up
  std::string base;      // "pop3s://host:port/", "imaps://host:port/INBOX"
  std::string shown;     // for people
  EasyPtr easy;          // null: there is no session
  std::atomic<bool> interrupted = false;

  // Of the command under way.
  bool forbidden = false;
  bool over_limit = false;
  size_t bytes_max = 0;
  std::string body;
  std::string answer;  // the server's last line
};

void CurlMailbox::Impl::Open() {
  easy.reset(curl_easy_init());
  MAILY_CHECK(easy != nullptr, "curl_easy_init");
  const auto set = [this](CURLoption option, auto value) {
    MAILY_CHECK(curl_easy_setopt(easy.get(), option, value) == CURLE_OK, "libcurl does not know option {}", static_cast<int>(option));
  };
  set(CURLOPT_PROTOCOLS_STR, "pop3,pop3s,imap,imaps");
  set(CURLOPT_USERNAME, options.user.c_str());
  set(CURLOPT_PASSWORD, options.password.c_str());
  set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.extra_roots.empty()) set(CURLOPT_CAINFO, options.extra_roots.c_str());
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.us / 1000));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.command_timeout.us / 1000));
  set(CURLOPT_WRITEFUNCTION, &TakeBody);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_HEADERFUNCTION, &TakeAnswer);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &OpenSocket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Continue);
  set(CURLOPT_XFERINFODATA, this);
}

Error CurlMailbox::Impl::ErrorOf(CURLcode code) const {
  std::string said = answer;
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.pop_back();
  std::ranges::replace_if(said, [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  if (forbidden || foreign)
    return Fail(Code::kInvalid, "{}: the mode of this instance lets it reach {}; `maily arm` makes it live", shown,
                mode == Mode::kHeld ? "nobody" : "loopback addresses only");
  if (over_limit) return Fail(Code::kRetry, "{}: an answer is over its limit of {} bytes", shown, bytes_max);
  switch (code) {
    case CURLE_LOGIN_DENIED:
      return Fail(Code::kInvalid, "{}: the login is refused: {}", shown, said);
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_QUOTE_ERROR:
      return Fail(Code::kNotFound, "{}: {}", shown, said);
    default:
      return Fail(Code::kRetry, "{}: {}", shown, curl_easy_strerror(code));
  }
}

Result<std::string> CurlMailbox::Impl::Perform(const Command& command, bool& new_session) {
  if (foreign) return ErrorOf(CURLE_OK);
  forbidden = over_limit = false;
  bytes_max = command.bytes_max;
  body.clear();
  answer.clear();
  curl_easy_setopt(easy.get(), CURLOPT_URL, command.url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, command.custom.empty() ? nullptr : command.custom.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_NOBODY, command.answer_only ? 1L : 0L);
  const CURLcode code = curl_easy_perform(easy.get());
  long connects = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_NUM_CONNECTS, &connects);
  new_session = connects > 0;
  if (code != CURLE_OK) return ErrorOf(code);
  return std::move(body);
}

Result<std::string> CurlMailbox::Impl::InSession(const Command& command) {
  if (easy == nullptr) return Fail(Code::kRetry, "{}: there is no session", shown);
  bool new_session = false;
  auto got = Perform(command, new_session);
  if (got && !new_session) return got;
  if (!got && !new_session && got.error().code == Code::kNotFound) return got;
  if (new_session && !imap) {
    // What a DELE marked in the new session may be another mail: nothing is to come of it.
    bool again = false;
    Perform({.url = base, .custom = "RSET", .answer_only = true}, again)
        .IgnoreError("then the connection is broken, and nothing comes of it");
  }
  if (new_session && imap && got) return got;  // UIDs are the same
  easy.reset();
  return got ? Fail(Code::kRetry, "{}: the session had ended", shown) : got.error();
}

CurlMailbox::CurlMailbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CurlMailbox::~CurlMailbox() = default;

Result<std::unique_ptr<CurlMailbox>> CurlMailbox::Make(MailboxOptions options, LiveCapability capability) {
  static const CURLcode library = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (library != CURLE_OK) return Fail(Code::kFatal, "libcurl: {}", curl_easy_strerror(library));
  const UrlPtr url(curl_url());
  if (url == nullptr) return Fail(Code::kFatal, "no memory for a URL");
  if (curl_url_set(url.get(), CURLUPART_URL, options.url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK)
    return Fail(Code::kInvalid, "'{}' is no URL without a user", options.url);
  const std::string scheme = PartOf(url.get(), CURLUPART_SCHEME);
  if (scheme != "pop3" && scheme != "pop3s" && scheme != "imap" && scheme != "imaps")
    return Fail(Code::kInvalid, "'{}': a mailbox is at pop3s://, imaps://, pop3:// or imap://", options.url);
  std::string path = PartOf(url.get(), CURLUPART_PATH);
  while (path.ends_with('/')) path.pop_back();
  const bool imap = scheme.starts_with("imap");
  if ((!imap && !path.empty()) || path.find(';') != std::string::npos || !PartOf(url.get(), CURLUPART_QUERY).empty())
    return Fail(Code::kInvalid, "'{}': only IMAP's name of a mailbox may stand behind the host", options.url);
  if (!options.extra_roots.empty() && access(options.extra_roots.c_str(), R_OK) != 0)
    return Fail(Code::kInvalid, "certificates in {} cannot be read: errno {}", options.extra_roots, errno);
  const std::string port = PartOf(url.get(), CURLUPART_PORT);
  auto impl = std::make_unique<Impl>(std::move(options), capability.mode());
  impl->imap = imap;
  std::string host = PartOf(url.get(), CURLUPART_HOST);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  impl->foreign = capability.mode() == Mode::kHeld || (capability.mode() == Mode::kSandbox && !IsLoopback(host) && host != "localhost");
  impl->shown = fmt::format("{}://{}", scheme, PartOf(url.get(), CURLUPART_HOST));
  impl->base = impl->shown + (port.empty() ? "" : ":" + port) + (!imap ? "/" : path.empty() ? "/INBOX" : path);
  return std::unique_ptr<CurlMailbox>(new CurlMailbox(std::move(impl)));
}

Result<RemoteMailbox::List> CurlMailbox::Begin(size_t most) {
  impl_->Open();
  bool is_new = false;
  const size_t limit = impl_->options.mail_bytes_max;
  auto listed =
      impl_->Perform({.url = impl_->base, .custom = impl_->imap ? fmt::format("UID SEARCH UNDELETED SMALLER {}", limit + 1) : ""}, is_new);
  if (!listed) {
    impl_->easy.reset();
    return listed.error();
  }
  List list;
  std::string_view text = *listed;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (impl_->imap) {  // "* SEARCH 2 84 882"
      if (TakeWord(line) != "*" || TakeWord(line) != "SEARCH") continue;
      for (std::string_view uid = TakeWord(line); IsNumber(uid) && list.ids.size() < most; uid = TakeWord(line)) list.ids.emplace_back(uid);
      continue;
    }
    const std::string_view number = TakeWord(line);  // "1 120"
    const std::string_view bytes = TakeWord(line);
    if (!IsNumber(number) || !IsNumber(bytes)) continue;
    if (NumberOf(bytes) > limit) {
      ++list.too_large;
    } else if (list.ids.size() < most) {
      list.ids.emplace_back(number);
    }
  }
  return list;
}

Result<std::string> CurlMailbox::Read(const std::string& id) {
  return impl_->InSession({.url = impl_->imap ? impl_->base + "/;UID=" + id : impl_->base + id,
                           .bytes_max = 2 * impl_->options.mail_bytes_max});  // the size that was listed is about right
}

Result<void> CurlMailbox::Remove(const std::string& id) {
  const auto removed = impl_->imap
                           ? impl_->InSession({.url = impl_->base, .custom = fmt::format("UID STORE {} +FLAGS.SILENT (\\Deleted)", id)})
                           : impl_->InSession({.url = impl_->base + id, .custom = "DELE", .answer_only = true});
  return removed ? Ok() : Result<void>(removed.error());
}

Result<void> CurlMailbox::End() {
  if (impl_->easy == nullptr) return Fail(Code::kRetry, "{}: there is no session", impl_->shown);
  Result<void> ended = Ok();
  if (impl_->imap) {
    if (auto done = impl_->InSession({.url = impl_->base, .custom = "EXPUNGE"}); !done) ended = done.error();
  }
  impl_->easy.reset();  // says QUIT or LOGOUT: POP3 takes out what is marked (RFC 1939 section 6)
  return ended;
}

void CurlMailbox::Interrupt() { impl_->interrupted = true; }

}  // namespace maily::curl
