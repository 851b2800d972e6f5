// Values without I/O: bytes, hashes, compression, ids.
#include <gtest/gtest.h>

#include "streams/base/base64.h"
#include "streams/base/bytes.h"
#include "streams/base/compress.h"
#include "streams/base/hash.h"
#include "streams/base/html.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/utf8.h"

namespace maily {
namespace {

TEST(Html, EscapesWhatMeansSomething) {
  EXPECT_EQ(Html(""), "");
  EXPECT_EQ(Html("plain"), "plain");
  EXPECT_EQ(Html("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
  EXPECT_EQ(Html(std::string_view("a\0b", 3)), "ab");
  for (size_t at = 0; at < 50; ++at) {  // wherever it stands among bytes that are looked at in blocks
    std::string text(50, 'x');
    text[at] = '<';
    EXPECT_EQ(Html(text), text.substr(0, at) + "&lt;" + text.substr(at + 1));
  }
}

// Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2, made positive.
TEST(Murmur2, MatchesKafka) {
  EXPECT_EQ(Murmur2("21"), static_cast<uint32_t>(-973932308) & 0x7fffffff);
  EXPECT_EQ(Murmur2("foobar"), static_cast<uint32_t>(-790332482) & 0x7fffffff);
  EXPECT_EQ(Murmur2("a-little-bit-long-string"), static_cast<uint32_t>(-985981536) & 0x7fffffff);
  EXPECT_EQ(Murmur2("a-little-bit-longer-string"), static_cast<uint32_t>(-1486304829) & 0x7fffffff);
  EXPECT_EQ(Murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), static_cast<uint32_t>(-58897971) & 0x7fffffff);
  EXPECT_EQ(Murmur2("abc"), 479470107U);
}

TEST(Cursor, NeverReadsPastTheEnd) {
  std::string bytes;
  PutFixed<uint32_t>(bytes, 7);
  PutVarint(bytes, 300);
  PutBytes(bytes, "hello");
  PutOrdered<uint16_t>(bytes, 0x0102);
  Cursor cursor(bytes);
  EXPECT_EQ(cursor.Fixed<uint32_t>(), 7U);
  EXPECT_EQ(cursor.Varint(), 300U);
  EXPECT_EQ(cursor.Bytes(), "hello");
  EXPECT_EQ(cursor.Ordered<uint16_t>(), 0x0102);
  EXPECT_TRUE(cursor.ok() && cursor.AtEnd());
  EXPECT_EQ(cursor.Fixed<uint64_t>(), 0U);
  EXPECT_FALSE(cursor.ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Cursor cut(std::string_view(bytes).substr(0, size));
    cut.Fixed<uint32_t>();
    cut.Varint();
    cut.Bytes();
    cut.Ordered<uint16_t>();
    EXPECT_FALSE(cut.ok()) << size;
  }
}

TEST(Compress, EverySizeComesBackSmallOnesStored) {
  for (const size_t size : {0u, 1u, 255u, 256u, 257u, 511u, 512u, 513u, 5000u}) {
    std::string raw(size, 'a');
    for (size_t i = 0; i < size; i += 3) raw[i] = static_cast<char>(i * 31 >> 2);
    std::string packed = "before";
    CompressTo(packed, raw);
    const auto back = Decompress(std::string_view(packed).substr(6), size);
    ASSERT_TRUE(back) << size << ": " << back.error().message;
    EXPECT_EQ(*back, raw);
    EXPECT_FALSE(size > 0 && Decompress(std::string_view(packed).substr(6), size - 1)) << "over the limit";
  }
}

TEST(Compress, RefusesMoreThanTheLimitAndDamage) {
  const std::string raw(100'000, 'x');
  std::string packed;
  CompressTo(packed, raw);
  EXPECT_EQ(Decompress(packed, raw.size()).value(), raw);
  EXPECT_EQ(Decompress(packed, raw.size() - 1).error().code, Code::kCorrupt);
  EXPECT_EQ(Decompress(packed.substr(0, packed.size() - 3), raw.size()).error().code, Code::kCorrupt);
  EXPECT_EQ(Decompress("no frame", 100).error().code, Code::kCorrupt);
}

TEST(Ids, HexRoundTrip) {
  const auto id = CommandId::FromHex("000102030405060708090a0b0c0d0eff");
  EXPECT_EQ(id.ToHex(), "000102030405060708090a0b0c0d0eff");
  EXPECT_TRUE(CommandId::FromHex("xyz").IsZero());
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Fail(Code::kInvalid, "{} is odd", n);
  return n / 2;
}
Result<int> Quarter(int n) {
  MAILY_TRY(const int half, Half(n));
  return Half(half);
}
TEST(Result, ATemporaryGivesItsValueAway) {
  const auto words = [] {
    return Result<std::vector<std::string>>(std::vector<std::string>{"one", "a word that needs memory of its own"});
  };
  static_assert(std::is_same_v<decltype(*words()), std::vector<std::string>>);
  static_assert(std::is_same_v<decltype(words().value()), std::vector<std::string>>);
  std::string all;
  for (const std::string& word : *words()) all += word + ".";  // the value outlives the Result
  for (const std::string& word : words().value()) all += word + ".";
  EXPECT_EQ(all, "one.a word that needs memory of its own.one.a word that needs memory of its own.");
}

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
}

TEST(Base64, GivesTheExamplesOfRfc4648) {
  const char* texts[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
  const char* encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t i = 0; i < std::size(texts); ++i) {
    EXPECT_EQ(ToBase64(texts[i]), encoded[i]);
    EXPECT_EQ(FromBase64(encoded[i]), texts[i]);
  }
  EXPECT_EQ(ToBase64("\xff\xfe\xfd"), "//79");
  EXPECT_EQ(FromBase64("//79"), "\xff\xfe\xfd");
}

TEST(Base64, EveryByteComesBackAndOnlyFromOneText) {
  std::string bytes;
  for (int i = 0; i < 260; ++i) {
    const std::string text = ToBase64(bytes);
    ASSERT_EQ(FromBase64(text), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  for (const char* wrong : {"Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_", "Zm9v="}) {
    EXPECT_EQ(FromBase64(wrong), std::nullopt) << wrong;
  }
}

TEST(Utf8, AsciiIsToldByEveryByte) {
  EXPECT_TRUE(IsAscii(""));
  for (size_t size : {1, 7, 8, 9, 16, 23}) {
    std::string text(size, '\x7f');
    EXPECT_TRUE(IsAscii(text));
    for (char& c : text) {
      c = '\x80';
      EXPECT_FALSE(IsAscii(text)) << size;
      c = 'a';
    }
  }
}

}  // namespace
}  // namespace maily
