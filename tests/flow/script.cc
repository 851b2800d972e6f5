// See script.h.
#include "tests/flow/script.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "schemas/codec.h"
#include "schemas/types.h"
#include "streams/state/key.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

using google::protobuf::Message;
using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;

// What ends a flow early; caught in Play.
struct Broken {
  std::string what;
};

constexpr std::pair<journal::Outcome, std::string_view> kOutcomes[] = {{journal::Outcome::kDone, "done"},
                                                                       {journal::Outcome::kUnchanged, "unchanged"},
                                                                       {journal::Outcome::kDuplicate, "duplicate"},
                                                                       {journal::Outcome::kConflict, "conflict"},
                                                                       {journal::Outcome::kNotFound, "not_found"},
                                                                       {journal::Outcome::kInvalid, "invalid"},
                                                                       {journal::Outcome::kGone, "gone"},
                                                                       {journal::Outcome::kReused, "reused"},
                                                                       {journal::Outcome::kOutOfOrder, "out_of_order"},
                                                                       {journal::Outcome::kRejected, "rejected"},
                                                                       {journal::Outcome::kRetryLater, "retry_later"}};

std::string_view OutcomeName(journal::Outcome outcome) {
  for (const auto& [known, name] : kOutcomes) {
    if (known == outcome) return name;
  }
  return "?";
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

// Takes the first word off.
std::string TakeWord(std::string_view& text) {
  text = Trim(text);
  const size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  std::string word(text.substr(0, end));
  text = Trim(text.substr(end));
  return word;
}

Duration ParseDuration(std::string_view text) {
  const int64_t n = std::stoll(std::string(text));
  if (text.ends_with("us")) return Duration{n};
  switch (text.back()) {
    case 's':
      return Seconds(n);
    case 'm':
      return Seconds(60 * n);
    case 'h':
      return Hours(n);
    default:
      throw Broken{fmt::format("\"{}\" is no duration", text)};
  }
}

void ReplaceAll(std::string& text, std::string_view from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

std::string WithTimes(std::string text, Instant now) {
  for (size_t at = text.find("${now"); at != std::string::npos; at = text.find("${now", at)) {
    const size_t end = text.find('}', at);
    if (end == std::string::npos) throw Broken{"${now has no closing }"};
    const std::string inside = text.substr(at + 5, end - at - 5);
    Instant instant = now;
    if (inside.starts_with("+")) instant = now + ParseDuration(inside.substr(1));
    if (inside.starts_with("-")) instant = now - ParseDuration(inside.substr(1));
    text.replace(at, end - at + 1, std::to_string(instant.us));
  }
  return text;
}

std::string WithCount(std::string text, int i) {
  ReplaceAll(text, "%08d", fmt::format("{:08}", i));
  ReplaceAll(text, "%d", std::to_string(i));
  return text;
}

class Reporter : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    text += fmt::format("{}:{}: {}; ", line + 1, column + 1, message);
  }
  std::string text;
};

const schema::Type& TypeNamed(const std::string& name) {
  const schema::Type* type = schema::FindType(name);
  if (type == nullptr) throw Broken{fmt::format("there is no type {}", name)};
  return *type;
}

// "{ … }" as a message of that type.
std::unique_ptr<Message> Parse(const schema::Type& type, std::string_view text) {
  text = Trim(text);
  if (text.empty()) text = "{}";
  if (text.front() != '{' || text.back() != '}') throw Broken{fmt::format("{}: expected {{ … }}, got {}", type.name, text)};
  auto message = schema::NewMessage(type.number);
  Reporter reporter;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&reporter);
  if (!parser.ParseFromString(std::string(text.substr(1, text.size() - 2)), message.get())) {
    throw Broken{fmt::format("{}: {}", type.name, reporter.text)};
  }
  return message;
}

std::string ToText(const Message& message) {
  std::string text;
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.PrintToString(message, &text);
  return text;
}

