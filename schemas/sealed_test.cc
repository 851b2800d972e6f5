// Keys, boxes and tokens: their stored form, and that nothing forged gets through.
#include "schemas/sealed.h"

#include <gtest/gtest.h>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/contacts/v1/events.pb.h"
#include "maily/sends/v1/events.pb.h"
#include "schemas/base64url.h"
#include "schemas/keys.h"
#include "schemas/tracking_id.h"
#include "tests/hex.h"
#include "tests/memory_keyring.h"

namespace maily::schema {
namespace {

using test::Hex;

struct Fixture : test::MemoryKeyring {
  keyring::SubjectKey key = ring->GetOrCreate(TenantId(1), "ann").value();
};

// Written down so that no change of code moves a contact to another key. Made by the openssl and python programs.
TEST(Keys, AreStable) {
  keyring::TenantKeys keys;
  keys.identity = keyring::Key::From("0123456789abcdef0123456789abcdef");
  EXPECT_EQ(Hex(ContactKey(keys, "ann@example.com")), "093e3dd9df951c5008225d533a017547");
  EXPECT_EQ(Hex(DomainKey(keys, "example.com")), "ac8e4cf7347a7d2be9465df7e2392b72");
  EXPECT_EQ(HomeKey(TenantId(1)), "tenant/1");
  EXPECT_EQ(HomeOf(TenantId(1), 16), PartitionId(4));
}

TEST(Keys, ContactIdsPack) {
  const ContactId id{PartitionId(0xABCD), kOrdinalMax};
  EXPECT_EQ(PackContactId(id), 0xABCDFFFFFFFFFFFFULL);
  EXPECT_EQ(UnpackContactId(PackContactId(id)), id);
  EXPECT_EQ(UnpackContactId(7), (ContactId{PartitionId(0), 7}));
}

TEST(Keys, PersonalDigestIgnoresOrderAndNothingElse) {
  Fixture f;
  const keyring::TenantKeys& keys = **f.ring->Tenant(TenantId(1));
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
  const std::string digest = PersonalDigest(keys, "k", Fields{{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(PersonalDigest(keys, "k", Fields{{"b", "2"}, {"a", "1"}}), digest);
  EXPECT_NE(PersonalDigest(keys, "l", Fields{{"a", "1"}, {"b", "2"}}), digest);
  EXPECT_NE(PersonalDigest(keys, "k", Fields{{"a", "1b"}, {"", "2"}}), digest);
  EXPECT_NE(PersonalDigest(keys, "k", Fields{{"a", "1"}}), digest);
}

TEST(Sealed, OpensOnlyWhereItWasSealed) {
  Fixture f;
  const std::string box = Seal(TenantId(1), f.key, "address", "ann@example.com", f.entropy);
  EXPECT_EQ(box.size(), kBoxOverhead + 15);
  EXPECT_EQ(*Open(*f.ring, TenantId(1), "address", box), "ann@example.com");
  EXPECT_EQ(Open(*f.ring, TenantId(1), "ip", box).error().code, Code::kInvalid);
  EXPECT_FALSE(Open(*f.ring, TenantId(2), "address", box));
  EXPECT_EQ(Open(*f.ring, TenantId(1), "address", "short").error().code, Code::kInvalid);
  EXPECT_NE(Seal(TenantId(1), f.key, "address", "ann@example.com", f.entropy), box) << "a nonce is used once";
  f.ring->Destroy(TenantId(1), "ann").value();
  EXPECT_EQ(Open(*f.ring, TenantId(1), "address", box).error().code, Code::kNotFound);
}

TEST(Sealed, EveryPersonalFieldOfAMessageIsClosedAndOpened) {
  Fixture f;
  contacts::v1::UpsertContact command;
  command.set_contact_key("kkkkkkkkkkkkkkkk");
  command.set_address("ann@example.com");
  auto* city = command.add_attributes();
  city->set_name("city");
  city->set_sealed("Berlin");
  auto* recency = command.add_attributes();
  recency->set_name("recency");
  recency->set_integer(7);
  const contacts::v1::UpsertContact plain = command;
  SealPersonal(command, TenantId(1), f.key, f.entropy);
  const std::string bytes = command.SerializeAsString();
  EXPECT_EQ(bytes.find("ann@"), std::string::npos);
  EXPECT_EQ(bytes.find("Berlin"), std::string::npos);
  EXPECT_EQ(command.attributes(1).integer(), 7);
  EXPECT_EQ(*Open(*f.ring, TenantId(1), AttributeFieldId("city"), command.attributes(0).sealed()), "Berlin");

  // A box goes from message to message without being opened.
  sends::v1::AttemptOpened opened;
  opened.set_address(command.address());
  *opened.add_attributes() = command.attributes(0);
  EXPECT_EQ(*OpenPersonal(opened, TenantId(1), *f.ring), 0u);
  EXPECT_EQ(opened.address(), "ann@example.com");
  EXPECT_EQ(opened.attributes(0).sealed(), "Berlin");

  contacts::v1::UpsertContact erased = command;
  contacts::v1::UpsertContact bare = command;
  ClearPersonal(bare);
  EXPECT_TRUE(bare.address().empty());
  EXPECT_FALSE(bare.attributes(0).has_sealed());
  EXPECT_EQ(bare.attributes(0).name(), "city");
  EXPECT_EQ(bare.attributes(1).integer(), 7);
  EXPECT_EQ(*OpenPersonal(command, TenantId(1), *f.ring), 0u);
  EXPECT_EQ(command.SerializeAsString(), plain.SerializeAsString());
  f.ring->Destroy(TenantId(1), "ann").value();
  EXPECT_EQ(*OpenPersonal(erased, TenantId(1), *f.ring), 2u);
  EXPECT_EQ(erased.address(), "");
  EXPECT_FALSE(erased.attributes(0).has_sealed());
}

TEST(Base64Url, HasOneSpelling) {
  EXPECT_EQ(ToBase64Url(""), "");
  EXPECT_EQ(ToBase64Url("f"), "Zg");
  EXPECT_EQ(ToBase64Url("fo"), "Zm8");
  EXPECT_EQ(ToBase64Url("foo"), "Zm9v");
  EXPECT_EQ(ToBase64Url("\xFB\xFF"), "-_8");
  for (const char* bytes : {"", "f", "fo", "foo", "foob"}) EXPECT_EQ(*FromBase64Url(ToBase64Url(bytes)), bytes);
  for (const char* text : {"Z", "Zh", "Zm9", "Zg==", "Zm8+", "Zm9v!"}) EXPECT_FALSE(FromBase64Url(text)) << text;
}

TEST(TrackingId, ComesBackAndIsShort) {
  Fixture f;
  const keyring::TenantKeys& keys = **f.ring->Tenant(TenantId(1));
  const TrackingId small{TrackingKind::kClick, TenantId(1), PartitionId(15), 12, 64'000, 3};
  const TrackingId large{TrackingKind::kUnsubscribe, TenantId(1), PartitionId(65535), UINT64_MAX, kOrdinalMax, UINT32_MAX};
  for (const TrackingId& id : {small, large}) {
    const std::string token = EncodeTrackingId(id, keys);
    EXPECT_EQ(*DecodeTrackingId(token, *f.ring), id) << token;
  }
  EXPECT_LE(EncodeTrackingId(small, keys).size(), 30u);
}

TEST(TrackingId, ForgedOnesAreRefused) {
  Fixture f;
  const keyring::TenantKeys& keys = **f.ring->Tenant(TenantId(1));
  const std::string token = EncodeTrackingId({TrackingKind::kClick, TenantId(1), PartitionId(3), 12, 640, 3}, keys);
  for (size_t i = 0; i < token.size(); ++i) {
    for (const char c : {'A', 'B', '7', '-', '!', '\0'}) {
      std::string changed = token;
      if (changed[i] == c) continue;
      changed[i] = c;
      EXPECT_EQ(DecodeTrackingId(changed, *f.ring).error().code, Code::kInvalid) << changed;
    }
  }
  for (size_t size = 0; size < token.size(); ++size) EXPECT_FALSE(DecodeTrackingId(token.substr(0, size), *f.ring));
  EXPECT_FALSE(DecodeTrackingId(std::string(10'000, 'A'), *f.ring));
  // Signed by one tenant's key in another's name.
  const std::string other = EncodeTrackingId({TrackingKind::kClick, TenantId(2), PartitionId(3), 12, 640, 3}, keys);
  EXPECT_EQ(DecodeTrackingId(other, *f.ring).error().code, Code::kInvalid);
  f.ring->Tenant(TenantId(2)).value();
  EXPECT_EQ(DecodeTrackingId(other, *f.ring).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace maily::schema
