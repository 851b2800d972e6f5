// What a message was posted with, as templates have it: any JSON object. Pure; thread: a value is immutable, any.
#pragma once

#include <memory>
#include <string_view>

#include "processors/personalization/liquid/value.h"
#include "streams/base/result.h"

namespace maily::personalization {

// Owns what its value points to. Numbers keep their kind: 1 is an integer, 1.0 is not; of an object the last of equal names counts.
class Variables {
 public:
  // Empty text: nil. kInvalid: no JSON object, or nested more than 64 deep.
  static Result<Variables> Parse(std::string_view json);

  const liquid::Value& value() const { return value_; }

 private:
  std::unique_ptr<liquid::Arena> arena_;
  liquid::Value value_;
};

}  // namespace maily::personalization