bool Matches(const Message& expected, const Message& actual, bool partly) {
  MessageDifferencer differencer;
  if (partly) differencer.set_scope(MessageDifferencer::PARTIAL);
  return differencer.Compare(expected, actual);
}

class Player {
 public:
  Player(const Script& script, const task::Pipeline& pipeline, bool flushes) : script_(script), pipeline_(pipeline), flushes_(flushes) {
    for (const Statement& statement : script_.statements) {
      if (statement.word == "partitions") partition_count_ = static_cast<uint16_t>(std::stoul(statement.rest));
    }
  }

  Played Run() {
    for (const Statement& statement : script_.statements) {
      line_ = statement.line;
      try {
        Do(statement);
      } catch (const Broken& broken) {
        Fail(broken.what);
        return played_;
      }
    }
    EndStep();
    if (world_) {
      const std::string differences = world_->CheckRestore();
      if (!differences.empty()) Fail("the journal folds to another state: " + differences);
      const Hash128 digest = world_->Digest();
      played_.digest = fmt::format("{:016x}{:016x}", digest.high, digest.low);
      played_.journals = world_->journals();
    }
    return played_;
  }

 private:
  World& world() {
    if (!world_) world_ = std::make_unique<World>(pipeline_, partition_count_, flushes_);
    return *world_;
  }
  void Fail(const std::string& what) { played_.failures.push_back(fmt::format("{}:{}: {}", script_.file, line_, what)); }

  void Do(const Statement& statement) {
    std::string_view rest = statement.rest;
    const std::string& word = statement.word;
    if (word == "partitions") {
      // Known from the beginning.
    } else if (word == "tenant") {
      world().UseTenant(TenantId(static_cast<uint32_t>(std::stoul(TakeWord(rest)))));
    } else if (word == "given" || word == "when") {
      BeginStep();
      Command(rest, word == "given");
      EndOfStep(word == "when");
    } else if (word == "run") {
      BeginStep();
      world().Run();
      EndOfStep(true);
    } else if (word == "credits") {
      const auto count = static_cast<uint32_t>(std::stoul(TakeWord(rest)));
      world().Grant(count, rest.empty() ? std::nullopt : std::optional(std::string(rest == "\"\"" ? "" : rest)));
    } else if (word == "advance") {
      BeginStep();
      world().Advance(ParseDuration(TakeWord(rest)));
      EndOfStep(true);
    } else if (word == "restart") {
      world().Restart();
    } else if (word == "then") {
      if (OutcomeName(answered_.outcome) != rest)
        Fail(fmt::format("outcome {}, expected {}; {}", OutcomeName(answered_.outcome), rest, answered_.answer));
    } else if (word == "answer") {
      Answer(rest);
    } else if (word == "event") {
      Event(rest);
    } else if (word == "events") {
      Events(rest);
    } else if (word == "nothing") {
      looked_ = true;
    } else if (word == "state" || word == "absent") {
      State(rest, word == "absent");
    } else {
      throw Broken{fmt::format("there is no statement \"{}\"", word)};
    }
  }

  // ---- Steps ----

  void BeginStep() {
    EndStep();
    world().TakeSeen();
  }
  void EndOfStep(bool shown) {
    seen_ = world().TakeSeen();
    at_ = 0;
    looked_ = false;
    step_line_ = line_;
    if (!shown) seen_.clear();
  }
  void EndStep() {
    if (!looked_) return;
    for (; NextSeen() != nullptr; ++at_) {
      played_.failures.push_back(fmt::format("{}:{}: also decided: {}", script_.file, step_line_, Shown(seen_[at_])));
      if (played_.failures.size() > 20) break;
    }
    looked_ = false;
  }

