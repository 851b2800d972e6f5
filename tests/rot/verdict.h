// What comes of one flipped bit: the data directory is read in a process of its own, so that whatever it does to that process is seen.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "tests/rot/image.h"

namespace maily::rot {

enum class Verdict : uint8_t {
  kHarmless,      // nobody noticed, and every answer is as before
  kNamesFile,     // said, with the file's name
  kNamesPlace,    // said, with the store, database, partition or snapshot that it is part of
  kNamesNothing,  // said, not where
  kSilent,        // FAILURE: an answer differs, and nothing was said
  kCrash,         // FAILURE: the process died, and did not say of what file
  kHang,          // FAILURE: it was not done in time
};
inline constexpr size_t kVerdicts = 7;

struct Outcome {
  Verdict verdict = Verdict::kHarmless;
  std::string what;  // what was said, what differs
};

// Reads images below a root of its own. One thread, and no other in the process: it forks.
class Bench {
 public:
  Bench(const std::string& root, const Known& known);
  ~Bench();

  Outcome Try(const Image& image, const Flip& flip);
  // What was read of the undamaged image, for a person.
  const Answers& Sound(const Image& image, Area area);

 private:
  struct Child {
    std::optional<Answers> answers;  // none: it died
    int signal = 0;
    std::string last_words;  // on stderr
  };
  Child Read(Area area);

  const std::string root_;
  const Known& known_;
  char* const shared_;  // what a child has to say: size, then text
  std::map<std::pair<std::string, Area>, Answers> sound_;
};

}  // namespace maily::rot
