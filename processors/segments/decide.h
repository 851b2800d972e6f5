// Decides what is asked of segments in the tenant's home, and what the home announced in each partition.
//
//   DefineSegment ──▶ SegmentDefined ──link──▶ in each partition SegmentOpened, then SegmentPlanned slice by slice (slices.h): a contact
//   is judged by the newest version from the slice on that has come to it. A segment that is archived has no members, and no way back.
#pragma once

#include "maily/segments/v1/commands.pb.h"
#include "maily/segments/v1/events.pb.h"
#include "streams/task/processor.h"

namespace maily::segments {

inline constexpr uint32_t kSegmentsMax = 500;  // of one tenant, archived ones apart
inline constexpr size_t kSegmentNameBytesMax = 100;
inline constexpr int kSegmentNestingMax = 8;           // segments that ask for segments
inline constexpr size_t kVersionBytesMax = 56 * 1024;  // of a version in all its forms: a link carries it as one command

// In the home. Answers segment_id, version, text. Codes of refusal: "invalid_name", "segment_invalid" (every problem, with its place),
// "segment_exists" (with its segment_id), "segment_not_found", "segment_archived", "segment_changed" (it has another version than
// based_on), "too_many_segments".
void Decide(task::Context& context, const v1::DefineSegment& command);
// "segment_not_found", "segment_in_use" (another asks for it).
void Decide(task::Context& context, const v1::ArchiveSegment& command);
// Answers preview_id. "segment_invalid", "segment_not_found", "segment_archived".
void Decide(task::Context& context, const v1::PreviewSegment& command);

// In each partition. A second copy changes nothing.
void Decide(task::Context& context, const v1::SegmentDefined& defined);
void Decide(task::Context& context, const v1::SegmentArchived& archived);
void Decide(task::Context& context, const v1::SegmentPreviewRequested& requested);

}  // namespace maily::segments
