// The thread alone touches the multi handle; fetches come to it through a queue and curl_multi_wakeup.
#include "streams/adapters/curl/curl_fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "streams/base/destroy.h"
#include "streams/port/resolver.h"

namespace maily::curl {
namespace {

using MultiPtr = std::unique_ptr<CURLM, Destroy<curl_multi_cleanup>>;
using EasyPtr = std::unique_ptr<CURL, Destroy<curl_easy_cleanup>>;
using UrlPtr = std::unique_ptr<CURLU, Destroy<curl_url_cleanup>>;
using ListPtr = std::unique_ptr<curl_slist, Destroy<curl_slist_free_all>>;

// The loop wakes for curl's own timers; this is only a bound.
constexpr int kPollMs = 600'000;
constexpr size_t kUrlBytesMax = 2048;

// One GET.
struct Transfer {
  std::string url;
  Executor* on = nullptr;
  FetchDone done;
  const FetchOptions* options = nullptr;
  bool loopback_only = true;
  EasyPtr easy;
  ListPtr route;  // "host:port:ip:port", if there is a fixed one
  size_t header_bytes = 0;
  bool too_large = false;
  bool forbidden = false;
  char why[CURL_ERROR_SIZE] = "";
  Fetched fetched;
};

void Answer(Executor& on, FetchDone done, Fetched fetched) {
  on.Post([done = std::move(done), fetched = std::move(fetched)]() mutable { done(std::move(fetched)); });
}

Fetched Refusal(FetchEnd end, std::string reason) { return {.end = end, .reason = std::move(reason)}; }

// URLs come from what others publish: a line of a log shall bear them.
std::string Shown(const std::string& url) {
  std::string shown = url.substr(0, 300);
  std::ranges::replace_if(shown, [](char c) { return c <= 0x20 || c > 0x7E; }, '?');
  return shown;
}

size_t TakeBody(char* bytes, size_t /*one*/, size_t size, void* argument) {
  auto* const transfer = static_cast<Transfer*>(argument);
  if (transfer->fetched.body.size() + size > transfer->options->body_bytes_max) {
    transfer->too_large = true;
    return 0;
  }
  transfer->fetched.body.append(bytes, size);
  return size;
}

size_t CountHeader(char* /*bytes*/, size_t /*one*/, size_t size, void* argument) {
  auto* const transfer = static_cast<Transfer*>(argument);
  transfer->header_bytes += size;
  if (transfer->header_bytes <= transfer->options->header_bytes_max) return size;
  transfer->too_large = true;
  return 0;
}

// Whatever a name was looked up to: in sandbox mode no socket leaves loopback.
curl_socket_t OpenSocket(void* argument, curlsocktype /*purpose*/, curl_sockaddr* to) {
  auto* const transfer = static_cast<Transfer*>(argument);
  char text[INET6_ADDRSTRLEN] = "";
  if (to->family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&to->addr)->sin_addr, text, sizeof(text));
  if (to->family == AF_INET6) inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&to->addr)->sin6_addr, text, sizeof(text));
  if (transfer->loopback_only && !IsLoopback(text)) {
    transfer->forbidden = true;
    return CURL_SOCKET_BAD;
  }
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

FetchEnd EndOf(const Transfer& transfer, CURLcode code) {
  if (transfer.too_large) return FetchEnd::kTooLarge;
  if (transfer.forbidden) return FetchEnd::kForbidden;
  switch (code) {
    case CURLE_OK:
      return FetchEnd::kAnswered;
    case CURLE_URL_MALFORMAT:
      return FetchEnd::kUrl;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
      return FetchEnd::kUnreachable;
    case CURLE_OPERATION_TIMEDOUT:
      return FetchEnd::kTimeOut;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return FetchEnd::kTls;
    default:
      return FetchEnd::kBroken;
  }
}

// What stands in a URL; empty if it has none.
std::string PartOf(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

// "::1" of "[::1]".
std::string Unbracketed(const std::string& host) { return host.size() > 2 && host.front() == '[' ? host.substr(1, host.size() - 2) : host; }

}  // namespace

struct CurlFetch::Impl {
  Impl(FetchOptions options_in, Mode mode_in) : options(std::move(options_in)), mode(mode_in) {}
  ~Impl() {
    if (thread.joinable()) {
      {
        const std::lock_guard lock(mutex);
        stopped = true;
      }
      curl_multi_wakeup(multi.get());
      thread.join();
    }
    for (const auto& transfer : under_way) curl_multi_remove_handle(multi.get(), transfer->easy.get());
    under_way.clear();
  }

