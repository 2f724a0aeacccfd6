#include "bpf/filter_row.hpp"

#include <linux/if_ether.h>

#include <algorithm>
#include <cerrno>

namespace clat::bpf {

namespace {

bool is_of(std::uint16_t protocol, const MustSee& must_see) {
  switch (protocol) {
    case ETH_P_ALL: return must_see.ipv4 || must_see.ipv6;
    case ETH_P_IP: return must_see.ipv4;
    case ETH_P_IPV6: return must_see.ipv6;
    default: return false;
  }
}

}  // namespace

void FilterRow::add(const TcFilter& filter) {
  empty_ = false;
  if (filter.chain != 0 || filter.pref == 0 || filter.pref > kOurPref) return;
  auto& pref = prefs_[filter.pref - 1U];
  pref.kind = filter.kind;
  pref.protocol = filter.protocol;
  pref.takes_all |= filter.takes_all;
  if (filter.handle != kOurHandle) return;
  if (filter.program.starts_with(kProgramNamePrefix))
    pref.our_program = filter.program_id;
  else
    pref.stranger = filter.program;
}

std::vector<std::uint16_t> FilterRow::ours() const {
  std::vector<std::uint16_t> found;
  for (std::uint16_t pref = 1; pref <= kOurPref; ++pref) {
    if (at(pref).our_program) found.push_back(pref);
  }
  return found;
}

std::uint16_t FilterRow::first_obstacle(const MustSee& must_see) const {
  std::uint16_t pref = 1;
  while (pref <= kOurPref && !(at(pref).takes_all && is_of(at(pref).protocol, must_see))) ++pref;
  return pref;
}

std::string FilterRow::in_the_way(std::uint16_t pref) const {
  return "the " + at(pref).kind + " filter of pref " + std::to_string(pref) + " takes every packet before ours";
}

Result<std::uint16_t> FilterRow::place(const MustSee& must_see) const {
  const auto obstacle = first_obstacle(must_see);
  if (const auto present = ours(); !present.empty() && present.front() < obstacle) return present.front();
  for (auto pref = static_cast<std::uint16_t>(obstacle - 1); pref > 0; --pref) {
    if (at(pref).stranger) {
      const auto& name = *at(pref).stranger;
      return failure("our place for a clsact filter is taken by " + (name.empty() ? "another filter" : name), EBUSY);
    }
    if (at(pref).kind.empty() || (at(pref).kind == "bpf" && at(pref).protocol == ETH_P_ALL)) return pref;
  }
  if (obstacle > kOurPref)
    return failure("no pref up to " + std::to_string(kOurPref) + " is free for our filter", EBUSY);
  return failure(in_the_way(obstacle) + ", and no pref in front of it is free", EBUSY);
}

Result<> FilterRow::verify(std::uint32_t program_id, const MustSee& must_see) const {
  const auto present = ours();
  if (present.empty()) return failure("the clsact filter is gone");
  if (at(present.front()).our_program != program_id) return failure("the clsact filter runs another program");
  if (const auto obstacle = first_obstacle(must_see); obstacle < present.front()) {
    return failure(in_the_way(obstacle));
  }
  return {};
}

}  // namespace clat::bpf
