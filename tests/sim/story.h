// What people do in a simulated world, while everything goes wrong: imports, single contacts, events, campaigns, pauses, clicks, opt-outs,
// suppressions, bounces, rebuilds, hand-overs, and commands that nobody can decide. Then it is checked, safety first.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/client.h"
#include "tests/sim/trouble.h"
#include "tests/sim/world.h"

namespace maily::simulation {

struct StorySize {
  size_t rows = 480;           // of the imported files
  size_t events = 3'600;       // of producers
  size_t signals_a_mail = 16;  // opens and clicks
  size_t faults = 24;
  uint64_t jobs_a_fault = 4'000;
};

class Story {
 public:
  // Of three seeds one has a single process, the others have two or three that take partitions over from each other.
  Story(uint64_t seed, const StorySize& size);

  // Empty = all checks hold.
  std::string Run();

  const World& world() const { return world_; }
  const Trouble& trouble() const { return trouble_; }
  uint64_t commands() const { return commands_; }  // decided
  size_t unknown() const { return unknown_; }
  Duration simulated() { return world_.scheduler().clock().Steady() - began_; }

 private:
  struct Person {
    std::string address;
    std::string key;
    bool held = false;                  // of the arm that gets nothing
    bool imported = false;              // acknowledged
    int64_t score = -1;                 // the newest value that was acknowledged; -1 = none
    bool refuses = false;               // asked for no mail
    bool refused = false;               // and that is acknowledged
    std::set<uint64_t> known_before;    // campaigns that were launched after this one was acknowledged
    std::set<uint64_t> refused_before;  // and after the refusal was
  };

  template <class Message>
  World::Decided Decide(const Message& message, const std::string& key);
  void Settle();
  void Import();
  void ImportFile(size_t file);
  void AddSingles();
  void AddSingle(size_t person, int64_t score);
  void CheckFresh(size_t person, int64_t score, const std::string& token);
  void SendEvents();
  void SendBatch(const std::vector<size_t>& events);
  void Suppress();
  void Garbage();
  void StartCampaign(uint64_t campaign);
  void Watch(uint64_t campaign);
  void ReadMails();
  void RebuildSomething();
  void Fail(const std::string& why) {
    if (failure_.empty()) failure_ = why;
  }
  bool Done() const;

  std::string CheckPeople();
  std::string CheckPerson(const Person& person, uint64_t campaign, size_t mails);
  std::string CheckState();
  std::string CheckReadModels();
  std::string CheckTotals();
  std::string ResumeAfterTrim();
  std::string Unfinished();

  const StorySize size_;
  World world_;
  Trouble trouble_;
  Client client_;
  const Duration began_;
  std::vector<Person> people_;
  std::map<std::string, size_t> by_address_;
  size_t asked_ = 0;
  size_t files_ = 0;    // imported
  size_t singles_ = 0;  // acknowledged
  size_t events_ = 0;   // acknowledged, each once
  size_t garbage_ = 0;  // acknowledged as rejected
  size_t suppressed_ = 0;
  uint64_t launched_ = 0;  // campaigns
  uint64_t completed_ = 0;
  uint64_t mails_read_ = 0;
  size_t rebuilds_ = 0;
  uint64_t commands_ = 0;
  size_t unknown_ = 0;
  std::string failure_;
};

}  // namespace maily::simulation
