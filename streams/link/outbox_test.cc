// What links store and send, byte by byte.
#include "streams/link/outbox.h"

#include <gtest/gtest.h>

#include "tests/hex.h"

namespace maily::link {
namespace {

using test::Hex;

template <class T>
std::string Bytes(const T& value) {
  std::string bytes;
  EXPECT_TRUE(value.AppendToString(&bytes));
  return bytes;
}

TEST(GoldenBytes, LinkStream) {
  EXPECT_EQ(LinkStream(PartitionId(0)), "link/0");
  EXPECT_EQ(LinkStream(PartitionId(65535)), "link/65535");
}

TEST(GoldenBytes, LinkAcked) {
  const std::string bytes = LinkAcked{PartitionId(300), 70'000}.Encode();
  EXPECT_EQ(Hex(bytes), "ac02f0a204");
  LinkAcked acked;
  ASSERT_TRUE(acked.Parse(bytes));
  EXPECT_EQ(acked.destination, PartitionId(300));
  EXPECT_EQ(acked.upto, 70'000u);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(LinkAcked().Parse(std::string_view(bytes).substr(0, size))) << size;
}

TEST(GoldenBytes, Outbox) {
  EXPECT_EQ(Hex(Bytes(OutboxCursor{.last = 300, .acked = 2})), "ac0202");
  const OutboxItem item{.type = 513,
                        .tenant = TenantId(300),
                        .trace = TraceId::FromHex("30313233343536373839404142434445"),
                        .correlation = CommandId::FromHex("10111213141516171819202122232425"),
                        .payload = "event"};
  const std::string bytes = Bytes(item);
  EXPECT_EQ(Hex(bytes), "8104ac023031323334353637383940414243444510111213141516171819202122232425056576656e74");
  OutboxItem read;
  ASSERT_TRUE(read.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  EXPECT_EQ(Bytes(read), bytes);
}

}  // namespace
}  // namespace maily::link
