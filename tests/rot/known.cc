// See known.h.
#include "tests/rot/known.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/hex.h"

namespace maily::rot {
namespace {

using nlohmann::json;

json HexOf(const std::vector<std::string>& all) {
  json list = json::array();
  for (const std::string& bytes : all) list.push_back(test::Hex(bytes));
  return list;
}
std::vector<std::string> FromHexOf(const json& list) {
  std::vector<std::string> all;
  for (const json& hex : list) all.push_back(test::Unhex(hex.get<std::string>()));
  return all;
}

}  // namespace

void Known::Save(const std::string& path) const {
  std::ofstream(path)
      << json({{"made", made}, {"subjects", HexOf(subjects)}, {"boxes", HexOf(boxes)}, {"opener", opener}, {"slots_place", slots_place}})
             .dump()
      << "\n";
}

Known Known::Load(const std::string& path) {
  std::ifstream in(path);
  MAILY_CHECK(in.good(), "{} cannot be read", path);
  const json from = json::parse(in);
  Known known;
  known.made = from["made"];
  known.subjects = FromHexOf(from["subjects"]);
  known.boxes = FromHexOf(from["boxes"]);
  known.opener = from["opener"];
  known.slots_place = from["slots_place"];
  return known;
}

}  // namespace maily::rot