  Fetched Prepare(Transfer& transfer);
  void Run();
  bool TakeAsked();
  void StartWaiting();
  void Finish(CURL* easy, CURLcode code);

  const FetchOptions options;
  const Mode mode;
  MultiPtr multi;
  std::thread thread;
  std::atomic<size_t> fetches{0};  // asked and not answered

  std::mutex mutex;
  bool stopped = false;                          // guarded by mutex
  std::vector<std::unique_ptr<Transfer>> asked;  // guarded by mutex

  // Of the thread, and of nobody once it has been joined.
  std::deque<std::unique_ptr<Transfer>> waiting;
  std::vector<std::unique_ptr<Transfer>> under_way;
};

// Fills in all but the start. Answered: it may start; else why it is refused.
Fetched CurlFetch::Impl::Prepare(Transfer& transfer) {
  const std::string shown = Shown(transfer.url);
  const UrlPtr url(curl_url());
  if (mode == Mode::kHeld) {
    return Refusal(FetchEnd::kForbidden, fmt::format("{}: held mode: this instance opens no connection; `maily arm` makes it live", shown));
  }
  if (url == nullptr || transfer.url.size() > kUrlBytesMax || transfer.url.find('\0') != std::string::npos ||
      curl_url_set(url.get(), CURLUPART_URL, transfer.url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) {
    return Refusal(FetchEnd::kUrl, fmt::format("'{}' is no URL of at most {} bytes without a user", shown, kUrlBytesMax));
  }
  const std::string scheme = PartOf(url.get(), CURLUPART_SCHEME);
  if (scheme != "https" && !(scheme == "http" && options.allow_http)) {
    return Refusal(FetchEnd::kUrl, fmt::format("'{}': only https is fetched", shown));
  }
  std::string host = PartOf(url.get(), CURLUPART_HOST);
  std::ranges::transform(host, host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  const auto fixed = options.routes.find(host);
  if (mode == Mode::kSandbox) {
    const std::string target = fixed == options.routes.end() ? Unbracketed(host) : fixed->second.host;
    if (!IsLoopback(target) && target != "localhost") {
      return Refusal(FetchEnd::kForbidden,
                     fmt::format("{}: sandbox mode: only loopback addresses may be reached; `maily arm` makes it live", shown));
    }
  }
  if (fixed != options.routes.end()) {
    const auto& [ip, port] = fixed->second;
    const bool v6 = ip.find(':') != std::string::npos;
    const std::string ports = port == 0 ? "" : std::to_string(port);
    transfer.route.reset(curl_slist_append(nullptr, fmt::format("{}::{}{}{}:{}", host, v6 ? "[" : "", ip, v6 ? "]" : "", ports).c_str()));
  }
  transfer.options = &options;
  transfer.loopback_only = mode == Mode::kSandbox;
  return {.end = FetchEnd::kAnswered};
}

void CurlFetch::Impl::Run() {
  pthread_setname_np(pthread_self(), "fetch");
  while (TakeAsked()) {
    StartWaiting();
    int running = 0;
    curl_multi_perform(multi.get(), &running);
    int left = 0;
    bool finished = false;
    while (const CURLMsg* const message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Finish(message->easy_handle, message->data.result);
      finished = true;
    }
    if (!finished) curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
  }
}

bool CurlFetch::Impl::TakeAsked() {
  const std::lock_guard lock(mutex);
  for (auto& each : asked) waiting.push_back(std::move(each));
  asked.clear();
  return !stopped;
}

void CurlFetch::Impl::StartWaiting() {
  while (!waiting.empty() && under_way.size() < options.fetches_under_way_max) {
    std::unique_ptr<Transfer> transfer = std::move(waiting.front());
    waiting.pop_front();
    transfer->easy.reset(curl_easy_init());
    CURL* const easy = transfer->easy.get();
    MAILY_CHECK(easy != nullptr, "curl_easy_init");
    const auto set = [easy](CURLoption option, auto value) {
      MAILY_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK, "libcurl does not know option {}", static_cast<int>(option));
    };
    set(CURLOPT_URL, transfer->url.c_str());
    set(CURLOPT_PROTOCOLS_STR, options.allow_http ? "https,http" : "https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_USERAGENT, "maily");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a look-up that hangs does not hold up the end
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    // In the place of the system's one file; its folder is looked into as well.
    if (!options.extra_roots.empty()) set(CURLOPT_CAINFO, options.extra_roots.c_str());
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.us / 1000));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.us / 1000));
    set(CURLOPT_WRITEFUNCTION, &TakeBody);
    set(CURLOPT_WRITEDATA, transfer.get());
    set(CURLOPT_HEADERFUNCTION, &CountHeader);
    set(CURLOPT_HEADERDATA, transfer.get());
    set(CURLOPT_OPENSOCKETFUNCTION, &OpenSocket);
    set(CURLOPT_OPENSOCKETDATA, transfer.get());
    set(CURLOPT_ERRORBUFFER, static_cast<char*>(transfer->why));
    if (transfer->route != nullptr) set(CURLOPT_CONNECT_TO, transfer->route.get());
    curl_multi_add_handle(multi.get(), easy);
    under_way.push_back(std::move(transfer));
  }
}

