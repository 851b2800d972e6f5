// The thread alone touches the channel of c-ares; questions come to it through a queue and an eventfd.
#include "streams/adapters/dns/dns_resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "streams/adapters/dns/message.h"
#include "streams/base/destroy.h"

namespace maily::dns {
namespace {

// RFC 9715 and the DNS flag day of 2020: what goes through any path in one piece.
constexpr int kUdpBytes = 1232;

// A question and what has been heard of it; owned by its queries.
struct Question {
  DnsQuestion question;
  Executor* on = nullptr;
  DnsDone done;
  std::vector<Result<DnsAnswer>> heard = {};  // in the order of the queries, of addresses A before AAAA
  size_t open = 0;                            // queries without an answer
};

// Of A and AAAA one answer.
Result<DnsAnswer> Join(Result<DnsAnswer> a, Result<DnsAnswer> b) {
  if (!a && !b) return a;
  if (!a || !b) {
    Result<DnsAnswer>& good = a ? a : b;
    if (good->kind != DnsAnswer::Kind::kRecords) return a ? b : a;  // the one that failed may have some
    good->ttl = std::min(good->ttl, DnsResolver::kPartialTtl);
    return std::move(good);
  }
  if (b->records.empty()) return a->kind == DnsAnswer::Kind::kNoName ? b : a;  // no name only if both say so
  if (a->records.empty()) return b;
  a->ttl = std::min(a->ttl, b->ttl);
  for (DnsRecord& record : b->records) {
    if (a->records.size() == DnsAnswer::kRecordsMax) break;
    a->records.push_back(std::move(record));
  }
  return a;
}

void Answer(Executor& on, DnsDone done, Result<DnsAnswer> answer) {
  on.Post([done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

std::optional<ares_addr_port_node> ToNode(const Endpoint& server) {
  ares_addr_port_node node{};
  node.udp_port = node.tcp_port = server.port;
  node.family = AF_INET;
  if (inet_pton(AF_INET, server.host.c_str(), &node.addr.addr4) == 1) return node;
  node.family = AF_INET6;
  if (inet_pton(AF_INET6, server.host.c_str(), &node.addr.addr6) == 1) return node;
  return std::nullopt;
}

std::string AddressOf(const ares_addr_port_node& node) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(node.family, &node.addr, text, sizeof(text));
  return text;
}

std::vector<WireType> WireTypes(DnsType type) {
  switch (type) {
    case DnsType::kMx:
      return {WireType::kMx};
    case DnsType::kAddress:
      return {WireType::kA, WireType::kAaaa};
    case DnsType::kTxt:
      return {WireType::kTxt};
    case DnsType::kPtr:
      return {WireType::kPtr};
  }
  return {};
}

}  // namespace

struct DnsResolver::Impl {
  using ChannelPtr = std::unique_ptr<ares_channeldata, Destroy<ares_destroy>>;
  // One message that is asked; c-ares gives it back once, whatever happens.
  struct Query {
    Impl* impl;
    std::shared_ptr<Question> question;
    size_t index;
    WireType type;
  };

  explicit Impl(DnsOptions options_in) : options(std::move(options_in)) {}
  ~Impl() {
    if (thread.joinable()) {
      {
        const std::lock_guard lock(mutex);
        stopped = true;
      }
      Wake();
      thread.join();
    }
    stopping = true;
    channel.reset();  // gives all queries back
    if (wake_fd >= 0) close(wake_fd);
  }

  Result<void> Open();
  Result<void> ChooseServers(Mode mode);
  void Run();
  bool TakeAsked();
  void StartWaiting();
  void WaitForSockets();
  void Heard(const Query& query, int status, std::string_view message);
  void Wake() const {
    const uint64_t one = 1;
    // It cannot fail but when the counter is full, and then the thread is awake.
    static_cast<void>(!write(wake_fd, &one, sizeof(one)));
  }

  const DnsOptions options;
  std::string forbidden;  // why no question may be asked; empty = they may
  int wake_fd = -1;
  std::thread thread;
  std::atomic<size_t> questions{0};  // asked and not answered

  std::mutex mutex;
  bool stopped = false;                          // guarded by mutex
  std::vector<std::shared_ptr<Question>> asked;  // guarded by mutex

  // Of the thread, and of nobody once it has been joined.
  ChannelPtr channel;
  std::map<ares_socket_t, short> sockets;  // what poll waits for
  std::deque<std::shared_ptr<Question>> waiting;
  size_t under_way = 0;
  bool stopping = false;
};

Result<void> DnsResolver::Impl::Open() {
  static const int library = ares_library_init(ARES_LIB_INIT_ALL);
  if (library != ARES_SUCCESS) return Fail(Code::kFatal, "c-ares: {}", ares_strerror(library));
  ares_options wanted{};
  // Only the DNS, by the name as it is; SERVFAIL and REFUSED go on to the next server.
  wanted.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  wanted.timeout = static_cast<int>(std::clamp<int64_t>(options.try_timeout.us / 1000, 1, 600'000));
  wanted.tries = options.tries;
  wanted.ednspsz = kUdpBytes;
  wanted.sock_state_cb_data = this;
  wanted.sock_state_cb = [](void* data, ares_socket_t socket, int readable, int writable) {
    auto& sockets_of = static_cast<Impl*>(data)->sockets;
    if (readable == 0 && writable == 0) {
      sockets_of.erase(socket);
    } else {
      sockets_of[socket] = static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
    }
  };
  ares_channel made = nullptr;
  const int status =
      ares_init_options(&made, &wanted, ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) return Fail(Code::kFatal, "c-ares does not start: {}", ares_strerror(status));
  channel.reset(made);
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return Fail(Code::kFatal, "eventfd: errno {}", errno);
  return Ok();
}

Result<void> DnsResolver::Impl::ChooseServers(Mode mode) {
  std::vector<ares_addr_port_node> nodes;
  for (const Endpoint& server : options.servers) {
    const auto node = ToNode(server);
    if (!node || server.port == 0) return Fail(Code::kInvalid, "DNS server {}: not an IP literal with a port", server.ToString());
    nodes.push_back(*node);
  }
  if (nodes.empty()) {
    ares_addr_port_node* of_system = nullptr;
    const int status = ares_get_servers_ports(channel.get(), &of_system);
    if (status != ARES_SUCCESS) return Fail(Code::kFatal, "c-ares: {}", ares_strerror(status));
    for (const auto* node = of_system; node != nullptr; node = node->next) nodes.push_back(*node);
    ares_free_data(of_system);
  }
  if (mode == Mode::kSandbox) std::erase_if(nodes, [](const auto& node) { return !IsLoopback(AddressOf(node)); });
  if (mode == Mode::kHeld) {
    forbidden = "held mode: this instance asks no DNS server; `maily arm` makes it live";
  } else if (nodes.empty()) {
    forbidden = "sandbox mode: no DNS server on a loopback address is known, and no other may be asked; `maily arm` makes it live";
  }
  if (!forbidden.empty()) return Ok();
  for (size_t i = 0; i < nodes.size(); ++i) nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
  const int status = ares_set_servers_ports(channel.get(), nodes.data());
  if (status != ARES_SUCCESS) return Fail(Code::kFatal, "c-ares takes no servers: {}", ares_strerror(status));
  return Ok();
}

void DnsResolver::Impl::Run() {
  pthread_setname_np(pthread_self(), "dns");
  while (TakeAsked()) {
    StartWaiting();
    WaitForSockets();
  }
}

bool DnsResolver::Impl::TakeAsked() {
  std::vector<std::shared_ptr<Question>> taken;
  const std::lock_guard lock(mutex);
  taken.swap(asked);
  for (auto& each : taken) waiting.push_back(std::move(each));
  return !stopped;
}

void DnsResolver::Impl::StartWaiting() {
  while (!waiting.empty() && under_way < options.questions_under_way_max) {
    const std::shared_ptr<Question> next = std::move(waiting.front());
    waiting.pop_front();
    ++under_way;
    const std::vector<WireType> types = WireTypes(next->question.type);
    next->open = types.size();
    next->heard.resize(types.size(), DnsAnswer{});
    for (size_t i = 0; i < types.size(); ++i) {
      constexpr int kClassInternet = 1;
      const auto heard = [](void* argument, int status, int /*timeouts*/, unsigned char* message, int bytes) {
        const std::unique_ptr<Query> query(static_cast<Query*>(argument));
        const auto* text = reinterpret_cast<const char*>(message);
        query->impl->Heard(*query, status,
                           message == nullptr || bytes < 0 ? std::string_view() : std::string_view(text, static_cast<size_t>(bytes)));
      };
      auto query = std::make_unique<Query>(Query{this, next, i, types[i]});
      ares_query(channel.get(), next->question.name.c_str(), kClassInternet, static_cast<int>(types[i]), heard, query.release());
    }
  }
}

void DnsResolver::Impl::WaitForSockets() {
  // A question that ended within ares_query has made room for another.
  if (!waiting.empty() && under_way < options.questions_under_way_max) return;
  std::vector<pollfd> fds{{.fd = wake_fd, .events = POLLIN, .revents = 0}};
  for (const auto& [socket, events] : sockets) fds.push_back({.fd = socket, .events = events, .revents = 0});
  timeval room{};
  const timeval* const next = ares_timeout(channel.get(), nullptr, &room);
  const int wait_ms = next == nullptr ? -1 : static_cast<int>(std::min<int64_t>(next->tv_sec * 1000LL + next->tv_usec / 1000 + 1, 600'000));
  if (poll(fds.data(), fds.size(), wait_ms) < 0) return;  // interrupted
  if (fds[0].revents != 0) {
    uint64_t count = 0;
    static_cast<void>(!read(wake_fd, &count, sizeof(count)));
  }
  for (size_t i = 1; i < fds.size(); ++i) {
    if (fds[i].revents == 0 || !sockets.contains(fds[i].fd)) continue;  // closed meanwhile
    const bool readable = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
    const bool writable = (fds[i].revents & POLLOUT) != 0;
    ares_process_fd(channel.get(), readable ? fds[i].fd : ARES_SOCKET_BAD, writable ? fds[i].fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what is too late
}

void DnsResolver::Impl::Heard(const Query& query, int status, std::string_view message) {
  if (stopping) return;
  Question& question = *query.question;
  Result<DnsAnswer>& heard = question.heard[query.index];
  if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND) {
    if (!message.empty()) {
      heard = ReadAnswer(message, question.question.name, query.type);
    } else {  // a name that is never asked for, such as .onion (RFC 7686)
      heard = DnsAnswer{.kind = status == ARES_ENOTFOUND ? DnsAnswer::Kind::kNoName : DnsAnswer::Kind::kNoData};
    }
  } else {
    const Code code = status == ARES_EBADNAME ? Code::kInvalid : Code::kRetry;
    heard = Fail(code, "{}: {}", question.question.ToString(), ares_strerror(status));
  }
  if (--question.open > 0) return;
  --under_way;
  --questions;
  auto& all = question.heard;
  Answer(*question.on, std::move(question.done), all.size() == 1 ? std::move(all[0]) : Join(std::move(all[0]), std::move(all[1])));
}

DnsResolver::DnsResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DnsResolver::~DnsResolver() = default;

Result<std::unique_ptr<DnsResolver>> DnsResolver::Make(DnsOptions options, LiveCapability capability) {
  if (options.tries < 1 || options.try_timeout.us < 1000 || options.questions_under_way_max == 0) {
    return Fail(Code::kInvalid, "DNS: {} tries of {} ms, {} questions at once: each has to be positive", options.tries,
                options.try_timeout.us / 1000, options.questions_under_way_max);
  }
  auto impl = std::make_unique<Impl>(std::move(options));
  MAILY_TRY_VOID(impl->Open());
  MAILY_TRY_VOID(impl->ChooseServers(capability.mode()));
  if (impl->forbidden.empty()) impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<DnsResolver>(new DnsResolver(std::move(impl)));
}

void DnsResolver::Ask(DnsQuestion question, Executor& on, DnsDone done) {
  auto name = HostName(question.name);
  if (!name) return Answer(on, std::move(done), name.error());
  question.name = std::move(*name);
  if (!impl_->forbidden.empty()) return Answer(on, std::move(done), Fail(Code::kInvalid, "{}", impl_->forbidden));
  const size_t limit = impl_->options.questions_under_way_max + impl_->options.questions_waiting_max;
  if (impl_->questions.fetch_add(1) >= limit) {
    --impl_->questions;
    return Answer(on, std::move(done), Fail(Code::kRetry, "{}: {} questions are under way already", question.ToString(), limit));
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->asked.push_back(std::make_shared<Question>(Question{.question = std::move(question), .on = &on, .done = std::move(done)}));
  }
  impl_->Wake();
}

}  // namespace maily::dns
