// See sources.h.
#include "app/sources.h"

#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <utility>

#include "streams/port/resolver.h"

namespace maily::app {
namespace {

using smtp::Source;
using smtp::SourcePool;

constexpr size_t kSourcesMax = 1000;
constexpr size_t kNameMax = 63;

// Reads one file; the first fault ends it.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  Result<SourceFile> Read() {
    const YAML::Node file = YAML::LoadFile(path_);
    if (file.IsNull()) return SourceFile();
    MAILY_TRY_VOID(Members(file, {"sources", "pools"}));
    MAILY_TRY_VOID(EachOf(file["sources"], "sources", [&](const YAML::Node& entry) { return TakeSource(entry); }));
    MAILY_TRY_VOID(EachOf(file["pools"], "pools", [&](const YAML::Node& entry) { return TakePool(entry); }));
    for (const auto& source : file_.sources) {
      if (!drafts_.contains(source->name)) drafts_[source->name].sources = {source};
    }
    for (const auto& [name, draft] : drafts_) MAILY_TRY_VOID(Finish(name, 0));
    return std::move(file_);
  }

 private:
  struct Draft {
    smtp::Sources sources;
    std::string overflow;
    YAML::Node at;
  };

  Error Wrong(const YAML::Node& at, const std::string& what) const {
    return Fail(Code::kInvalid, "{}:{}: {}", path_, at.Mark().line + 1, what);
  }
  Result<void> Members(const YAML::Node& entry, const std::vector<std::string>& known) const {
    if (!entry.IsMap()) return Wrong(entry, fmt::format("this is a map with the members {}", fmt::join(known, ", ")));
    for (const auto& member : entry) {
      const auto name = member.first.as<std::string>();
      if (std::ranges::find(known, name) == known.end())
        return Wrong(member.first, fmt::format("unknown member '{}'; there are {}", name, fmt::join(known, ", ")));
    }
    return Ok();
  }
  template <class Take>
  Result<void> EachOf(const YAML::Node& list, const char* name, Take take) const {
    if (!list || list.IsNull()) return Ok();
    if (!list.IsSequence() || list.size() > kSourcesMax) return Wrong(list, fmt::format("{} is a list of at most {}", name, kSourcesMax));
    for (const YAML::Node& entry : list) MAILY_TRY_VOID(take(entry));
    return Ok();
  }
  Result<std::string> NameOf(const YAML::Node& entry) const {
    const YAML::Node node = entry["name"];
    if (!node || !node.IsScalar()) return Wrong(entry, "it has a name");
    const std::string& name = node.Scalar();
    const bool plain = std::ranges::all_of(
        name, [](unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'; });
    if (name.empty() || name.size() > kNameMax || !plain)
      return Wrong(node, fmt::format("a name is of small letters, digits, '-', '.' and '_', at most {}", kNameMax));
    return name;
  }

  Result<void> TakeSource(const YAML::Node& entry) {
    MAILY_TRY_VOID(Members(entry, {"name", "addresses", "ehlo"}));
    auto source = std::make_shared<Source>();
    MAILY_TRY(source->name, NameOf(entry));
    if (std::ranges::any_of(file_.sources, [&](const auto& one) { return one->name == source->name; }))
      return Wrong(entry, fmt::format("the source '{}' stands here twice", source->name));
    const YAML::Node addresses = entry["addresses"];
    if (!addresses || !addresses.IsSequence() || addresses.size() == 0)
      return Wrong(entry, "addresses lists one IP address, or one of each family");
    bool families[2] = {};
    for (const YAML::Node& one : addresses) {
      const std::string address = one.IsScalar() ? one.Scalar() : std::string();
      if (!ReverseName(address)) return Wrong(one, "this is no IP address");
      if (std::exchange(families[address.find(':') != std::string::npos ? 1 : 0], true))
        return Wrong(one, "a source has one address of each family at most");
      source->addresses.push_back(address);
    }
    if (const YAML::Node ehlo = entry["ehlo"]) {
      auto name = ehlo.IsScalar() ? HostName(ehlo.Scalar()) : Fail(Code::kInvalid, "it is one name");
      if (!name) return Wrong(ehlo, fmt::format("ehlo: {}", name.error().message));
      source->helo = *std::move(name);
    }
    file_.sources.push_back(std::move(source));
    return Ok();
  }

  Result<void> TakePool(const YAML::Node& entry) {
    MAILY_TRY_VOID(Members(entry, {"name", "sources", "overflow"}));
    MAILY_TRY(const std::string name, NameOf(entry));
    if (drafts_.contains(name)) return Wrong(entry, fmt::format("the pool '{}' stands here twice", name));
    Draft draft{.sources = {}, .overflow = {}, .at = entry};
    const YAML::Node sources = entry["sources"];
    if (!sources || !sources.IsSequence() || sources.size() == 0) return Wrong(entry, "sources lists one at least");
    for (const YAML::Node& one : sources) {
      const auto found =
          std::ranges::find_if(file_.sources, [&](const auto& source) { return one.IsScalar() && source->name == one.Scalar(); });
      if (found == file_.sources.end()) return Wrong(one, "there is no such source in this file");
      draft.sources.push_back(*found);
    }
    if (const YAML::Node overflow = entry["overflow"]) {
      if (!overflow.IsScalar()) return Wrong(overflow, "overflow is the name of another pool");
      draft.overflow = overflow.Scalar();
    }
    drafts_.emplace(name, std::move(draft));
    return Ok();
  }

  // With those that it overflows to.
  Result<void> Finish(const std::string& name, size_t depth) {
    if (file_.pools.contains(name)) return Ok();
    const Draft& draft = drafts_.at(name);
    auto pool = std::make_shared<SourcePool>(SourcePool{.name = name, .sources = draft.sources});
    if (!draft.overflow.empty()) {
      if (!drafts_.contains(draft.overflow))
        return Wrong(draft.at, fmt::format("overflow: there is no pool or source '{}'", draft.overflow));
      if (depth > drafts_.size()) return Wrong(draft.at, fmt::format("overflow: '{}' leads back to itself", name));
      MAILY_TRY_VOID(Finish(draft.overflow, depth + 1));
      pool->overflow = file_.pools.at(draft.overflow);
    }
    file_.pools.emplace(name, std::move(pool));
    return Ok();
  }

  const std::string& path_;
  SourceFile file_;
  std::map<std::string, Draft> drafts_;
};

}  // namespace

std::shared_ptr<const SourcePool> SourceFile::Pool(std::string_view name) const {
  const auto found = pools.find(name);
  return found == pools.end() ? nullptr : found->second;
}

Result<SourceFile> ReadSources(const std::string& path) {
  if (path.empty()) return SourceFile();
  try {
    return Reader(path).Read();
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalid, "{}: {}", path, error.what());
  }
}

}  // namespace maily::app
