#include "bpf/maps.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "bpf/libbpf_log.hpp"

namespace clat::bpf {

namespace {

bool is_same(const clat_interface& left, const clat_interface& right) {
  return std::memcmp(&left, &right, sizeof(left)) == 0;
}
// The loader's own.
clat_interface without_flag(clat_interface value) {
  value.flags &= static_cast<std::uint16_t>(~CLAT_FLAG_OWN_QDISC);
  return value;
}

// Until all programs that run now have ended: this is the kernel's synchronize_rcu(). Where the kernel has none of it
// (nohz_full), or a sandbox refuses, the next write may disturb a packet, as it does without.
void wait_for_programs() { syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); }

bool leads_to(const std::optional<clat_interface>& entry, int peer) {
  return entry && entry->peer_ifindex == static_cast<std::uint32_t>(peer);
}

bool is_of_lan(const std::optional<clat_interface>& entry) { return entry && (entry->flags & CLAT_FLAG_LAN) != 0; }

}  // namespace

std::optional<clat_interface> Maps::entry(int ifindex) const {
  clat_interface value{};
  const auto key = static_cast<std::uint32_t>(ifindex);
  if (bpf_map_lookup_elem(interfaces_, &key, &value) != 0) return std::nullopt;
  return value;
}

template <class GoesOn>
void Maps::each_entry(GoesOn goes_on) const {
  std::uint32_t key = 0;
  const void* last = nullptr;
  // At most so many, whatever is changed under way.
  for (int i = 0; i < 2 * CLAT_MAX_UPLINKS && bpf_map_get_next_key(interfaces_, last, &key) == 0; ++i, last = &key) {
    const auto ifindex = static_cast<int>(key);
    const auto value = entry(ifindex);
    if (value && !goes_on(ifindex, *value)) return;
  }
}

Result<> Maps::verify(int ifindex, const clat_interface& wanted) const {
  clat_interface value{};
  const auto key = static_cast<std::uint32_t>(ifindex);
  const auto name = "the map entry of interface " + std::to_string(ifindex);
  if (bpf_map_lookup_elem(interfaces_, &key, &value) != 0) return failure("read " + name, errno);
  if (!is_same(without_flag(value), wanted)) return failure(name + " was changed");
  return {};
}

int Maps::tun_of(int uplink_ifindex) const {
  if (const auto uplink = entry(uplink_ifindex)) return static_cast<int>(uplink->peer_ifindex);
  int tun = 0;
  each_entry([&](int ifindex, const clat_interface& value) {
    if (value.uplink_ifindex == static_cast<std::uint32_t>(uplink_ifindex)) tun = ifindex;
    return tun == 0;
  });
  return tun;
}

bool Maps::has_tun(const Ends& ends) const { return leads_to(entry(ends.tun), ends.uplink); }
bool Maps::has_uplink(const Ends& ends) const { return leads_to(entry(ends.uplink), ends.tun); }

Result<> Maps::write(int ifindex, clat_interface value, std::uint64_t flags) {
  if (has_own_qdisc(ifindex)) value.flags |= CLAT_FLAG_OWN_QDISC;
  return put(ifindex, value, flags);
}

Result<> Maps::mark_own_qdisc(int ifindex) {
  auto value = entry(ifindex);
  if (!value) return failure("there is no map entry of interface " + std::to_string(ifindex), ENOENT);
  value->flags |= CLAT_FLAG_OWN_QDISC;
  return put(ifindex, *value, BPF_EXIST);
}

bool Maps::has_own_qdisc(int ifindex) const {
  const auto value = entry(ifindex);
  return value && (value->flags & CLAT_FLAG_OWN_QDISC) != 0;
}

// From 6.1 on the kernel gives the memory of an entry that went to the next one that comes, whoever still reads it: a
// program could see parts of both, or find none at all.
Result<> Maps::put(int ifindex, const clat_interface& value, std::uint64_t flags) {
  const auto key = static_cast<std::uint32_t>(ifindex);
  const auto before = entry(ifindex);
  if (before && is_same(*before, value)) return {};
  if (std::exchange(outdated_, false)) wait_for_programs();
  if (bpf_map_update_elem(interfaces_, &key, &value, flags) != 0) {
    return failure("write the map entry of interface " + std::to_string(ifindex), errno);
  }
  outdated_ = before.has_value();
  return {};
}

