// What requests about journeys have in common.
#pragma once

#include "api/body.h"
#include "api/call.h"
#include "maily/journeys/v1/commands.pb.h"

namespace maily::api {

// The members that a definition has; what is in them is looked at where it is decided.
void ReadDefinition(Body& body, journeys::v1::DefineJourney& command);
// Where those who stand at a step go on.
void ReadMoves(Body& body, journeys::v1::DefineJourney& command);

// journey_preview.cc
void PreviewJourney(Call call);

}  // namespace maily::api
