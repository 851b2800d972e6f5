// POST /v1/imports/{id}:undo: what an import changed and nobody has changed since is put back, by events of its own.
//
// It is a job as an import is: its id is made of the import's, so that asking again is the same job; it begins and ends in the journal
// (source "undo:<import>") with counts: rows = changes that the import made, updated = restored, unchanged = nothing was left to restore,
// skipped = changed since by others, gone, or too large to have been noted. Attributes get back their values of before; those of a contact
// that the import created are removed, its memberships end, and the bare address stays until it is erased. Suppressions that came with the
// file stay. If the process ends meanwhile, the job is interrupted, and is asked for again.
//
// The notes are pages of a read model, newest first in each partition; a page is applied before the next one is read, so memory is bounded
// by kPageNotes. Commands of a partition go in order; where one is not decided, those from it on go again, which is harmless.
#pragma once

#include <functional>
#include <string>

#include "api/gateway/gateway.h"
#include "api/http/problem.h"
#include "api/import/jobs.h"

namespace maily::import {

struct UndoParts {
  gateway::Gateway& gateway;
  Jobs& jobs;
  Executor& bulk;
  std::shared_ptr<const void> owner;  // of the first two
};

// The job's id.
std::string UndoIdOf(const std::string& import_id);

// What is there to undo, or why nothing can be. On a thread that may block.
struct Undoable {
  uint64_t list_id = 0;
  uint64_t chunks = 0;
};
using CannotUndo = http::Problem;
std::variant<Undoable, CannotUndo> LookAtUndo(projections::Views& views, TenantId tenant, const std::string& import_id);

// `begun` on the bulk executor: the job as it begins, or why it does not.
void StartUndo(UndoParts parts, gateway::Asker asker, std::string import_id, Undoable what,
               std::move_only_function<void(std::variant<nlohmann::ordered_json, http::Problem>)> begun);

}  // namespace maily::import
