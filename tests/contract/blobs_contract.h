// What every adapter of the blobs port keeps, as one suite that each adapter's own test instantiates with a harness:
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(Folder, BlobsContract, FolderBlobsHarness);
#pragma once

#include <gtest/gtest.h>

#include "streams/port/blobs.h"

namespace maily::contract {

// An adapter under test. Default-constructible, and then empty.
class BlobsHarness {
 public:
  virtual ~BlobsHarness() = default;
  virtual Blobs& blobs() = 0;
  // The process dies while it puts `name` (the bytes are written in part, or whole and not under their name), and another one opens the
  // place.
  virtual void DieWhilePutting(const std::string& name) = 0;
};

template <class Harness>
class BlobsContract : public testing::Test {
 public:
  void Put(const std::string& name, std::string_view bytes) {
    const auto put = harness_.blobs().Put(name, bytes);
    ASSERT_TRUE(put) << put.error().ToString();
  }
  std::string Get(const std::string& name, uint64_t offset = 0, size_t bytes_max = Blobs::kBytesMax) {
    const auto got = harness_.blobs().Get(name, offset, bytes_max);
    return got ? *got : got.error().ToString();
  }
  Code GetError(const std::string& name) {
    const auto got = harness_.blobs().Get(name, 0, 1);
    return got ? Code::kFatal : got.error().code;
  }
  std::vector<std::string> Names(const std::string& prefix = "", const std::string& after = "", size_t count_max = 1000) {
    std::vector<std::string> names;
    const auto listed = harness_.blobs().List(prefix, after, count_max);
    EXPECT_TRUE(listed) << listed.error().ToString();
    if (!listed) return names;
    for (const BlobEntry& entry : *listed) {
      names.push_back(entry.name);
      EXPECT_EQ(entry.bytes, Get(entry.name).size()) << entry.name;
    }
    return names;
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(BlobsContract);

using Names = std::vector<std::string>;

TYPED_TEST_P(BlobsContract, WhatWasPutIsGotWholeAndInParts) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  this->Put("a/b/blob.1", bytes);
  this->Put("empty", "");
  EXPECT_EQ(this->Get("a/b/blob.1"), bytes);
  EXPECT_EQ(this->Get("a/b/blob.1", 10, 20), bytes.substr(10, 20));
  EXPECT_EQ(this->Get("a/b/blob.1", 99'990, 20), bytes.substr(99'990)) << "fewer at the end";
  EXPECT_EQ(this->Get("a/b/blob.1", 100'000, 20), "");
  EXPECT_EQ(this->Get("empty"), "");
  EXPECT_EQ(this->GetError("absent"), Code::kNotFound);
  EXPECT_EQ(this->GetError("a/absent"), Code::kNotFound);
  EXPECT_EQ(this->GetError("a/b"), Code::kNotFound) << "what names begin with is no blob";
}

TYPED_TEST_P(BlobsContract, APutReplacesTheWholeBlob) {
  this->Put("blob", std::string(1000, 'x'));
  this->Put("blob", "short");
  EXPECT_EQ(this->Get("blob"), "short");
  EXPECT_EQ(this->Names(), (Names{"blob"}));
  const auto refused = this->harness_.blobs().Put("blob", std::string(Blobs::kBytesMax + 1, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_EQ(this->Get("blob"), "short");
}

TYPED_TEST_P(BlobsContract, AListIsOrderedBeginsWithThePrefixAndIsBounded) {
  for (const char* name : {"b/2", "b/10", "a/1", "b-1", "b/c/3", "c"}) this->Put(name, name);
  EXPECT_EQ(this->Names(), (Names{"a/1", "b-1", "b/10", "b/2", "b/c/3", "c"}));
  EXPECT_EQ(this->Names("b/"), (Names{"b/10", "b/2", "b/c/3"}));
  EXPECT_EQ(this->Names("b"), (Names{"b-1", "b/10", "b/2", "b/c/3"}));
  EXPECT_EQ(this->Names("b/1"), (Names{"b/10"}));
  EXPECT_EQ(this->Names("x/"), Names());
  Names all;
  for (std::string after;;) {
    const Names some = this->Names("b/", after, 2);
    if (some.empty()) break;
    EXPECT_LE(some.size(), 2u);
    all.insert(all.end(), some.begin(), some.end());
    after = some.back();
  }
  EXPECT_EQ(all, (Names{"b/10", "b/2", "b/c/3"}));
}

TYPED_TEST_P(BlobsContract, WhatIsDeletedIsGoneAndItsNameFree) {
  this->Put("a/b/c", "1");
  this->Put("a/d", "2");
  ASSERT_TRUE(this->harness_.blobs().Delete("a/b/c"));
  ASSERT_TRUE(this->harness_.blobs().Delete("a/b/c")) << "it is not there any more";
  EXPECT_EQ(this->Names(), (Names{"a/d"}));
  EXPECT_EQ(this->GetError("a/b/c"), Code::kNotFound);
  this->Put("a/b", "now a blob");
  EXPECT_EQ(this->Names(), (Names{"a/b", "a/d"}));
}

TYPED_TEST_P(BlobsContract, NamesAreChecked) {
  const std::string segment(100, 'x');
  const std::string longest = segment + "/" + segment + "/" + segment + "/" + std::string(97, 'y');
  this->Put(longest, "fits");
  EXPECT_EQ(this->Get(longest), "fits");
  for (const std::string& name : {std::string(), std::string("/"), std::string("/etc/passwd"), std::string("a//b"), std::string("a/"),
                                  std::string(".."), std::string("../a"), std::string("a/../b"), std::string("a/.hidden"),
                                  std::string("a b"), std::string("a\0b", 3), std::string("\xC3\xA4"), longest + "y", segment + "x"}) {
    EXPECT_EQ(this->harness_.blobs().Put(name, "bytes").error().code, Code::kInvalid) << name;
    EXPECT_EQ(this->GetError(name), Code::kInvalid) << name;
    EXPECT_EQ(this->harness_.blobs().Delete(name).error().code, Code::kInvalid) << name;
  }
  for (const char* prefix : {"..", "../", "/", "a//"}) EXPECT_EQ(this->harness_.blobs().List(prefix, "", 1).error().code, Code::kInvalid);
  EXPECT_EQ(this->Names(), (Names{longest}));
}

TYPED_TEST_P(BlobsContract, ADeathWhilePuttingLeavesWhatWasThere) {
  this->Put("a/blob", "before");
  this->harness_.DieWhilePutting("a/blob");
  this->harness_.DieWhilePutting("a/other");
  EXPECT_EQ(this->Get("a/blob"), "before");
  EXPECT_EQ(this->Names(), (Names{"a/blob"}));
  this->Put("a/other", "after");
  EXPECT_EQ(this->Get("a/other"), "after");
}

REGISTER_TYPED_TEST_SUITE_P(BlobsContract, WhatWasPutIsGotWholeAndInParts, APutReplacesTheWholeBlob,
                            AListIsOrderedBeginsWithThePrefixAndIsBounded, WhatIsDeletedIsGoneAndItsNameFree, NamesAreChecked,
                            ADeathWhilePuttingLeavesWhatWasThere);

}  // namespace maily::contract
