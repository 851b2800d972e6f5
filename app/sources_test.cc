// What a file of sources says, and what is wrong with it.
#include "app/sources.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace maily::app {
namespace {

Result<SourceFile> Read(const std::string& text) {
  char name[] = "/tmp/maily-sources-XXXXXX";
  const int file = mkstemp(name);
  close(file);
  std::ofstream(name) << text;
  auto sources = ReadSources(name);
  std::filesystem::remove(name);
  return sources;
}

TEST(SourcesFile, NamesAddressesAndPoolsOfThem) {
  const auto file = Read(R"(
sources:
  - name: a
    addresses: [192.0.2.1, "2001:db8::1"]
    ehlo: a.mail.example.com
  - {name: b, addresses: [192.0.2.2]}
pools:
  - {name: new, sources: [b], overflow: default}
  - {name: default, sources: [a]}
)");
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->sources.size(), 2u);
  EXPECT_EQ(file->sources[0]->addresses, (std::vector<std::string>{"192.0.2.1", "2001:db8::1"}));
  EXPECT_EQ(file->sources[0]->helo, "a.mail.example.com");
  const auto fresh = file->Pool("new");
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->sources, (smtp::Sources{file->sources[1]}));
  EXPECT_EQ(fresh->overflow, file->Pool("default"));
  ASSERT_TRUE(file->Pool("a")) << "a source is a pool of its own";
  EXPECT_EQ(file->Pool("a")->sources, (smtp::Sources{file->sources[0]}));
  EXPECT_EQ(file->Pool("c"), nullptr);
  EXPECT_TRUE(ReadSources("")->pools.empty());
  EXPECT_TRUE(Read("")->pools.empty());
}

TEST(SourcesFile, WhatIsWrongIsSaidWithItsLine) {
  const std::string a = "sources:\n  - {name: a, addresses: [192.0.2.1]}\n";
  const std::pair<std::string, const char*> cases[] = {
      {"- a\n", ":1: this is a map with the members sources, pools"},
      {"source:\n", ":1: unknown member 'source'"},
      {"sources: a\n", ":1: sources is a list"},
      {"sources:\n  - {addresses: [192.0.2.1]}\n", ":2: it has a name"},
      {"sources:\n  - {name: a b, addresses: [192.0.2.1]}\n", ":2: a name is of small letters"},
      {"sources:\n  - {name: a}\n", ":2: addresses lists one"},
      {"sources:\n  - {name: a, addresses: [mail.example.com]}\n", ":2: this is no IP address"},
      {"sources:\n  - {name: a, addresses: [192.0.2.1, 192.0.2.2]}\n", ":2: a source has one address of each family"},
      {"sources:\n  - {name: a, addresses: [192.0.2.1], ehlo: no name}\n", ":2: ehlo: "},
      {a + "  - {name: a, addresses: [192.0.2.2]}\n", ":3: the source 'a' stands here twice"},
      {a + "pools:\n  - {name: p}\n", ":4: sources lists one at least"},
      {a + "pools:\n  - {name: p, sources: [b]}\n", ":4: there is no such source"},
      {a + "pools:\n  - {name: p, sources: [a], overflow: q}\n", ":4: overflow: there is no pool or source 'q'"},
      {a + "pools:\n  - {name: p, sources: [a], overflow: q}\n  - {name: q, sources: [a], overflow: p}\n", "leads back to itself"},
      {"sources: [\n", ":"},
  };
  for (const auto& [text, why] : cases) {
    const auto file = Read(text);
    ASSERT_FALSE(file) << text;
    EXPECT_NE(file.error().message.find(why), std::string::npos) << text << " -> " << file.error().message;
  }
}

}  // namespace
}  // namespace maily::app
