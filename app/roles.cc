// See roles.h.
#include "app/roles.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "app/database.h"
#include "app/open_log.h"
#include "streams/adapters/kafka/group.h"

namespace maily::app {
namespace {

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string part = text.substr(at, end - at);
    std::erase(part, ' ');
    parts.push_back(std::move(part));
    at = end + 1;
  }
  return parts;
}

// A list that nobody changes.
class FixedAssignment final : public Assignment {
 public:
  explicit FixedAssignment(std::vector<PartitionId> mine) : mine_(std::move(mine)) {}
  void Join(std::function<void(std::vector<PartitionId>)> assign) override { assign(mine_); }
  void Leave() override {}
  std::vector<PartitionId> Unassigned() const override { return {}; }  // others may have lists of theirs
  std::string trouble() const override { return {}; }

 private:
  const std::vector<PartitionId> mine_;
};

}  // namespace

Result<Roles> RolesOf(const Config& config) {
  const std::string& text = config.Text("roles");
  Roles roles;
  if (text != "all") {
    roles = {.tasks = false, .projections = false, .links = false, .gateway = false, .api = false};
    bool effects = false;
    const std::vector<std::pair<std::string, bool*>> names{
        {"tasks", &roles.tasks}, {"effects", &effects},       {"projections", &roles.projections},
        {"links", &roles.links}, {"gateway", &roles.gateway}, {"api", &roles.api}};
    std::vector<std::string> known;
    for (const auto& [name, on] : names) known.push_back(name);
    for (const std::string& part : Split(text)) {
      const auto found = std::ranges::find(names, part, &std::pair<std::string, bool*>::first);
      if (found == names.end()) {
        const std::string near = NearestName(part, known);
        return Fail(Code::kInvalid, "{}: there is no role '{}'{}; roles are all, or some of tasks,effects,projections,links,gateway,api",
                    config.Source("roles"), part, near.empty() ? "" : fmt::format(", did you mean '{}'?", near));
      }
      *found->second = true;
    }
    if (roles.tasks != effects) {
      return Fail(Code::kInvalid, "{}: tasks and effects go together: mail goes out where a partition is led", config.Source("roles"));
    }
    if (roles.links && !roles.tasks) {
      return Fail(Code::kInvalid, "{}: links needs tasks: a partition's public topics are written where it is led", config.Source("roles"));
    }
  }
  const bool one_of_several = !roles.all() || config.Text("lead") != "all";
  if (!one_of_several) return roles;
  const std::string why = !roles.all() ? config.Source("roles") : config.Source("lead");
  if (!IsOnKafka(config)) return Fail(Code::kInvalid, "{}: several processes need a log that they share: set log to kafka://…", why);
  if (!IsPostgres(config)) {
    return Fail(Code::kInvalid, "{}: several processes need read models that they share: set db to postgresql://…", why);
  }
  if (config.Text("keyring") == kKeyringInData) {
    return Fail(Code::kInvalid, "{}: several processes need keys that they share: set keyring to postgresql://… and root_key to one file",
                why);
  }
  return roles;
}

Result<std::vector<PartitionId>> ParsePartitions(const std::string& text, uint16_t partition_count) {
  std::set<uint16_t> all;
  for (const std::string& part : Split(text)) {
    const size_t dash = part.find('-');
    const std::string first = part.substr(0, dash);
    const std::string last = dash == std::string::npos ? first : part.substr(dash + 1);
    unsigned from = 0;
    unsigned to = 0;
    const auto read = [](const std::string& digits, unsigned& number) {
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
      return error == std::errc() && end == digits.data() + digits.size();
    };
    if (!read(first, from) || !read(last, to) || from > to) {
      return Fail(Code::kInvalid, "'{}' is neither a partition nor a range of them; write 0-7,12", part);
    }
    if (to >= partition_count) return Fail(Code::kInvalid, "there is no partition {}: the log has {}, from 0", to, partition_count);
    for (unsigned p = from; p <= to; ++p) all.insert(static_cast<uint16_t>(p));
  }
  std::vector<PartitionId> partitions;
  for (const uint16_t p : all) partitions.emplace_back(p);
  return partitions;
}

Result<std::unique_ptr<Assignment>> MakeAssignment(const Config& config, uint16_t partition_count) {
  const std::string& lead = config.Text("lead");
  if (lead == "group") {
    MAILY_TRY(const kafka::Options options, KafkaOptions(config));
    return kafka::MakeGroup(options, partition_count, config.Text("listen"));
  }
  const std::string text = lead == "all" ? fmt::format("0-{}", partition_count - 1) : lead;
  auto mine = ParsePartitions(text, partition_count);
  if (!mine) return Fail(Code::kInvalid, "{}: lead is all, group, or partitions: {}", config.Source("lead"), mine.error().message);
  return std::unique_ptr<Assignment>(std::make_unique<FixedAssignment>(std::move(*mine)));
}

}  // namespace maily::app