  void Command(std::string_view rest, bool given) {
    int times = 1;
    int partition = -1;
    Instant occurred_at = world().now();
    std::string word = TakeWord(rest);
    for (;; word = TakeWord(rest)) {
      if (word.starts_with("x") && word.size() > 1 && std::isdigit(word[1])) {
        times = std::stoi(word.substr(1));
      } else if (word.starts_with("@")) {
        partition = std::stoi(word.substr(1));
      } else if (word.starts_with("occurred=")) {
        occurred_at = Instant{std::stoll(word.substr(9))};
      } else {
        break;
      }
    }
    const schema::Type& type = TypeNamed(word);
    for (int i = 1; i <= times; ++i) {
      const auto message = Parse(type, WithTimes(times == 1 ? std::string(rest) : WithCount(std::string(rest), i), world().now()));
      const PartitionId to = partition >= 0 ? PartitionId(static_cast<uint16_t>(partition)) : world().PartitionFor(*message);
      const auto* keyed = partition >= 0 ? nullptr : message->GetDescriptor()->FindFieldByName("contact_key");
      const std::string key = keyed == nullptr ? std::string() : message->GetReflection()->GetString(*message, keyed);
      answered_ = world().Command(to, type.number, schema::Encode(*message), occurred_at, key);
      if (given && answered_.outcome != journal::Outcome::kDone) {
        throw Broken{fmt::format("given, but {}: {}", OutcomeName(answered_.outcome), answered_.answer)};
      }
    }
  }

  // ---- What is looked at ----

  void Answer(std::string_view rest) {
    const std::string member = TakeWord(rest);
    const auto json = nlohmann::json::parse(answered_.answer.empty() ? "{}" : answered_.answer, nullptr, false);
    if (json.is_discarded()) return Fail("the answer is no JSON: " + answered_.answer);
    if (!json.contains(member)) return Fail(fmt::format("the answer has no {}: {}", member, answered_.answer));
    const auto& value = json[member];
    if (rest.starts_with("~")) {
      const std::string part(Trim(rest.substr(1)));
      if (!value.is_string() || value.get<std::string>().find(part) == std::string::npos)
        Fail(fmt::format("{} is {}", member, value.dump()));
    } else if (value != nlohmann::json::parse(rest, nullptr, false)) {
      Fail(fmt::format("{} is {}, expected {}", member, value.dump(), rest));
    }
  }

  std::string Shown(const Seen& seen) {
    const auto message = schema::Decode(seen.type, seen.payload);
    if (!message) return fmt::format("@{} type {}", seen.partition.value(), seen.type);
    return fmt::format("@{} {} {{ {}}}", seen.partition.value(), schema::FindType(seen.type)->name, ToText(**message));
  }

  // Events of links and rejections are the engine's own.
  const Seen* NextSeen() {
    looked_ = true;
    while (at_ < seen_.size() && seen_[at_].type < 100) ++at_;
    return at_ < seen_.size() ? &seen_[at_] : nullptr;
  }

  void Event(std::string_view rest) {
    std::string word = TakeWord(rest);
    int partition = -1;
    if (word.starts_with("@")) {
      partition = std::stoi(word.substr(1));
      word = TakeWord(rest);
    }
    const schema::Type& type = TypeNamed(word);
    const bool partly = rest.starts_with("~");
    if (partly) rest.remove_prefix(1);
    const auto expected = Parse(type, WithTimes(std::string(rest), world().now()));
    const Seen* seen = NextSeen();
    if (seen == nullptr) return Fail(fmt::format("no more events; expected {}", word));
    const auto actual = schema::Decode(seen->type, seen->payload);
    const bool same = actual && seen->type == type.number && Matches(*expected, **actual, partly) &&
                      (partition < 0 || seen->partition.value() == partition);
    if (!same) Fail(fmt::format("decided {}, expected {} {{ {}}}", Shown(*seen), word, ToText(*expected)));
    ++at_;
  }

