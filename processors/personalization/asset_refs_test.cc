// Which places of HTML name assets.
#include "processors/personalization/asset_refs.h"

#include <gtest/gtest.h>

namespace maily::personalization {
namespace {

std::vector<std::string> Found(std::string_view html) {
  std::vector<std::string> found;
  for (const AssetRef& ref : FindAssetRefs(html)) {
    found.push_back((ref.kind == AssetRef::Kind::kEnclosed ? "cid " : "asset ") + std::string(ref.name));
    EXPECT_EQ(html.substr(ref.offset, ref.size).size(), ref.size);
    EXPECT_TRUE(html.substr(ref.offset, ref.size).ends_with(ref.name));
  }
  return found;
}

using Names = std::vector<std::string>;

TEST(AssetRefs, StandWhereAValueBegins) {
  EXPECT_EQ(Found("<img src=\"cid:logo.png\"><img src='asset:a-b'><img src=CID:x.gif><td style=\"background:url(asset:sky.jpg)\">"),
            (Names{"cid logo.png", "asset a-b", "cid x.gif", "asset sky.jpg"}));
  EXPECT_EQ(Found("see cid:logo.png, asset:x and placid:y \"placid:z\""), Names{});
  EXPECT_EQ(Found("<a href=\"https://x.example/?u=cid:1\">"), (Names{"cid 1"}));  // told as missing: say %3A
}

TEST(AssetRefs, WhatIsNoNameIsShownToo) {
  EXPECT_EQ(Found("<img src=\"cid:\"><img src=\"cid:a b\"><img src=\"asset:{{ contact.x }}\">"),
            (Names{"cid ", "cid a b", "asset {{ contact.x }}"}));
  EXPECT_EQ(Found("=cid:"), (Names{"cid "}));
  EXPECT_EQ(Found("cid:x"), Names{});
  EXPECT_EQ(Found(":"), Names{});
}

TEST(AssetRefs, AreReplacedAndTheRestStays) {
  const auto with = [](const AssetRef& ref) { return ref.name == "a" ? std::string("cid:1@x") : std::string(); };
  EXPECT_EQ(ReplaceAssetRefs("<img src=\"cid:a\"> <img src='cid:b'>!", with), "<img src=\"cid:1@x\"> <img src='cid:b'>!");
  EXPECT_EQ(ReplaceAssetRefs("nothing", with), "nothing");
  EXPECT_EQ(ReplaceAssetRefs("", with), "");
}

TEST(AssetRefs, AnAddressIsOfItsTenantAlone) {
  const std::string id(64, 'a');
  EXPECT_EQ(FindHostedIds("src=\"https://t.example/a/7/" + id + "\" /a/7/" + id + " /a/8/" + std::string(64, 'b') + " /a/7/short", 7),
            (std::vector<std::string>{id}));
  EXPECT_EQ(FindHostedIds("/a/7/", 7), std::vector<std::string>{});
}

}  // namespace
}  // namespace maily::personalization