bool Maps::is_lan(int ifindex) const { return is_of_lan(entry(ifindex)); }

// EEXIST where it is an end of a CLAT.
Result<> Maps::put_lan(int ifindex) {
  if (is_lan(ifindex)) return {};
  clat_interface value{};
  value.flags = CLAT_FLAG_LAN;
  return put(ifindex, value, BPF_NOEXIST);
}

void Maps::remove_lan(int ifindex) {
  if (is_lan(ifindex)) remove(ifindex);
}

std::vector<int> Maps::lan_devices() const {
  std::vector<int> devices;
  each_entry([&](int ifindex, const clat_interface& value) {
    if (is_of_lan(value)) devices.push_back(ifindex);
    return true;
  });
  return devices;
}

Result<> Maps::make_counters(int uplink_ifindex) const {
  const auto key = static_cast<std::uint32_t>(uplink_ifindex);
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return libbpf_failure("count the CPUs", -cpus);
  const std::vector<clat_counters> zero(static_cast<std::size_t>(cpus));
  if (bpf_map_update_elem(counters_, &key, zero.data(), BPF_NOEXIST) != 0 && errno != EEXIST) {
    return failure("make the counters", errno);
  }
  return {};
}

Result<std::vector<clat_counters>> Maps::counters_of(int uplink_ifindex) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return libbpf_failure("count the CPUs", -cpus);
  std::vector<clat_counters> values(static_cast<std::size_t>(cpus));
  const auto key = static_cast<std::uint32_t>(uplink_ifindex);
  if (bpf_map_lookup_elem(counters_, &key, values.data()) != 0) return failure("read the counters", errno);
  return values;
}

Result<> Maps::know_subnets(std::span<const Ipv4Prefix> subnets) {
  const auto key_of = [](const Ipv4Prefix& subnet) {
    return clat_subnet{.length = subnet.length, .v4_be32 = htonl(subnet.address.number())};
  };
  for (const auto& gone : known_subnets_) {
    if (std::ranges::find(subnets, gone) != subnets.end()) continue;
    const auto key = key_of(gone);
    bpf_map_delete_elem(subnets_, &key);
  }
  for (const auto& subnet : subnets) {
    // A full map takes nothing, not even what it has (before 6.13).
    if (std::ranges::find(known_subnets_, subnet) != known_subnets_.end()) continue;
    const auto key = key_of(subnet);
    const std::uint8_t present = 1;
    if (bpf_map_update_elem(subnets_, &key, &present, BPF_ANY) != 0) {
      return failure("write the map entry of " + subnet.text(), errno);
    }
  }
  known_subnets_.assign(subnets.begin(), subnets.end());
  return {};
}

Result<> Maps::set_optimistic(int uplink_ifindex, bool optimistic) const {
  const auto key = static_cast<std::uint32_t>(uplink_ifindex);
  constexpr std::uint8_t kPresent = 1;
  const int done =
      optimistic ? bpf_map_update_elem(optimistic_, &key, &kPresent, BPF_ANY) : bpf_map_delete_elem(optimistic_, &key);
  if (done != 0 && errno != ENOENT) return failure("say whether the address is ours", errno);
  return {};
}

void Maps::remove_uplink(const Ends& ends) {
  const auto there = entry(ends.uplink);
  if (there && !leads_to(there, ends.tun)) return;
  (void)set_optimistic(ends.uplink, false);
  if (there) remove(ends.uplink);
  remove_unused_counters(ends);
}

void Maps::remove_tun(const Ends& ends) {
  if (has_tun(ends)) remove(ends.tun);
  remove_unused_counters(ends);
}

void Maps::remove(int ifindex) {
  const auto key = static_cast<std::uint32_t>(ifindex);
  bpf_map_delete_elem(interfaces_, &key);
  outdated_ = true;
}

void Maps::remove_unused_counters(const Ends& ends) const {
  if (has_tun(ends) || tun_of(ends.uplink) != 0) return;
  const auto key = static_cast<std::uint32_t>(ends.uplink);
  bpf_map_delete_elem(counters_, &key);
}

}  // namespace clat::bpf
