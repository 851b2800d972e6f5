// See sink_rules.h.
#include "app/sink_rules.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>

#include "streams/base/hash.h"

namespace maily::app {
namespace {

constexpr size_t kRememberedMax = 1'000'000;
constexpr double kSecondsMax = 86'400;

Result<void> CheckReply(std::string_view reply) {
  const auto digit = [&](size_t at) { return reply[at] >= '0' && reply[at] <= '9'; };
  if (reply.size() < 3 || reply.size() > 500 || reply[0] < '2' || reply[0] > '5' || !digit(1) || !digit(2) ||
      reply.find_first_of("\r\n") != std::string_view::npos || (reply.size() > 3 && reply[3] != ' ')) {
    return Fail(Code::kInvalid, "'{}' is not a reply like 451 4.2.0 busy", reply);
  }
  return Ok();
}

// "*@a.example", "@a.example", "postmaster@*", "*".
Result<void> TakePattern(std::string_view pattern, SinkRule& rule) {
  const size_t star = pattern.find('*');
  if (star != std::string_view::npos && pattern.find('*', star + 1) != std::string_view::npos) {
    return Fail(Code::kInvalid, "'{}' has more than one *", pattern);
  }
  if (star == std::string_view::npos || star == 0) {
    rule.suffix = pattern.substr(star == 0 ? 1 : 0);
  } else {
    rule.prefix = pattern.substr(0, star);
    rule.suffix = pattern.substr(star + 1);
  }
  return Ok();
}

Result<Duration> SecondsOf(const YAML::Node& node) {
  double seconds = -1;
  if (!YAML::convert<double>::decode(node, seconds) || !(seconds >= 0 && seconds <= kSecondsMax)) {
    return Fail(Code::kInvalid, "it is a number of seconds from 0 to {}", kSecondsMax);
  }
  return Duration{static_cast<int64_t>(std::llround(seconds * 1e6))};
}

struct Member {
  const char* name;
  Result<void> (*take)(const YAML::Node& value, SinkRule& rule);
};
constexpr Member kMembers[] = {
    {"to", [](const YAML::Node& value, SinkRule& rule) { return TakePattern(value.as<std::string>(), rule); }},
    {"at",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       const auto at = value.as<std::string>();
       if (at != "connect" && at != "rcpt" && at != "dot") return Fail(Code::kInvalid, "it is connect, rcpt or dot");
       rule.stage = at == "connect" ? SinkRule::Stage::kConnect : at == "rcpt" ? SinkRule::Stage::kRcpt : SinkRule::Stage::kDot;
       return Ok();
     }},
    {"reply",
     [](const YAML::Node& value, SinkRule& rule) {
       rule.reply = value.as<std::string>();
       return CheckReply(rule.reply);
     }},
    {"first",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       if (!YAML::convert<uint32_t>::decode(value, rule.first) || rule.first == 0 || rule.first > 1000) {
         return Fail(Code::kInvalid, "it is a number of attempts from 1 to 1000");
       }
       return Ok();
     }},
    {"share",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       if (!YAML::convert<double>::decode(value, rule.share) || !(rule.share >= 0 && rule.share <= 1)) {
         return Fail(Code::kInvalid, "it is a number from 0 to 1");
       }
       return Ok();
     }},
    {"between",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       if (!value.IsSequence() || value.size() != 2) return Fail(Code::kInvalid, "it is two numbers of seconds, like [60, 120]");
       MAILY_TRY(rule.from, SecondsOf(value[0]));
       MAILY_TRY(rule.until, SecondsOf(value[1]));
       if (rule.until <= rule.from) return Fail(Code::kInvalid, "its end is not after its beginning");
       return Ok();
     }},
    {"delay",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       MAILY_TRY(rule.delay, SecondsOf(value));
       return Ok();
     }},
    {"drop",
     [](const YAML::Node& value, SinkRule& rule) -> Result<void> {
       const auto drop = value.as<std::string>();
       if (drop != "before" && drop != "after") return Fail(Code::kInvalid, "it is before or after");
       rule.drop = drop == "before" ? SinkRule::Drop::kBefore : SinkRule::Drop::kAfter;
       return Ok();
     }},
};

