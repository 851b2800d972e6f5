// The labelled mails that bounce rules are measured by, and how far we agree with their labels.
//
// A folder with mails and `expected.json`: {"name.eml": [{"hard": bool, "reason": text, "feedback"?: text, …}, …]}, a label a recipient, in
// no order that could be matched by address. A label's class: "feedback" of abuse, fraud or without a type is a complaint, of another type
// none; "vacation" is an automatic reply; else hard or soft as it says.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "processors/bounces/report.h"
#include "streams/base/result.h"

namespace maily::bounces {

struct Label {
  Class cls = Class::kSoft;
  std::string reason;
};

struct Labelled {
  std::string name;  // "lhost-postfix-01.eml"
  std::string mta;   // "lhost-postfix"
  std::string bytes;
  std::vector<Label> labels = {};
};

// By name; kNotFound if there is no such folder.
Result<std::vector<Labelled>> ReadCorpus(const std::string& folder);

// The folder that lies beside the repository.
std::string DevelopmentCorpus();

struct Count {
  int labels = 0;
  int agree = 0;
};

// One label is one unit. Labels and recipients of a mail are paired so that as many as possible agree in class; a recipient too many or
// missing is a disagreement of the mail's first label.
struct Score {
  Count all;
  int not_hard = 0;    // labels that are not hard
  int false_hard = 0;  // of these, classified hard
  std::map<std::string, Count> by_reason;
  std::map<std::string, Count> by_mta;
  std::map<std::string, int> by_rule;                                // recipients that each rule decided
  std::map<std::string, int> wrong_by_rule;                          // of these, without an agreeing label
  std::vector<std::string> disagreements;                            // "name: label … ours …"
  std::map<std::string, std::map<std::string, int>> agreed_by_rule;  // rule, then MTA: labels agreed

  double agreement() const { return all.labels == 0 ? 0 : static_cast<double>(all.agree) / all.labels; }
  // What would be left of the agreement if each MTA's mails met the rules that the others need as well: labels agreed by a rule that
  // another MTA's labels are agreed by too. A cautious guess at MTAs that nobody has looked at.
  double shared_agreement() const;
  double false_hard_share() const { return not_hard == 0 ? 0 : static_cast<double>(false_hard) / not_hard; }
};

void Add(Score& score, const Labelled& mail);

}  // namespace maily::bounces
