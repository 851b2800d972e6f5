// See decide.h.
#include "processors/segments/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/segments/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/audience/segment_language.h"
#include "processors/audience/segment_zone.h"
#include "schemas/types.h"
#include "schemas/wall_time.h"
#include "streams/base/bytes.h"
#include "streams/state/key.h"

namespace maily::segments {
namespace {

using journal::Outcome;
using Problems = std::vector<audience::SegmentProblem>;

const v1::Segment* Find(const task::Context& context, uint64_t segment_id) {
  return context.view<v1::Segment>().Find(state::Key(context.tenant(), segment_id));
}

// The id of the entry of T for which `is` holds, in order; 0: there is none.
template <class T, class Is>
uint64_t IdOf(const task::Context& context, Is is) {
  const std::string prefix = state::Key(context.tenant());
  uint64_t found = 0;
  context.view<T>().Scan(prefix, {}, [&](std::string_view key, const T& entry) {
    if (is(entry)) found = Cursor(key.substr(prefix.size())).Ordered<uint64_t>();
    return found == 0;
  });
  return found;
}
uint64_t SegmentNamed(const task::Context& context, std::string_view name) {
  return IdOf<v1::Segment>(context, [&](const v1::Segment& segment) { return !segment.archived() && segment.name() == name; });
}

audience::SegmentCatalog CatalogOf(const task::Context& context, const tenants::v1::Tenant& tenant) {
  audience::SegmentCatalog catalog;
  for (const auto& attribute : tenant.attributes()) {
    catalog.attributes.push_back({attribute.name(), attribute.attribute_type(), attribute.personal()});
  }
  const auto some = [](uint64_t id) { return id == 0 ? std::nullopt : std::optional<uint64_t>(id); };
  catalog.list = [&context, some](std::string_view name) {
    return some(IdOf<lists::v1::List>(context, [&](const lists::v1::List& list) { return list.name() == name; }));
  };
  catalog.list_exists = [&context](uint64_t id) {
    return context.view<lists::v1::List>().Find(state::Key(context.tenant(), id)) != nullptr;
  };
  catalog.segment = [&context, some](std::string_view name) { return some(SegmentNamed(context, name)); };
  catalog.segment_exists = [&context](uint64_t id) {
    const v1::Segment* segment = Find(context, id);
    return segment != nullptr && !segment->archived();
  };
  catalog.campaign_exists = [&context](uint64_t id) {
    return context.view<campaigns::v1::Campaign>().Find(state::Key(context.tenant(), id)) != nullptr;
  };
  return catalog;
}

// The segments that an expression asks for, and where.
std::vector<std::pair<uint64_t, int>> SegmentsIn(const v1::Expression& expression) {
  std::vector<std::pair<uint64_t, int>> all;
  for (int i = 0; i < expression.nodes_size(); ++i) {
    const v1::Node& node = expression.nodes(i);
    if (node.has_membership() && node.membership().segment()) all.emplace_back(node.membership().id(), i);
  }
  return all;
}

// How many segments stand within one another below this one, itself included; kSegmentNestingMax + 1 if there are more, or `target` is
// among them, which it then says in `path`.
int Nesting(const task::Context& context, uint64_t segment_id, uint64_t target, int most, std::string& path) {
  const v1::Segment* segment = Find(context, segment_id);
  if (segment == nullptr) return 1;
  const std::string name = segment->name();
  if (segment_id == target) {
    path = name;
    return kSegmentNestingMax + 1;
  }
  if (most == 0) return kSegmentNestingMax + 1;
  std::set<uint64_t> below;
  for (const auto& [id, where] : SegmentsIn(segment->version().expression())) below.insert(id);
  int deepest = 0;
  for (const uint64_t id : below) {
    deepest = std::max(deepest, Nesting(context, id, target, most - 1, path));
    if (!path.empty()) {
      path = name + " → " + path;
      return kSegmentNestingMax + 1;
    }
  }
  return std::min(deepest + 1, kSegmentNestingMax + 1);
}

// `segment_id`: that would be so defined, 0 = none.
Problems CheckNesting(const task::Context& context, const audience::ParsedSegment& parsed, uint64_t segment_id) {
  Problems problems;
  std::set<uint64_t> seen;
  for (const auto& [id, node] : SegmentsIn(parsed.expression)) {
    if (!seen.insert(id).second) continue;
    std::string path;
    const int nesting = Nesting(context, id, segment_id, kSegmentNestingMax, path) + 1;
    const std::string& where = parsed.where[static_cast<size_t>(node)];
    if (!path.empty()) {
      problems.push_back({where, fmt::format("it leads back to this segment: {}; a segment cannot ask for itself", path)});
    } else if (nesting > kSegmentNestingMax) {
      problems.push_back({where, fmt::format("segments ask for segments at most {} deep", kSegmentNestingMax)});
    }
  }
  return problems;
}

// The expression of a command, checked; none: it was refused with all problems.
std::optional<v1::SegmentVersion> Read(task::Context& context, const std::string& text, const std::string& json, uint64_t segment_id) {
  static const tenants::v1::Tenant kNew;
  audience::ParsedSegment parsed = json.empty() ? audience::ParseSegmentText(text) : audience::ParseSegmentJson(json);
  if (!text.empty() && !json.empty()) parsed.problems = {{"1:1", "give the text form or the JSON form, not both"}};
  if (parsed.problems.empty()) {
    const auto* tenant = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
    // A copy: the catalog looks up other entries while it is in use.
    const tenants::v1::Tenant copy = tenant == nullptr ? kNew : *tenant;
    parsed.problems = audience::CheckSegment(parsed, CatalogOf(context, copy));
  }
  if (parsed.problems.empty()) parsed.problems = CheckNesting(context, parsed, segment_id);
  if (parsed.problems.empty()) {
    v1::SegmentVersion version;
    version.set_text(audience::SegmentText(parsed.expression));
    version.set_json(audience::SegmentJson(parsed.expression));
    *version.mutable_expression() = std::move(parsed.expression);
    version.set_defined_at_us(context.now().us);
    if (version.ByteSizeLong() <= kVersionBytesMax) return version;
    parsed.problems.push_back(
        {"1:1", fmt::format("it has more than {} bytes as it is stored; divide it with in_segment(…)", kVersionBytesMax)});
  }
  std::string message;
  std::vector<std::pair<std::string, std::string>> wrong;
  for (const auto& problem : parsed.problems) {
    const std::string sentence = fmt::format("{}: {}", problem.where, problem.sentence);
    message += (message.empty() ? "" : "; ") + sentence;
    wrong.emplace_back("/where", sentence);
  }
  context.Refuse(Outcome::kInvalid, "segment_invalid", message);
  context.AnswerAll(wrong);
  return std::nullopt;
}

// The segment if it can still be worked with; else null, and the command was refused.
const v1::Segment* Usable(task::Context& context, uint64_t segment_id) {
  const v1::Segment* segment = Find(context, segment_id);
  if (segment == nullptr) {
    context.Refuse(Outcome::kNotFound, "segment_not_found", fmt::format("there is no segment {}", segment_id));
    return nullptr;
  }
  if (segment->archived()) {
    context.Refuse(Outcome::kConflict, "segment_archived", fmt::format("segment {} is archived; define a new one", segment_id));
    return nullptr;
  }
  return segment;
}

uint64_t LastOrdinal(const task::Context& context) {
  const auto* counter = context.view<contacts::v1::ContactCounter>().Find(state::Key(context.tenant()));
  return counter == nullptr ? 0 : counter->last_ordinal();
}

template <class E>
void SetTrace(const task::Context& context, E& event) {
  const TraceId& trace = context.command()->trace;
  if (!trace.IsZero()) event.set_trace(trace.view().data(), trace.view().size());
}

// The tenant's zone, in which the days of its segments begin; none: UTC.
std::optional<v1::Zone> ZoneOf(const task::Context& context) {
  const auto* tenant = context.view<tenants::v1::Tenant>().Find(state::Key(context.tenant()));
  const schema::Zone* zone = tenant == nullptr ? nullptr : schema::ZoneNamed(tenant->time_zone());
  return zone == nullptr ? std::nullopt : std::optional(audience::TableOf(*zone, context.now()));
}

}  // namespace

// ---- In the home ----

void Decide(task::Context& context, const v1::DefineSegment& command) {
  v1::SegmentDefined defined;
  if (command.segment_id() != 0) {
    const v1::Segment* segment = Usable(context, command.segment_id());
    if (segment == nullptr) return;
    const uint32_t newest = segment->version().number();
    if (command.based_on() != 0 && command.based_on() != newest) {
      context.Refuse(Outcome::kConflict, "segment_changed",
                     fmt::format("segment {} has version {} by now, not {}: look at it, then ask again", command.segment_id(), newest,
                                 command.based_on()));
      return context.Answer("version", uint64_t{newest});
    }
    defined.set_segment_id(command.segment_id());
    defined.set_name(segment->name());
    const std::string text = segment->version().text();
    const auto version = Read(context, command.text(), command.json(), command.segment_id());
    if (!version) return;
    context.Answer("segment_id", command.segment_id());
    context.Answer("text", version->text());
    if (version->text() == text) {
      context.Answer("version", uint64_t{newest});
      return context.Unchanged();
    }
    *defined.mutable_version() = *version;
    defined.mutable_version()->set_number(newest + 1);
  } else {
    const bool control = std::ranges::any_of(command.name(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (command.name().empty() || command.name().size() > kSegmentNameBytesMax || control) {
      context.Refuse(Outcome::kInvalid, "invalid_name",
                     fmt::format("a segment's name has 1 to {} bytes and no control characters", kSegmentNameBytesMax));
      return context.AnswerAll({{"/name", fmt::format("the name has 1 to {} bytes", kSegmentNameBytesMax)}});
    }
    if (const uint64_t taken = SegmentNamed(context, command.name()); taken != 0) {
      context.Refuse(Outcome::kConflict, "segment_exists", fmt::format("there is a segment \"{}\" already", command.name()));
      return context.Answer("segment_id", taken);
    }
    const auto version = Read(context, command.text(), command.json(), 0);
    if (!version) return;
    const auto* counter = context.view<v1::SegmentCounter>().Find(state::Key(context.tenant()));
    if (counter != nullptr && counter->segments() >= kSegmentsMax) {
      return context.Refuse(Outcome::kInvalid, "too_many_segments",
                            fmt::format("a tenant has at most {} segments that are not archived", kSegmentsMax));
    }
    defined.set_segment_id(counter == nullptr ? 1 : counter->last_segment_id() + 1);
    defined.set_name(command.name());
    *defined.mutable_version() = *version;
    defined.mutable_version()->set_number(1);
    context.Answer("segment_id", defined.segment_id());
    context.Answer("text", version->text());
  }
  context.Answer("version", uint64_t{defined.version().number()});
  if (const auto zone = ZoneOf(context)) *defined.mutable_zone() = *zone;
  context.Emit(defined);
}

namespace {

// An evergreen campaign that asks for it; 0: none. As this partition knows them.
uint64_t OpenCampaignBy(const task::Context& context, uint64_t segment_id) {
  const auto* index = context.view<campaigns::v1::EvergreenIndex>().Find(state::Key(context.tenant()));
  if (index == nullptr) return 0;
  const auto names = [&](const auto& ids) { return std::ranges::find(ids, segment_id) != ids.end(); };
  for (const campaigns::v1::Evergreen& campaign : index->campaigns()) {
    if (names(campaign.segment_ids()) || names(campaign.exclude_segment_ids())) return campaign.campaign_id();
  }
  return 0;
}

}  // namespace

void Decide(task::Context& context, const v1::ArchiveSegment& command) {
  const v1::Segment* segment = Find(context, command.segment_id());
  if (segment != nullptr && segment->archived()) return context.Unchanged();
  if (Usable(context, command.segment_id()) == nullptr) return;
  std::string by;
  IdOf<v1::Segment>(context, [&](const v1::Segment& other) {
    const auto asks = SegmentsIn(other.version().expression());
    if (!other.archived() && std::ranges::any_of(asks, [&](const auto& one) { return one.first == command.segment_id(); }))
      by = other.name();
    return !by.empty();
  });
  if (const uint64_t campaign_id = OpenCampaignBy(context, command.segment_id()); campaign_id != 0) {
    return context.Refuse(
        Outcome::kConflict, "segment_in_use",
        fmt::format("people come into campaign {} by it, or not because of it; finish or cancel that one first", campaign_id));
  }
  if (!by.empty()) {
    return context.Refuse(Outcome::kConflict, "segment_in_use",
                          fmt::format("segment \"{}\" asks for it; change or archive that one first", by));
  }
  v1::SegmentArchived archived;
  archived.set_segment_id(command.segment_id());
  context.Emit(archived);
}

void Decide(task::Context& context, const v1::PreviewSegment& command) {
  v1::SegmentPreviewRequested requested;
  requested.set_segment_id(command.segment_id());
  v1::SegmentVersion version;
  if (command.segment_id() != 0) {
    const v1::Segment* segment = Usable(context, command.segment_id());
    if (segment == nullptr) return;
    version = segment->version();
  }
  if (command.segment_id() == 0 || !command.text().empty() || !command.json().empty()) {
    auto given = Read(context, command.text(), command.json(), command.segment_id());
    if (!given) return;
    version = std::move(*given);
  }
  const auto* counter = context.view<v1::SegmentCounter>().Find(state::Key(context.tenant()));
  requested.set_preview_id(counter == nullptr ? 1 : counter->last_preview_id() + 1);
  requested.set_text(version.text());
  requested.set_json(version.json());
  *requested.mutable_expression() = version.expression();
  context.Answer("preview_id", requested.preview_id());
  context.Answer("text", requested.text());
  if (const auto zone = ZoneOf(context)) *requested.mutable_zone() = *zone;
  context.Emit(requested);
}

// ---- In each partition ----

void Decide(task::Context& context, const v1::SegmentDefined& defined) {
  const auto* run = context.view<v1::SegmentRun>().Find(state::Key(context.tenant(), defined.segment_id()));
  if (run != nullptr && std::max(run->version(), run->next_version()) >= defined.version().number()) return context.Unchanged();
  v1::SegmentOpened opened;
  opened.set_segment_id(defined.segment_id());
  *opened.mutable_version() = defined.version();
  *opened.mutable_zone() = defined.zone();
  opened.set_last_ordinal(LastOrdinal(context));
  SetTrace(context, opened);
  context.Emit(opened);
}

void Decide(task::Context& context, const v1::SegmentArchived& archived) {
  if (context.view<v1::SegmentRun>().Find(state::Key(context.tenant(), archived.segment_id())) == nullptr) return context.Unchanged();
  v1::SegmentClosed closed;
  closed.set_segment_id(archived.segment_id());
  context.Emit(closed);
}

void Decide(task::Context& context, const v1::SegmentPreviewRequested& requested) {
  if (context.view<v1::PreviewRun>().Find(state::Key(context.tenant(), requested.preview_id())) != nullptr) return context.Unchanged();
  v1::PreviewOpened opened;
  opened.set_preview_id(requested.preview_id());
  opened.set_segment_id(requested.segment_id());
  *opened.mutable_expression() = requested.expression();
  *opened.mutable_zone() = requested.zone();
  opened.set_last_ordinal(LastOrdinal(context));
  SetTrace(context, opened);
  context.Emit(opened);
}

}  // namespace maily::segments
