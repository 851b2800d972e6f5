// All that replays: rebuilds of read models and of state, restores, standbys, snapshots, verification. With CANNOT_NAME it tries to name
// the right to send, which none of it knows of.
#include "projections/projector/keeper.h"
#include "projections/projector/projector.h"
#include "projections/projector/rebuild.h"
#include "projections/projector/spectator.h"
#include "streams/journal/history.h"
#include "streams/journal/tail.h"
#include "streams/state/snapshot.h"
#include "streams/task/decide.h"
#include "streams/task/flusher.h"
#include "streams/task/follower.h"
#include "streams/task/snapshots.h"
#include "streams/task/verify.h"

#ifdef CANNOT_NAME
using Right = maily::LiveCapability;
#endif
