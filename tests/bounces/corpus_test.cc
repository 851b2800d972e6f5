// How far the rules agree with the labelled half that they were developed on. What they do on mails that nobody looked at is measured by
// `./dev bench bounces --dir`.
#include "tests/bounces/corpus.h"

#include <gtest/gtest.h>

namespace maily::bounces {
namespace {

TEST(BounceCorpus, TheDevelopmentHalfIsAgreedWithAndNobodyIsSuppressedWrongly) {
  const auto corpus = ReadCorpus(DevelopmentCorpus());
  if (!corpus) GTEST_SKIP() << corpus.error().ToString() << ": the labelled mails are not here";
  Score score;
  for (const Labelled& mail : *corpus) Add(score, mail);
  for (const std::string& line : score.disagreements) std::fprintf(stderr, "%s\n", line.c_str());
  EXPECT_GE(score.agreement(), 0.95);
  EXPECT_LE(score.false_hard_share(), 0.01);
}

}  // namespace
}  // namespace maily::bounces
