// What a client says to `maily sink`: bytes in pieces over a connection that exists in memory alone. Whatever comes, the sink answers with
// whole lines of three digits, and counts no more mails than there were final dots.
#include <deque>

#include "app/sink.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

// Runs everything at once, later; time stands still.
class Turns : public Executor, public Clock {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  TimerId After(Duration, Job job) override {
    Post(std::move(job));
    return 1;
  }
  void Cancel(TimerId) override {}
  Instant Now() override { return {1'700'000'000'000'000}; }
  Duration Steady() override { return {}; }
  void Run() {
    while (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
    }
  }

 private:
  std::deque<Job> jobs_;
};

// Gives the input in pieces, then the end; keeps what is answered.
class Client : public Connection {
 public:
  Client(Turns& turns, std::string_view input, size_t piece, std::string& answers)
      : turns_(turns), input_(input), piece_(piece), answers_(answers) {}
  void Read(size_t bytes_max, std::move_only_function<void(Result<std::string>)> done) override {
    std::string bytes(input_.substr(0, std::min(bytes_max, piece_)));
    input_.remove_prefix(bytes.size());
    turns_.Post([done = std::move(done), bytes = std::move(bytes)]() mutable { done(std::move(bytes)); });
  }
  void Write(std::string bytes, std::move_only_function<void(Result<void>)> done) override {
    answers_ += bytes;
    turns_.Post([done = std::move(done)]() mutable { done(Ok()); });
  }
  void Close() override {}
  Endpoint peer() const override { return {"127.0.0.1", 1}; }

 private:
  Turns& turns_;
  std::string_view input_;
  const size_t piece_;
  std::string& answers_;
};

class Port : public Net {
 public:
  Result<std::unique_ptr<Listener>> Listen(const Endpoint& at, std::function<void(std::unique_ptr<Connection>)> accept) override {
    struct Nothing : Listener {
      explicit Nothing(Endpoint at) : local_(std::move(at)) {}
      Endpoint local() const override { return local_; }
      Endpoint local_;
    };
    accept_ = std::move(accept);
    return std::unique_ptr<Listener>(std::make_unique<Nothing>(at));
  }
  std::function<void(std::unique_ptr<Connection>)> accept_;
};

size_t Dots(std::string_view input) {
  size_t dots = 0;
  for (size_t at = input.find(".\r\n"); at != std::string_view::npos; at = input.find(".\r\n", at + 1)) ++dots;
  return dots;
}

void Try(std::string_view input, size_t piece) {
  Turns turns;
  Port port;
  std::string answers;
  app::SinkOptions options;
  options.mail_bytes_max = 4096;
  options.rules.push_back(app::ParseSinkRule("*@soft.test=451 4.2.0 busy").value());
  options.rules.push_back(app::ParseSinkRule("dot:*@hard.test=554 5.7.1 no").value());
  auto sink = app::Sink::Start(port, turns, turns, options).value();
  port.accept_(std::make_unique<Client>(turns, input, piece, answers));
  turns.Run();
  MAILY_CHECK(answers.starts_with("220 ") && answers.ends_with("\r\n"), "it said: {}", answers);
  for (std::string_view rest = answers; !rest.empty(); rest.remove_prefix(rest.find("\r\n") + 2)) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    MAILY_CHECK(line.size() >= 4 && std::ranges::all_of(line.substr(0, 3), [](char c) { return c >= '0' && c <= '9'; }), "'{}'", line);
  }
  MAILY_CHECK(sink->counts().distinct_recipients <= sink->counts().mails, "more recipients than mails");
  MAILY_CHECK(sink->counts().mails == 0 || Dots(input) > 0, "a mail without a final dot");
  for (const app::ReceivedMail& mail : sink->List(0, 1000)) MAILY_CHECK(mail.bytes <= options.mail_bytes_max, "{} bytes", mail.bytes);
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const size_t piece = 1 + fuzz::TakeByte(input);
  fuzz::Try(input, piece);
  fuzz::Try(input, input.size() + 1);
  return 0;
}