void CurlFetch::Impl::Finish(CURL* easy, CURLcode code) {
  const auto at = std::ranges::find_if(under_way, [easy](const auto& each) { return each->easy.get() == easy; });
  MAILY_CHECK(at != under_way.end(), "libcurl ends what was not begun");
  const std::unique_ptr<Transfer> transfer = std::move(*at);
  under_way.erase(at);
  curl_multi_remove_handle(multi.get(), easy);
  Fetched fetched = std::move(transfer->fetched);
  fetched.end = EndOf(*transfer, code);
  if (fetched.answered()) {
    long status = 0;
    const char* type = nullptr;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    fetched.status = static_cast<int>(status);
    fetched.content_type = type == nullptr ? "" : type;
  } else {
    fetched.body.clear();
    const char* const why = transfer->why[0] != '\0' ? static_cast<const char*>(transfer->why) : curl_easy_strerror(code);
    fetched.reason = transfer->too_large ? fmt::format("{}: the answer is over its limit of {} bytes of header and {} of body",
                                                       Shown(transfer->url), options.header_bytes_max, options.body_bytes_max)
                                         : fmt::format("{}: {}", Shown(transfer->url), why);
  }
  --fetches;
  Answer(*transfer->on, std::move(transfer->done), std::move(fetched));
}

CurlFetch::CurlFetch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CurlFetch::~CurlFetch() = default;

Result<std::unique_ptr<CurlFetch>> CurlFetch::Make(FetchOptions options, LiveCapability capability) {
  if (options.fetches_under_way_max == 0 || options.connect_timeout.us < 1000 || options.total_timeout.us < 1000) {
    return Fail(Code::kInvalid, "fetches: {} at once, {} ms to connect, {} ms in all: each has to be positive",
                options.fetches_under_way_max, options.connect_timeout.us / 1000, options.total_timeout.us / 1000);
  }
  if (!options.extra_roots.empty() && access(options.extra_roots.c_str(), R_OK) != 0) {
    return Fail(Code::kInvalid, "certificates in {} cannot be read: errno {}", options.extra_roots, errno);
  }
  for (const auto& [host, to] : options.routes) {
    if (!ReverseName(to.host)) return Fail(Code::kInvalid, "the route to {} has to lead to an IP literal, not '{}'", host, to.host);
  }
  static const CURLcode library = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (library != CURLE_OK) return Fail(Code::kFatal, "libcurl: {}", curl_easy_strerror(library));
  auto impl = std::make_unique<Impl>(std::move(options), capability.mode());
  impl->multi.reset(curl_multi_init());
  if (impl->multi == nullptr) return Fail(Code::kFatal, "libcurl does not start");
  if (impl->mode != Mode::kHeld) impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<CurlFetch>(new CurlFetch(std::move(impl)));
}

void CurlFetch::Get(const std::string& url, Executor& on, FetchDone done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->url = url;
  Fetched refused = impl_->Prepare(*transfer);
  if (!refused.answered()) return Answer(on, std::move(done), std::move(refused));
  const size_t limit = impl_->options.fetches_under_way_max + impl_->options.fetches_waiting_max;
  if (impl_->fetches.fetch_add(1) >= limit) {
    --impl_->fetches;
    return Answer(on, std::move(done), Refusal(FetchEnd::kBusy, fmt::format("{}: {} fetches are under way already", Shown(url), limit)));
  }
  transfer->on = &on;
  transfer->done = std::move(done);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->asked.push_back(std::move(transfer));
  }
  curl_multi_wakeup(impl_->multi.get());
}

}  // namespace maily::curl
