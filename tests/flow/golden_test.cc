// Stored journals stay readable, and fold to the state that they folded to when they were written: decode, evolve, digest.
//
//   golden/journals.txt    story <partitions> <title>
//                          frame <partition> <time µs> <decisions> <hex of the zstd frame of the encoded decisions>   (oldest first)
//                          state <digest> <fold version of the pipeline>
// The stories are flows, as many as it takes to have every type of event in one of them. What a line says is never changed or removed. A
// new type of event: write a flow, then run `flow_golden_test --record`, which appends stories for types that no story has. A noun whose
// fold changes on purpose counts up its evolve_version; then `--record` appends to each story a state line of the new fold version.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "maily/messages/v1/events.pb.h"
#include "processors/pipeline.h"
#include "schemas/types.h"
#include "streams/base/compress.h"
#include "streams/journal/frame.h"
#include "streams/link/outbox.h"
#include "tests/flow/script.h"
#include "tests/hex.h"

namespace maily::flow {
namespace {

using test::Hex;
using test::Unhex;

struct Story {
  std::string title;
  std::vector<std::vector<Frame>> journals;
  std::vector<std::string> frame_lines;                     // as they stand in the file
  std::vector<std::pair<std::string, std::string>> states;  // fold version, digest
};

std::string Root() {
  const char* source = std::getenv("MAILY_SOURCE_DIR");
  return source == nullptr ? "." : source;
}
std::string GoldenFile() { return Root() + "/tests/flow/golden/journals.txt"; }

std::vector<Story> Stories() {
  std::vector<Story> stories;
  std::ifstream file(GoldenFile());
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word >> std::ws;
    if (word == "frame") stories.back().frame_lines.push_back(line);
    if (word == "story") {
      size_t partitions = 0;
      words >> partitions >> std::ws;
      Story& story = stories.emplace_back();
      story.journals.resize(partitions);
      std::getline(words, story.title);
    } else if (word == "frame") {
      size_t partition = 0;
      Frame frame;
      std::string hex;
      words >> partition >> frame.time.us >> frame.count >> hex;
      frame.body = Decompress(Unhex(hex), journal::kFrameRawBytesMax).value();
      stories.back().journals.at(partition).push_back(std::move(frame));
    } else if (word == "state") {
      std::string digest;
      std::string version;
      words >> digest >> std::ws;
      std::getline(words, version);
      stories.back().states.emplace_back(version, digest);
    }
  }
  return stories;
}

std::set<TypeNumber> TypesIn(const std::vector<std::vector<Frame>>& journals) {
  std::set<TypeNumber> types;
  for (const auto& journal : journals) {
    for (const Frame& frame : journal) {
      std::vector<journal::Event> events;
      Cursor cursor(frame.body);
      while (!cursor.AtEnd()) journal::DecodeDecision(cursor, events).value();
      for (const journal::Event& event : events) types.insert(event.type);
    }
  }
  return types;
}

// Of the state that the journals fold to; nothing is decided.
std::string Folded(const task::Pipeline& pipeline, const std::vector<std::vector<Frame>>& journals) {
  World world(pipeline, static_cast<uint16_t>(journals.size()), /*flushes=*/false);
  world.UseJournals(journals);
  world.Restart();
  const Hash128 digest = world.Digest();
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

// Every type of event that a journal may hold.
std::set<TypeNumber> EventTypes() {
  std::set<TypeNumber> types{link::kLinkAckedEvent};
  for (const schema::Type& type : schema::Types()) {
    if (type.kind == schema::Kind::kEvent) types.insert(type.number);
  }
  return types;
}
std::string NameOf(TypeNumber type) {
  const schema::Type* found = schema::FindType(type);
  return found == nullptr ? std::to_string(type) : std::string(found->full_name);
}

TEST(GoldenJournals, FoldToTheStateTheyFoldedTo) {
  const task::Pipeline pipeline = MakePipeline();
  const std::vector<Story> stories = Stories();
  ASSERT_FALSE(stories.empty()) << GoldenFile() << " is missing or empty";
  for (const Story& story : stories) {
    SCOPED_TRACE(story.title);
    ASSERT_FALSE(story.states.empty()) << "a story without a state";
    ASSERT_EQ(story.states.back().first, pipeline.FoldVersion())
        << "the fold has another version since; if that is on purpose, run flow_golden_test --record";
    EXPECT_EQ(Folded(pipeline, story.journals), story.states.back().second)
        << "old events fold to another state. If that is on purpose, count up the noun's evolve_version and run flow_golden_test --record";
  }
}

TEST(GoldenJournals, HaveEveryTypeOfEvent) {
  std::set<TypeNumber> missing = EventTypes();
  for (const Story& story : Stories()) {
    for (const TypeNumber type : TypesIn(story.journals)) missing.erase(type);
  }
  for (const TypeNumber type : missing) ADD_FAILURE() << NameOf(type) << " is in no story; write a flow, run flow_golden_test --record";
}

TEST(GoldenJournals, AShorterJournalFoldsToAnotherState) {
  const task::Pipeline pipeline = MakePipeline();
  const std::vector<Story> stories = Stories();
  ASSERT_FALSE(stories.empty());
  auto journals = stories.front().journals;
  for (auto& journal : journals) {
    if (!journal.empty()) journal.pop_back();
  }
  EXPECT_NE(Folded(pipeline, journals), stories.front().states.back().second);
}

std::vector<std::string> FrameLines(const std::vector<std::vector<Frame>>& journals) {
  std::vector<std::string> lines;
  for (size_t partition = 0; partition < journals.size(); ++partition) {
    for (const Frame& frame : journals[partition]) {
      std::string packed;
      CompressTo(packed, frame.body);
      lines.push_back(fmt::format("frame {} {} {} {}", partition, frame.time.us, frame.count, Hex(packed)));
    }
  }
  return lines;
}

int Record() {
  const task::Pipeline pipeline = MakePipeline();
  std::vector<Story> stories = Stories();
  std::set<TypeNumber> missing = EventTypes();
  for (Story& story : stories) {
    if (story.states.back().first != pipeline.FoldVersion()) {
      story.states.emplace_back(pipeline.FoldVersion(), Folded(pipeline, story.journals));
    }
    for (const TypeNumber type : TypesIn(story.journals)) missing.erase(type);
  }
  for (const std::string& file : ScriptFiles(Root())) {
    for (const Script& script : ReadScripts(Root() + "/" + file, file)) {
      Story story{.title = fmt::format("{}: {}", file, script.title),
                  .journals = Play(script, pipeline, false).journals,
                  .frame_lines = {},
                  .states = {}};
      if (std::erase_if(missing, [types = TypesIn(story.journals)](TypeNumber type) { return types.contains(type); }) == 0) continue;
      story.frame_lines = FrameLines(story.journals);
      story.states.emplace_back(pipeline.FoldVersion(), Folded(pipeline, story.journals));
      stories.push_back(std::move(story));
    }
  }
  std::ofstream out(GoldenFile());
  for (const Story& story : stories) {
    out << "story " << story.journals.size() << " " << story.title << "\n";
    for (const std::string& line : story.frame_lines) out << line << "\n";
    for (const auto& [version, digest] : story.states) out << fmt::format("state {} {}\n", digest, version);
  }
  if (!out.flush()) return 1;
  std::cout << stories.size() << " stories\n";
  for (const TypeNumber type : missing) std::cout << "no flow has " << NameOf(type) << "\n";
  return 0;
}

}  // namespace
}  // namespace maily::flow

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--record") == 0) return maily::flow::Record();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
