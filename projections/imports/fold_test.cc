// Tests the read model of what imports replaced.
#include "projections/imports/fold.h"

#include "maily/contacts/v1/events.pb.h"
#include "projections/projector/fake_journal.h"
#include "projections/read_models.h"
#include "schemas/types.h"

namespace maily::projections {
namespace {

class ImportsFoldTest : public FoldFixture {
 protected:
  ImportsFoldTest() : FoldFixture(ReadModelGroups()[0]) {}

  static contacts::v1::RowsImported Imported(const std::string& id, uint32_t created, uint32_t updated) {
    contacts::v1::RowsImported imported;
    imported.set_import_id(id);
    imported.set_created(created);
    imported.set_updated(updated);
    imported.add_contacts()->set_ordinal(7);
    return imported;
  }
  const Parameter tenant_{"tenant", Value::Integer(1)};
};

TEST_F(ImportsFoldTest, WhatAnImportDidInAllPartitionsIsSummedAndNoted) {
  Happens(0, Imported("a", 3, 1), Imported("b", 1, 0));
  Happens(1, Imported("a", 2, 4));
  const Rows sums = Ask("import_applied", {tenant_, {"import_id", Value::Text("a")}});
  EXPECT_EQ(sums.at(0, "created").integer, 5);
  EXPECT_EQ(sums.at(0, "updated").integer, 5);
  EXPECT_EQ(sums.at(0, "chunks").integer, 2);
  const Rows notes = Ask("import_notes", {tenant_,
                                          {"import_id", Value::Text("a")},
                                          {"after_part", Value::Integer(-1)},
                                          {"before", Value::Integer(0)},
                                          {"limit", Value::Integer(10)}});
  ASSERT_EQ(notes.size(), 2u);
  contacts::v1::RowsImported note;
  EXPECT_TRUE(note.ParseFromString(notes.at(1, "note").bytes));
  EXPECT_EQ(note.contacts(0).ordinal(), 7u);
  EXPECT_EQ(Ask("import_applied", {tenant_, {"import_id", Value::Text("c")}}).at(0, "chunks").integer, 0);
}

}  // namespace
}  // namespace maily::projections
