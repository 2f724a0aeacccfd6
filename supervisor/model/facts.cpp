#include "supervisor/model/facts.hpp"

namespace clat::model {

void Links::put(Link link) {
  // What a device is it stays; IPv6's messages about it do not say.
  if (const auto* known = find(link.ifindex)) link.is_ifb |= known->is_ifb;
  erase(link.ifindex);
  by_name_[link.name] = link.ifindex;
  for (const auto& altname : link.altnames) {
    // An altname that was heard of before may be another link's name by now.
    const auto* holder = find(altname);
    if (holder == nullptr || holder->name != altname) by_name_[altname] = link.ifindex;
  }
  by_ifindex_[link.ifindex] = std::move(link);
}

void Links::erase(int ifindex) {
  const auto known = by_ifindex_.find(ifindex);
  if (known == by_ifindex_.end()) return;
  forget_name(known->second.name, ifindex);
  for (const auto& altname : known->second.altnames) forget_name(altname, ifindex);
  by_ifindex_.erase(known);
}

const Link* Links::find(int ifindex) const {
  const auto known = by_ifindex_.find(ifindex);
  return known == by_ifindex_.end() ? nullptr : &known->second;
}

const Link* Links::find(const std::string& name) const {
  const auto named = by_name_.find(name);
  return named == by_name_.end() ? nullptr : find(named->second);
}

void Links::forget_name(const std::string& name, int ifindex) {
  const auto named = by_name_.find(name);
  if (named != by_name_.end() && named->second == ifindex) by_name_.erase(named);
}

}  // namespace clat::model
