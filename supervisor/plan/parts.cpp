#include "supervisor/plan/parts.hpp"

#include <initializer_list>

namespace clat::plan {

using namespace model;

namespace {

class Parts {
 public:
  constexpr Parts(std::initializer_list<Part> parts) {
    for (const Part part : parts) bits_ |= 1U << index(part);
  }
  [[nodiscard]] constexpr bool contains(Part part) const { return (bits_ >> index(part) & 1U) != 0; }

 private:
  unsigned bits_ = 0;
};

struct Rules {
  Part part;
  bool audited;
  Parts stands_on;
  bool (*changes_in_place)(const Spec& have, const Spec& wanted);
  std::uint32_t (*mtu)(const Spec& spec);
};

bool always(const Spec&, const Spec&) { return true; }
bool never(const Spec&, const Spec&) { return false; }
std::uint32_t any_size(const Spec&) { return 0; }

bool setup_changes(const Spec& have, const Spec& wanted) {
  return std::get<SetupSpec>(have).tun == std::get<SetupSpec>(wanted).tun;
}
bool share_hooks(const bpf::Attachment& a, const bpf::Attachment& b) {
  return a.uplink_ifindex == b.uplink_ifindex && a.tun_ifindex == b.tun_ifindex && a.layer == b.layer;
}
bool filter_changes(const Spec& have, const Spec& wanted) {
  const auto& a = std::get<FilterSpec>(have);
  const auto& b = std::get<FilterSpec>(wanted);
  return a.means != b.means || share_hooks(a.filter.by, b.filter.by);
}
bool fast_path_changes(const Spec& have, const Spec& wanted) {
  return share_hooks(std::get<FastPathSpec>(have), std::get<FastPathSpec>(wanted));
}
bool shaping_changes(const Spec& have, const Spec& wanted) {
  return std::get<ShapingSpec>(have).tun == std::get<ShapingSpec>(wanted).tun;
}
bool announce_changes(const Spec& have, const Spec& wanted) {
  const auto& a = std::get<AnnounceSpec>(have);
  const auto& b = std::get<AnnounceSpec>(wanted);
  return a.uplink_ifindex == b.uplink_ifindex && a.tun == b.tun && a.v6 == b.v6;
}
bool listen_changes(const Spec& have, const Spec& wanted) {
  const auto& a = std::get<ListenSpec>(have);
  const auto& b = std::get<ListenSpec>(wanted);
  return a.uplink_ifindex == b.uplink_ifindex && a.layer == b.layer;
}
bool lan_changes(const Spec& have, const Spec& wanted) {
  return std::get<LanSpec>(have).tun == std::get<LanSpec>(wanted).tun;
}
// A running clatd can be told new MTUs, and nothing else.
bool child_changes(const Spec& have, const Spec& wanted) {
  auto told = std::get<ChildSpec>(have);
  told.mtu = std::get<ChildSpec>(wanted).mtu;
  told.lowest_ipv6_mtu = std::get<ChildSpec>(wanted).lowest_ipv6_mtu;
  return told == std::get<ChildSpec>(wanted);
}

std::uint32_t setup_mtu(const Spec& spec) { return std::get<SetupSpec>(spec).mtu; }
std::uint32_t filter_mtu(const Spec& spec) { return std::get<FilterSpec>(spec).filter.by.uplink_mtu; }
std::uint32_t fast_path_mtu(const Spec& spec) { return std::get<FastPathSpec>(spec).uplink_mtu; }
std::uint32_t child_mtu(const Spec& spec) { return std::get<ChildSpec>(spec).mtu; }

// - guard before fast path before announce: attach before announce, withdraw before detach, the blackhole in first and
//   out last.
// - Announced on another leg than the fast one it needs neither; so changing legs makes the one before it takes down
//   the other.
// - A clatd runs only behind its filter. The fast path needs that, too: the tun's map entry is the filter's.
// - What clatd writes is shaped behind the check of it: an ifb hands packets to the stack past all programs. What
// cannot
//   be shaped holds back nothing.
// - The LAN is served before the default route leads it there, but the route does not wait for what cannot be had.
// - The listener stands on nothing: without what it hears nothing else may be wanted.
// - The route does not stand on the announcement: changing legs must not take the default route away.
constexpr std::array<Rules, kParts> kRules{{
    {Part::record, false, {}, always, any_size},
    {Part::tun, true, {Part::record}, never, any_size},
    {Part::setup, true, {Part::tun}, setup_changes, setup_mtu},
    {Part::guard, true, {Part::record}, never, any_size},
    {Part::filter, true, {Part::setup}, filter_changes, filter_mtu},
    {Part::fast_path, true, {Part::setup, Part::guard, Part::filter}, fast_path_changes, fast_path_mtu},
    {Part::shaping, true, {Part::setup, Part::filter}, shaping_changes, any_size},
    {Part::announce, true, {Part::setup, Part::guard, Part::fast_path}, announce_changes, any_size},
    {Part::child, false, {Part::setup, Part::filter}, child_changes, child_mtu},
    {Part::lan, true, {Part::setup}, lan_changes, any_size},
    {Part::route, true, {Part::setup}, never, any_size},
    {Part::listen, false, {}, listen_changes, any_size},
}};

constexpr const Rules& rules_of(Part part) { return kRules[index(part)]; }
static_assert(
    [] {
      for (const Part part : kInOrder) {
        if (rules_of(part).part != part) return false;
        for (const Part base : kInOrder) {
          if (base >= part && rules_of(part).stands_on.contains(base)) return false;
        }
      }
      return true;
    }(),
    "the rows are in order, and each part stands on earlier ones only");

}  // namespace

bool stands_on(Part part, Part base, const std::optional<Spec>& spec) {
  const bool off_the_fast_leg = part == Part::announce && spec && std::get<AnnounceSpec>(*spec).leg != Leg::fast;
  if (off_the_fast_leg && (base == Part::guard || base == Part::fast_path)) return false;
  return rules_of(part).stands_on.contains(base);
}

bool changes_in_place(const Spec& have, const Spec& wanted) {
  return rules_of(part_of(have)).changes_in_place(have, wanted);
}

std::uint32_t mtu_of(const std::optional<Spec>& spec) { return spec ? rules_of(part_of(*spec)).mtu(*spec) : 0; }

bool is_audited(Part part) { return rules_of(part).audited; }

}  // namespace clat::plan
