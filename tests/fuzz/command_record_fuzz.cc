// Records of commands: as they come, and with the header and hashes made to fit, so that the commands inside are reached.
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/command/command.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

const LogId kLog = LogId::FromHex("000102030405060708090a0b0c0d0e0f");

// The header of command.h around `body`.
std::string Record(uint32_t count, std::string_view body) {
  std::string record = "MCMD";
  PutFixed<uint8_t>(record, 1);
  PutFixed<uint16_t>(record, 7);
  PutFixed<uint32_t>(record, 3);
  record.append(kLog.view());
  PutFixed(record, count);
  PutFixed(record, static_cast<uint32_t>(body.size()));
  PutFixed(record, Xxh3_64(body));
  PutFixed(record, Xxh3_64(record));
  record.append(body);
  return record;
}

void Try(std::string_view record) {
  const auto commands = command::ParseRecord(record, kLog, 3, PartitionId(7));
  if (!commands) {
    MAILY_CHECK(commands.error().code == Code::kInvalid || commands.error().code == Code::kCorrupt, "{}", commands.error().ToString());
    return;
  }
  // What was read can be written again, and reads as the same.
  command::RecordBuilder builder;
  for (const command::Command& command : *commands) {
    if (command::EncodedBytesMax(command) > command::kCommandBytesMax || !builder.Add(command)) return;
  }
  const std::string again = builder.Finish(kLog, 3, PartitionId(7));
  const auto read = command::ParseRecord(again, kLog, 3, PartitionId(7));
  MAILY_CHECK(read && read->size() == commands->size(), "written again, it cannot be read");
  for (size_t i = 0; i < read->size(); ++i) {
    MAILY_CHECK((*read)[i].id == (*commands)[i].id && (*read)[i].payload == (*commands)[i].payload &&
                    (*read)[i].key == (*commands)[i].key && (*read)[i].sequence == (*commands)[i].sequence &&
                    (*read)[i].natural_key == (*commands)[i].natural_key,
                "written again, it means something else");
  }
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input = maily::fuzz::View(data, size);
  maily::fuzz::Try(input);
  const uint8_t count = maily::fuzz::TakeByte(input);
  maily::fuzz::Try(maily::fuzz::Record(count, input));
  return 0;
}