  void Events(std::string_view rest) {
    const int count = std::stoi(TakeWord(rest));
    const std::string name = TakeWord(rest);
    const schema::Type& type = TypeNamed(name);
    for (int i = 0; i < count; ++i) {
      const Seen* seen = NextSeen();
      if (seen == nullptr) return Fail(fmt::format("{} events {}, expected {}", i, name, count));
      if (seen->type != type.number) return Fail(fmt::format("event {} of {} {}: {}", i + 1, count, name, Shown(*seen)));
      ++at_;
    }
  }

  void State(std::string_view rest, bool absent) {
    std::string word = TakeWord(rest);
    uint16_t partition = 0;
    if (word.starts_with("@")) {
      partition = static_cast<uint16_t>(std::stoi(word.substr(1)));
      word = TakeWord(rest);
    }
    const schema::Type& type = TypeNamed(word);
    std::string key = state::Key(type.name == "TenantName" || type.name == "TenantCounter" ? TenantId(0) : world().tenant());
    while (!rest.empty() && rest.front() != '{' && rest.front() != '~') {
      const std::string part = TakeWord(rest);
      if (part.front() == '"') {
        key += part.substr(1, part.size() - 2);
      } else {
        state::AppendPart(key, std::stoull(part));
      }
    }
    const bool partly = rest.starts_with("~");
    if (partly) rest.remove_prefix(1);
    std::string kv_key;
    PutOrdered<uint16_t>(kv_key, type.number);
    const auto entry = world().Stored(PartitionId(partition), kv_key + key);
    if (absent) {
      if (entry) Fail(fmt::format("{} is there: {}", word, ToText(*schema::Decode(type.number, *entry).value())));
      return;
    }
    if (!entry) return Fail(fmt::format("{} is not there", word));
    const auto actual = schema::Decode(type.number, *entry);
    const auto expected = Parse(type, WithTimes(std::string(rest), world().now()));
    if (!Matches(*expected, **actual, partly))
      Fail(fmt::format("{} is {{ {}}}, expected {{ {}}}", word, ToText(**actual), ToText(*expected)));
  }

  const Script& script_;
  const task::Pipeline& pipeline_;
  const bool flushes_;
  uint16_t partition_count_ = 1;
  std::unique_ptr<World> world_;
  Played played_;
  int line_ = 0;
  int step_line_ = 0;
  Answered answered_;
  std::vector<Seen> seen_;
  size_t at_ = 0;
  bool looked_ = false;
};

}  // namespace

std::vector<std::string> ScriptFiles(const std::string& root) {
  std::vector<std::string> files;
  for (const char* folder : {"processors", "tests/flow"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(root) / folder)) {
      if (entry.path().extension() == ".flow") files.push_back(std::filesystem::relative(entry.path(), root).string());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<Script> ReadScripts(const std::string& path, const std::string& name) {
  std::vector<Script> scripts;
  std::vector<Statement> before;
  bool in_before = false;
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (const std::string_view trimmed = Trim(line); trimmed.empty() || trimmed.starts_with("#")) continue;
    if (std::isspace(static_cast<unsigned char>(line.front()))) {
      MAILY_CHECK(in_before ? !before.empty() : !scripts.empty() && !scripts.back().statements.empty(), "{}:{}: continues nothing", name,
                  number);
      (in_before ? before : scripts.back().statements).back().rest += "\n" + line;
      continue;
    }
    std::string_view rest = line;
    const std::string word = TakeWord(rest);
    if (word == "before") {
      in_before = true;
      continue;
    }
    if (word == "flow") {
      in_before = false;
      scripts.push_back({name, std::string(rest), before});
      continue;
    }
    MAILY_CHECK(in_before || !scripts.empty(), "{}:{}: a file begins with \"before\" or \"flow\"", name, number);
    (in_before ? before : scripts.back().statements).push_back({number, word, std::string(rest)});
  }
  return scripts;
}

Played Play(const Script& script, const task::Pipeline& pipeline, bool flushes) { return Player(script, pipeline, flushes).Run(); }

}  // namespace maily::flow
