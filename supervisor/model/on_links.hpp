// Addresses by the link that has them and by themselves: with hundreds of uplinks each is asked for at every turn.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace clat::model {

// `Entry` is an address, or has one: `address_of` says which. A link has each address once.
template <class Entry, auto address_of>
class OnLinks {
 public:
  using Address = std::remove_cvref_t<decltype(std::invoke(address_of, std::declval<const Entry&>()))>;

  // In place of what that link had by this address.
  void put(int ifindex, const Entry& entry) {
    auto& entries = by_link_[ifindex];
    const auto known = std::ranges::find(entries, std::invoke(address_of, entry), address_of);
    if (known != entries.end()) {
      *known = entry;
      return;
    }
    entries.push_back(entry);
    links_.emplace(std::invoke(address_of, entry), ifindex);
  }
  void erase(int ifindex, const Address& address) {
    const auto link = by_link_.find(ifindex);
    if (link == by_link_.end()) return;
    if (std::erase_if(link->second, [&](const Entry& each) { return std::invoke(address_of, each) == address; }) == 0)
      return;
    forget(ifindex, address);
    if (link->second.empty()) by_link_.erase(link);
  }
  void erase(int ifindex) {
    const auto link = by_link_.find(ifindex);
    if (link == by_link_.end()) return;
    for (const auto& each : link->second) forget(ifindex, std::invoke(address_of, each));
    by_link_.erase(link);
  }
  // In the order in which they came.
  [[nodiscard]] std::span<const Entry> of(int ifindex) const {
    const auto link = by_link_.find(ifindex);
    return link == by_link_.end() ? std::span<const Entry>{} : std::span<const Entry>(link->second);
  }
  // Whether `accept` returns true for one of the links (by ifindex) that have it.
  template <class Accept>
  [[nodiscard]] bool any_link(const Address& address, Accept accept) const {
    const auto [first, last] = links_.equal_range(address);
    return std::any_of(first, last, [&](const auto& each) { return accept(each.second); });
  }
  // visit(ifindex, entry)
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [ifindex, entries] : by_link_) {
      for (const auto& entry : entries) visit(ifindex, entry);
    }
  }
  template <class Accept>
  [[nodiscard]] bool any_address(Accept accept) const {
    return std::ranges::any_of(links_, [&](const auto& each) { return accept(each.first); });
  }
  [[nodiscard]] bool contains(const Address& address) const { return links_.contains(address); }
  bool operator==(const OnLinks& other) const { return by_link_ == other.by_link_; }

 private:
  void forget(int ifindex, const Address& address) {
    const auto [first, last] = links_.equal_range(address);
    links_.erase(std::find_if(first, last, [&](const auto& each) { return each.second == ifindex; }));
  }

  std::map<int, std::vector<Entry>> by_link_;
  std::multimap<Address, int> links_;
};

}  // namespace clat::model
