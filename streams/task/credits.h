// Volatile allowances: an effect grants, a slice spends. The one thing of this folder that effects include.
//
// Not commands and not state: zero at every take-over, so planning never runs ahead of what can be sent.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "streams/base/time.h"

namespace maily::task {

// Who granted, for what is spent on it: written into the event, so that whoever reads it later knows whose hands were to act.
struct CreditHolder {
  uint64_t id = 0;      // of the effect's process, as the effect understands it; 0: it names none
  Duration granted_at;  // steady time of that process, when it granted last
};

// Of one partition; lives on its executor.
class Credits {
 public:
  // Allows `n` more attempts at `site`, and wakes the task if it was waiting for one.
  void Grant(std::string_view site, uint32_t n, const CreditHolder& holder = {}) {
    Entry& entry = At(site);
    entry.available += n;
    entry.holder = holder;
    if (entry.wanted && entry.available > 0) {
      entry.wanted = false;
      if (granted_) granted_();
    }
  }
  // Spends one. False: none is left, and the site is marked as wanted.
  bool Take(std::string_view site) {
    Entry& entry = At(site);
    if (entry.available == 0) {
      if (!entry.wanted) {
        entry.wanted = true;
        if (wanted_) wanted_(site);
      }
      return false;
    }
    --entry.available;
    return true;
  }
  // Takes back up to `n` unspent ones; gives how many it got. For an effect that stops or rebalances.
  uint32_t Withdraw(std::string_view site, uint32_t n) {
    Entry& entry = At(site);
    const uint32_t taken = n < entry.available ? n : entry.available;
    entry.available -= taken;
    return taken;
  }
  uint32_t available(std::string_view site) { return At(site).available; }
  // As the last grant said.
  const CreditHolder& holder(std::string_view site) { return At(site).holder; }
  // True if a slice found none since the last grant, and there is none.
  bool Lacks(std::string_view site) const {
    const auto found = entries_.find(site);
    return found != entries_.end() && found->second.wanted && found->second.available == 0;
  }
  // True if a slice found none since the last grant.
  bool wanted(std::string_view site) { return At(site).wanted; }

  // Set by the effect: true = sites are the keys of recipient domains ("" = of all that have no lane of their own).
  void SetPerDomain(bool per_domain) {
    if (std::exchange(per_domain_, per_domain) == per_domain) return;
    bool any = false;  // who waits for the other kind looks again
    for (auto& [site, entry] : entries_) any = std::exchange(entry.wanted, false) || any;
    if (any && granted_) granted_();
  }
  bool per_domain() const { return per_domain_; }

  // The sites that a slice found without credits since their last grant.
  void ForEachWanted(const std::function<void(std::string_view site)>& visit) const {
    for (const auto& [site, entry] : entries_) {
      if (entry.wanted) visit(site);
    }
  }

  // Set by the task: called when a waiting site got credits.
  void OnGranted(std::function<void()> granted) { granted_ = std::move(granted); }
  // Forgets sites without credits that nobody wants.
  void Prune() {
    std::erase_if(entries_, [](const auto& entry) { return entry.second.available == 0 && !entry.second.wanted; });
  }

  // Set by the effect: called when a slice wants credits and there are none.
  void OnWanted(std::function<void(std::string_view site)> wanted) { wanted_ = std::move(wanted); }

 private:
  struct Entry {
    uint32_t available = 0;
    bool wanted = false;
    CreditHolder holder = {};
  };
  Entry& At(std::string_view site) {
    const auto found = entries_.find(site);
    return found != entries_.end() ? found->second : entries_.emplace(std::string(site), Entry()).first->second;
  }
  std::map<std::string, Entry, std::less<>> entries_;  // as many as lanes of campaigns that are under way
  bool per_domain_ = false;
  std::function<void()> granted_;
  std::function<void(std::string_view)> wanted_;
};

}  // namespace maily::task