Result<SinkRule> ReadOne(const std::string& path, const YAML::Node& entry) {
  const auto wrong = [&](const YAML::Node& at, const std::string& what) {
    return Fail(Code::kInvalid, "{}:{}: {}", path, at.Mark().line + 1, what);
  };
  if (!entry.IsMap()) return wrong(entry, "a rule is a map with members like to, at and reply");
  SinkRule rule;
  for (const auto& member : entry) {
    const auto name = member.first.as<std::string>();
    const auto* const known = std::ranges::find_if(kMembers, [&](const Member& one) { return name == one.name; });
    if (known == std::end(kMembers)) {
      return wrong(member.first, fmt::format("unknown member '{}'; there are to, at, reply, first, share, between, delay and drop", name));
    }
    if (const auto taken = known->take(member.second, rule); !taken) {
      return wrong(member.second, fmt::format("{}: {}", name, taken.error().message));
    }
  }
  const bool connect = rule.stage == SinkRule::Stage::kConnect;
  if (connect && (entry["to"] || entry["first"])) return wrong(entry, "at: connect nobody knows the recipient yet: without to and first");
  if (rule.drop == SinkRule::Drop::kAfter && rule.stage != SinkRule::Stage::kDot) return wrong(entry, "drop: after goes with at: dot");
  if (rule.drop != SinkRule::Drop::kNo && !rule.reply.empty()) return wrong(entry, "drop and reply exclude each other");
  if (rule.drop == SinkRule::Drop::kNo && rule.reply.empty() && rule.delay.us == 0) {
    return wrong(entry, "the rule does nothing: it has no reply, delay or drop");
  }
  return rule;
}

}  // namespace

Result<SinkRule> ParseSinkRule(std::string_view text) {
  SinkRule rule;
  std::string_view rest = text;
  constexpr std::pair<std::string_view, SinkRule::Stage> kStages[] = {
      {"connect:", SinkRule::Stage::kConnect}, {"rcpt:", SinkRule::Stage::kRcpt}, {"dot:", SinkRule::Stage::kDot}};
  for (const auto& [name, stage] : kStages) {
    if (!rest.starts_with(name)) continue;
    rest.remove_prefix(name.size());
    rule.stage = stage;
    break;
  }
  const size_t equals = rest.find('=');
  if (equals == std::string_view::npos) return Fail(Code::kInvalid, "'{}' is not PATTERN=REPLY, like *@soft.test=451 4.2.0 busy", text);
  MAILY_TRY_VOID(TakePattern(rest.substr(0, equals), rule));
  rule.reply = rest.substr(equals + 1);
  MAILY_TRY_VOID(CheckReply(rule.reply));
  return rule;
}

Result<std::vector<SinkRule>> ReadSinkScript(const std::string& path) {
  std::vector<SinkRule> rules;
  try {
    const YAML::Node file = YAML::LoadFile(path);
    if (!file.IsSequence()) return Fail(Code::kInvalid, "{}: it is no list of rules", path);
    for (const YAML::Node& entry : file) {
      MAILY_TRY(SinkRule rule, ReadOne(path, entry));
      rules.push_back(std::move(rule));
    }
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalid, "{}: {}", path, error.what());
  }
  return rules;
}

bool SinkRules::Happens(double share) {
  if (share <= 0 || share >= 1) return share > 0;
  chance_ = chance_ * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's LCG
  return static_cast<double>(chance_ >> 11) / 9007199254740992.0 < share;
}

const SinkRule* SinkRules::Fit(SinkRule::Stage stage, std::string_view recipient, Duration since) {
  for (size_t i = 0; i < rules_.size(); ++i) {
    const SinkRule& rule = rules_[i];
    if (rule.stage != stage || since < rule.from || (rule.until.us > 0 && since >= rule.until)) continue;
    if (recipient.size() < rule.prefix.size() + rule.suffix.size() || !recipient.starts_with(rule.prefix) ||
        !recipient.ends_with(rule.suffix)) {
      if (stage != SinkRule::Stage::kConnect) continue;
    }
    if (!Happens(rule.share)) continue;
    if (rule.first > 0) {
      const uint64_t key = Xxh3_64(recipient) + i * 0x9E3779B97F4A7C15ULL;
      const auto found = attempts_.find(key);
      if (found == attempts_.end() && attempts_.size() >= kRememberedMax) continue;
      if (found != attempts_.end() ? found->second++ >= rule.first : (attempts_[key] = 1, false)) continue;
    }
    return &rule;
  }
  return nullptr;
}

}  // namespace maily::app
