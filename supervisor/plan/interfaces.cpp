#include "supervisor/plan/interfaces.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace clat::plan {

using model::Reason;
using model::Why;

namespace {

Interface renamed(const config::Interface& entry, const std::string& name) {
  Interface interface{entry, entry.name};
  interface.wanted.name = name;
  if (entry.tun.empty() || entry.tun == config::tun_name(entry.name)) interface.wanted.tun = config::tun_name(name);
  return interface;
}

// It stands for no link, so there is nothing that its hooks could be told.
Interface refused(const config::Interface& entry, Reason reason) {
  Interface interface{entry, entry.name, std::move(reason)};
  interface.wanted.on_up.clear();
  interface.wanted.on_down.clear();
  return interface;
}

// Entries that name one link.
Interfaces named(const config::Config& config, const model::Links& links) {
  Interfaces all;
  const auto is_altname = [](const model::Link* link, const config::Interface& entry) {
    return link != nullptr && link->name != entry.name;
  };
  for (const auto& entry : config.interfaces) {
    if (config::is_pattern(entry.name) || is_altname(links.find(entry.name), entry)) continue;
    all.emplace(entry.name, Interface{entry, entry.name});
  }
  for (const auto& entry : config.interfaces) {
    const auto* link = links.find(entry.name);
    if (config::is_pattern(entry.name) || !is_altname(link, entry)) continue;
    const auto [first, is_first] = all.try_emplace(link->name, renamed(entry, link->name));
    if (!is_first) all.emplace(entry.name, refused(entry, {Why::same_link, first->second.entry}));
  }
  return all;
}

struct Match {
  const config::Interface* pattern;
  const model::Link* link;
};

class Matches {
 public:
  // Of one pattern.
  void take(const config::Interface& pattern, const model::Links& links, Interfaces& all,
            const std::function<bool(const model::Link&)>& is_ours) {
    std::size_t left_over = 0;
    for (const auto& [ifindex, link] : links.all()) {
      if (fnmatch(pattern.name.c_str(), link.name.c_str(), 0) != 0) continue;
      if (link.name == "lo" || all.contains(link.name) || is_ours(link)) continue;
      if (found_.size() == kMostMatched) {
        ++left_over;
        continue;
      }
      all.emplace(link.name, renamed(pattern, link.name));
      found_.push_back({&pattern, &link});
    }
    const bool has_any = std::ranges::find(found_, &pattern, &Match::pattern) != found_.end();
    if (left_over > 0)
      all.emplace(pattern.name, refused(pattern, {Why::too_many_links, std::to_string(kMostMatched)}));
    else if (!has_any)
      all.emplace(pattern.name, refused(pattern, {Why::no_match}));
  }

  // Those that are held first, so that no newcomer takes them.
  void give_metrics(const config::Config& config, Interfaces& all, LinkMetrics& held) const {
    std::set<std::uint32_t> taken;
    for (const auto& each : config.interfaces) {
      if (each.route_metric && !config::is_pattern(each.name)) taken.insert(*each.route_metric);
    }
    std::vector<Match> left;
    for (const auto& match : found_) {
      if (!match.pattern->route_metric) continue;
      const auto known = held.find(match.link->ifindex);
      const bool stays =
          known != held.end() && known->second >= *match.pattern->route_metric && taken.insert(known->second).second;
      if (stays)
        all.at(match.link->name).wanted.route_metric = known->second;
      else
        left.push_back(match);
    }
    for (const auto& match : left) {
      auto metric = *match.pattern->route_metric;
      while (!taken.insert(metric).second) ++metric;
      all.at(match.link->name).wanted.route_metric = held[match.link->ifindex] = metric;
    }
  }

  // Where only the ends of long names fit, two tuns may have one name.
  void refuse_equal_tuns(Interfaces& all) const {
    std::set<std::string> tuns;
    for (const auto& [name, interface] : all) {
      if (!config::is_pattern(interface.entry)) tuns.insert(interface.wanted.tun);
    }
    for (const auto& match : found_) {
      auto& interface = all.at(match.link->name);
      if (!tuns.insert(interface.wanted.tun).second) interface.refusal = {Why::tun_name_taken, interface.wanted.tun};
    }
  }

 private:
  std::vector<Match> found_;
};

}  // namespace

Interfaces interfaces_on(const config::Config& config, const model::Links& links, LinkMetrics& held,
                         const std::function<bool(const model::Link&)>& is_ours) {
  auto all = named(config, links);
  Matches matches;
  for (const auto& entry : config.interfaces) {
    if (config::is_pattern(entry.name)) matches.take(entry, links, all, is_ours);
  }
  matches.give_metrics(config, all, held);
  matches.refuse_equal_tuns(all);
  return all;
}

}  // namespace clat::plan
