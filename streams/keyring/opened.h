// Opened subject keys in memory, bounded: two tables of fixed size, by key id and by subject.
//
// Nothing is allocated after construction, and pages that were never written cost nothing. A table is a set of small buckets; in a full
// bucket the oldest entry goes. Subjects longer than kSubjectBytesMax are not kept, so their keys are found by id only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "streams/keyring/subject_key.h"

namespace maily::keyring {

// Thread: one at a time.
class Opened {
 public:
  static constexpr size_t kSubjectBytesMax = 32;

  // Uses at most `bytes_max`, and one bucket a table at least.
  explicit Opened(size_t bytes_max);
  ~Opened();  // wipes them
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  bool FindById(TenantId tenant, const KeyId& id, SubjectKey& out) const;
  bool FindBySubject(TenantId tenant, std::string_view subject, SubjectKey& out) const;

  // `subject` is empty if it is not known. Both are replaced if they are there.
  void Put(TenantId tenant, const SubjectKey& key, std::string_view subject);
  // From here on it is not found by its subject either.
  void Remove(TenantId tenant, const KeyId& id);
  // The key that was found by it is found by its id alone from here on.
  void RemoveSubject(TenantId tenant, std::string_view subject);

 private:
  static constexpr size_t kWays = 8;
  struct Keys;      // a bucket of keys by id
  struct Subjects;  // a bucket of key ids by subject

  Keys& BucketOf(TenantId tenant, const KeyId& id) const;
  Subjects& BucketOf(TenantId tenant, std::string_view subject) const;

  size_t mask_ = 0;  // buckets of each table, less one
  Keys* keys_ = nullptr;
  Subjects* subjects_ = nullptr;
};

}  // namespace maily::keyring
