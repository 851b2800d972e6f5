// Plays every *.flow of the nouns and of this folder; the pipeline itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "processors/pipeline.h"
#include "schemas/types.h"
#include "streams/task/dedupe.h"
#include "tests/flow/script.h"

namespace maily::flow {
namespace {

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

class Flow : public testing::Test {
 public:
  explicit Flow(Script script) : script_(std::move(script)) {}
  // Twice: from memory, and with everything flushed and read back at every step. Both must come to the same state.
  void TestBody() override {
    const Played from_memory = Play(script_, ThePipeline(), /*flushes=*/false);
    for (const std::string& failure : from_memory.failures) ADD_FAILURE() << failure;
    if (!from_memory.failures.empty()) return;
    const Played from_store = Play(script_, ThePipeline(), /*flushes=*/true);
    for (const std::string& failure : from_store.failures) ADD_FAILURE() << "with flushes: " << failure;
    EXPECT_EQ(from_memory.digest, from_store.digest) << script_.file << ": " << script_.title;
  }

 private:
  const Script script_;
};

// "a hard bounce" -> "AHardBounce"
std::string TestName(const std::string& title) {
  std::string name;
  bool upper = true;
  for (const char c : title) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      name.push_back(upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
      upper = false;
    } else {
      upper = true;
    }
  }
  return name;
}

bool RegisterFlows() {
  const char* source = std::getenv("MAILY_SOURCE_DIR");
  const std::filesystem::path root = source == nullptr ? "." : source;
  const std::vector<std::string> files = ScriptFiles(root.string());
  for (const std::string& file : files) {
    const std::string suite = TestName(std::filesystem::path(file).stem().string()) + "Flow";
    for (Script& script : ReadScripts((root / file).string(), file)) {
      const std::string name = TestName(script.title);
      testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, file.c_str(), 1,
                            [script = std::move(script)]() -> testing::Test* { return new Flow(script); });
    }
  }
  return !files.empty();
}
const bool kRegistered = RegisterFlows();

TEST(Flows, AreFound) { EXPECT_TRUE(kRegistered) << "run by ctest, or from the source directory"; }

std::string NameOf(TypeNumber type) {
  const schema::Type* found = schema::FindType(type);
  return found == nullptr ? "?" : std::string(found->name);
}

// A journal event that nobody folds would stop every restore.
TEST(Pipeline, EvolvesEveryEventOfTheSchema) {
  for (const schema::Type& type : schema::Types()) {
    if (type.kind != schema::Kind::kEvent) continue;
    EXPECT_FALSE(ThePipeline().evolvers(type.number).empty()) << type.full_name;
  }
}

TEST(Pipeline, DecidesEveryCommandOfTheSchema) {
  for (const schema::Type& type : schema::Types()) {
    if (type.kind != schema::Kind::kCommand) continue;
    EXPECT_NE(ThePipeline().decider(type.number).row, nullptr) << type.full_name;
  }
}

TEST(Pipeline, GivesEveryStateOfTheSchemaOneOwner) {
  for (const schema::Type& type : schema::Types()) {
    if (type.kind != schema::Kind::kState) continue;
    size_t owners = 0;
    for (size_t noun = 0; noun < ThePipeline().nouns().size(); ++noun) {
      if (!ThePipeline().Owns(noun, type.number)) continue;
      ++owners;
      EXPECT_EQ(ThePipeline().nouns()[noun].name(), type.noun) << type.full_name;
    }
    EXPECT_EQ(owners, 1u) << type.full_name;
  }
}

TEST(Pipeline, GivesWorkAndTimersNumbersOfTheirOwn) {
  std::vector<task::WorkKind> kinds;
  std::vector<task::TimerStep> steps = {task::kForgetStep};
  for (const task::Noun& noun : ThePipeline().nouns()) {
    for (const auto& row : noun.slices()) kinds.push_back(row.kind);
    for (const auto& row : noun.timers()) steps.push_back(row.step);
  }
  std::ranges::sort(kinds);
  std::ranges::sort(steps);
  EXPECT_TRUE(std::ranges::adjacent_find(kinds) == kinds.end());
  EXPECT_TRUE(std::ranges::adjacent_find(steps) == steps.end());
}

TEST(Pipeline, PrintsItselfAsTextAndGraph) {
  const std::string text = ThePipeline().ToText(NameOf);
  EXPECT_NE(text.find("campaigns (evolve_version 2)"), std::string::npos);
  EXPECT_NE(text.find("to all   CampaignLaunched"), std::string::npos);
  EXPECT_NE(text.find("to home  CampaignProgressed"), std::string::npos);
  EXPECT_EQ(text.find('?'), std::string::npos) << text;
  EXPECT_TRUE(ThePipeline().ToDot(NameOf).starts_with("digraph"));
}

}  // namespace
}  // namespace maily::flow
