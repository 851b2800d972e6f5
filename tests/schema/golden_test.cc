// Stored bytes stay readable: for every type, lines of bytes as they were once written, and what they mean.
//
//   golden/<noun>.txt, a line a message: number <space> name <space> hex of the bytes <space> the message as JSON
// The message has every field set, by reflection. A line is never changed or removed. `schema_golden_test --add` appends a line for every
// type that has none, or that has a field which its last line does not show.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "schemas/codec.h"
#include "schemas/json.h"
#include "schemas/types.h"
#include "tests/hex.h"

namespace maily::schema {
namespace {

using test::Hex;
using test::Unhex;

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct Line {
  TypeNumber number = 0;
  std::string name;
  std::string hex;
  std::string meaning;
  int at = 0;
};

std::string FileOf(std::string_view noun) {
  const char* source = std::getenv("MAILY_SOURCE_DIR");
  return fmt::format("{}/tests/schema/golden/{}.txt", source == nullptr ? "." : source, noun);
}

std::vector<Line> Read(std::string_view noun) {
  std::ifstream file(FileOf(noun));
  std::vector<Line> lines;
  std::string text;
  for (int at = 1; std::getline(file, text); ++at) {
    std::istringstream words(text);
    Line line;
    line.at = at;
    words >> line.number >> line.name >> line.hex;
    words.get();
    std::getline(words, line.meaning);
    lines.push_back(line);
  }
  return lines;
}

std::set<std::string_view> Nouns() {
  std::set<std::string_view> nouns;
  for (const Type& type : Types()) nouns.insert(type.noun);
  return nouns;
}

// Sets every field of `message` to a value that no other field is likely to have. Of a oneof the `choice`-th member is set.
void Fill(Message& message, uint32_t seed, int choice);

void FillField(Message& message, const FieldDescriptor& field, uint32_t seed, int choice) {
  const Reflection& reflection = *message.GetReflection();
  const bool add = field.is_repeated();
  const auto set = [&](auto set_one, auto add_one, auto value) {
    add ? (reflection.*add_one)(&message, &field, value) : (reflection.*set_one)(&message, &field, value);
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return set(&Reflection::SetInt32, &Reflection::AddInt32, -static_cast<int32_t>(seed));
    case FieldDescriptor::CPPTYPE_INT64:
      return set(&Reflection::SetInt64, &Reflection::AddInt64, -int64_t{seed} * 1'000'003);
    case FieldDescriptor::CPPTYPE_UINT32:
      return set(&Reflection::SetUInt32, &Reflection::AddUInt32, seed * 257);
    case FieldDescriptor::CPPTYPE_UINT64:
      return set(&Reflection::SetUInt64, &Reflection::AddUInt64, uint64_t{seed} * 1'000'003);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return set(&Reflection::SetDouble, &Reflection::AddDouble, seed + 0.125);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return set(&Reflection::SetFloat, &Reflection::AddFloat, static_cast<float>(seed) + 0.25F);
    case FieldDescriptor::CPPTYPE_BOOL:
      return set(&Reflection::SetBool, &Reflection::AddBool, true);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int count = field.enum_type()->value_count();
      const auto* value = field.enum_type()->value(count > 1 ? 1 + static_cast<int>(seed) % (count - 1) : 0);
      add ? reflection.AddEnum(&message, &field, value) : reflection.SetEnum(&message, &field, value);
      return;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string value = field.type() == FieldDescriptor::TYPE_BYTES ? std::string("\x00\xFF", 2) + static_cast<char>(seed)
                                                                            : fmt::format("{} {}", field.name(), seed);
      add ? reflection.AddString(&message, &field, value) : reflection.SetString(&message, &field, value);
      return;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      Fill(add ? *reflection.AddMessage(&message, &field) : *reflection.MutableMessage(&message, &field), seed + 1, choice);
      return;
  }
}

void Fill(Message& message, uint32_t seed, int choice) {
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const uint32_t own = seed * 7 + static_cast<uint32_t>(field.number());
    if (const auto* oneof = field.real_containing_oneof(); oneof != nullptr) {
      if (oneof->field(choice % oneof->field_count()) == &field) FillField(message, field, own, 0);
      continue;
    }
    if (!field.is_repeated()) {
      FillField(message, field, own, 0);
      continue;
    }
    // Twice, and once for every member of a oneof within.
    int times = 2;
    if (const auto* within = field.message_type(); within != nullptr) {
      for (int o = 0; o < within->real_oneof_decl_count(); ++o) times = std::max(times, within->oneof_decl(o)->field_count());
    }
    for (int t = 0; t < times; ++t) FillField(message, field, own + static_cast<uint32_t>(t), t);
  }
}

std::unique_ptr<Message> Filled(const Type& type) {
  std::unique_ptr<Message> message = NewMessage(type.number);
  Fill(*message, 1, 0);
  return message;
}

// The last line of each type.
std::map<TypeNumber, Line> LastLines() {
  std::map<TypeNumber, Line> last;
  for (const std::string_view noun : Nouns()) {
    for (const Line& line : Read(noun)) last[line.number] = line;
  }
  return last;
}

TEST(Golden, OldBytesMeanWhatTheyMeant) {
  for (const std::string_view noun : Nouns()) {
    const std::vector<Line> lines = Read(noun);
    EXPECT_FALSE(lines.empty()) << FileOf(noun) << " is missing or empty";
    for (const Line& line : lines) {
      SCOPED_TRACE(fmt::format("golden/{}.txt:{} {} {}", noun, line.at, line.number, line.name));
      const Type* type = FindType(line.number);
      ASSERT_NE(type, nullptr) << "the type is gone; types are never removed";
      EXPECT_EQ(type->name, line.name);
      EXPECT_EQ(type->noun, noun);
      const std::string bytes = Unhex(line.hex);
      const auto message = Decode(line.number, bytes);
      ASSERT_TRUE(message) << message.error().ToString();
      EXPECT_EQ(ToJson(**message, PersonalAs::kSealed), line.meaning);
      EXPECT_EQ(Hex(Encode(**message)), line.hex) << "written again, the bytes differ";
      // The meaning gives the bytes back: JSON loses nothing.
      std::unique_ptr<Message> again = NewMessage(line.number);
      const auto read = FromJson(line.meaning, *again, nullptr, PersonalAs::kSealed);
      ASSERT_TRUE(read) << read.error().ToString();
      EXPECT_EQ(Hex(Encode(*again)), line.hex);
    }
  }
}

TEST(Golden, EveryTypeAndFieldHasALine) {
  const std::map<TypeNumber, Line> last = LastLines();
  for (const Type& type : Types()) {
    const auto line = last.find(type.number);
    ASSERT_NE(line, last.end()) << type.full_name << " has no line; run schema_golden_test --add";
    EXPECT_EQ(line->second.hex, Hex(Encode(*Filled(type))))
        << type.full_name << " has changed. If only a field was added, run schema_golden_test --add; anything else breaks stored bytes.";
  }
}

int AddLines() {
  const std::map<TypeNumber, Line> last = LastLines();
  for (const Type& type : Types()) {
    const std::unique_ptr<Message> message = Filled(type);
    const std::string hex = Hex(Encode(*message));
    const auto line = last.find(type.number);
    if (line != last.end() && line->second.hex == hex) continue;
    std::ofstream file(FileOf(type.noun), std::ios::app);
    file << fmt::format("{} {} {} {}\n", type.number, type.name, hex, ToJson(*message, PersonalAs::kSealed));
    if (!file.flush()) {
      std::cerr << "cannot write " << FileOf(type.noun) << "\n";
      return 1;
    }
    std::cout << "added " << type.full_name << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace maily::schema

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--add") == 0) return maily::schema::AddLines();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
