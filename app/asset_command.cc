// `maily asset add`: sends a file as an asset. The rest of the group are rows of remote.cc.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>

#include "app/file_type.h"
#include "app/remote.h"
#include "app/subcommand.h"
#include "schemas/asset_store.h"

namespace maily::app {
namespace {

struct Add {
  ServerFlags server;
  std::string file;
  std::string name;
  std::string type;
  bool dry_run = false;
};

int RunAdd(const Common& common, const Add& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::ifstream in(flags.file, std::ios::binary);
  std::string bytes(schema::AssetStore::kBytesMax + 1, '\0');
  if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) && !in.eof())
    return PrintError(common, Fail(Code::kInvalid, "{}: cannot be read", flags.file));
  bytes.resize(static_cast<size_t>(in.gcount()));
  if (bytes.size() > schema::AssetStore::kBytesMax)
    return PrintError(common, Fail(Code::kInvalid, "{}: it has more than {} bytes", flags.file, schema::AssetStore::kBytesMax));
  const std::filesystem::path path(flags.file);
  const std::string name = flags.name.empty() ? path.filename().string() : flags.name;
  const std::string type = flags.type.empty() ? TypeOfEnding(path.extension().string()) : flags.type;
  if (type.empty())
    return PrintError(common, Fail(Code::kInvalid, "{}: say what it is, like --type image/png: its name does not tell", flags.file));
  const std::string target = "/v1/assets?name=" + PercentEncode(name) + (flags.dry_run ? "&dry_run=true" : "");
  const auto answer = Ask(*server, "POST", target, bytes, type);
  return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
}

}  // namespace

void AddAssetAdd(CLI::App& group, Chosen& chosen) {
  CLI::App* add = group.add_subcommand("add", "example: maily asset add logo.png --name spring-logo.png");
  add->fallthrough();
  add->footer("HTML names it cid:NAME, enclosed in the mail, or asset:NAME, hosted. A name stands for what was added last.");
  auto flags = std::make_shared<Add>();
  flags->server.AddTo(*add);
  add->add_option("file", flags->file, "the image or file")->required();
  add->add_option("--name", flags->name, "what templates name it by; default: the file's name");
  add->add_option("--type", flags->type, "its media type; default: by the end of the file's name");
  add->add_flag("--dry-run", flags->dry_run, "only check what is asked, and say what would be appended; nothing is");
  add->callback([&chosen, flags] { chosen = [flags](const Common& common) { return RunAdd(common, *flags); }; });
}

}  // namespace maily::app
