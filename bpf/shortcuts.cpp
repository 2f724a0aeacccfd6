#include "bpf/shortcuts.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "bpf/clat_abi.h"

namespace clat::bpf {

namespace {

std::uint32_t word_be32(const Ipv4Address& address) {
  std::uint32_t word = 0;
  std::memcpy(&word, address.bytes.data(), sizeof(word));
  return word;
}

clat_flow_key outwards(const ShortcutFlow& flow) {
  return {.ifindex = static_cast<std::uint32_t>(flow.lan),
          .source_be32 = word_be32(flow.host),
          .destination_be32 = word_be32(flow.peer),
          .source_port_be16 = htons(flow.host_port),
          .destination_port_be16 = htons(flow.peer_port),
          .protocol = flow.protocol};
}
clat_flow_key inwards(const ShortcutFlow& flow) {
  return {.ifindex = static_cast<std::uint32_t>(flow.uplink),
          .source_be32 = word_be32(flow.peer),
          .destination_be32 = word_be32(flow.own),
          .source_port_be16 = htons(flow.peer_port),
          .destination_port_be16 = htons(flow.own_port),
          .protocol = flow.protocol};
}

}  // namespace

Result<> Shortcuts::put(const ShortcutFlow& flow) const {
  const auto out = outwards(flow);
  const auto in = inwards(flow);
  clat_shortcut value{};
  value.tun = static_cast<std::uint32_t>(flow.tun);
  value.mtu = flow.lan_mtu;
  value.next_hop_be32 = word_be32(flow.next_hop);
  for (const auto* key : {&out, &in}) {
    value.key = *key;
    value.back = key == &out ? in : out;
    if (bpf_map_update_elem(flows_, key, &value, BPF_ANY) == 0) continue;
    const int error = errno;
    drop(flow);
    return failure("write a flow of the shortcut", error);
  }
  return {};
}

void Shortcuts::drop(const ShortcutFlow& flow) const {
  for (const auto& key : {outwards(flow), inwards(flow)}) bpf_map_delete_elem(flows_, &key);
}

// By many at a time: one by one a full table takes a fifth of a second, for which the loop would wait.
void Shortcuts::drop_all() const {
  constexpr std::uint32_t kAtATime = 1024;
  std::vector<clat_flow_key> keys(kAtATime);
  std::vector<clat_shortcut> values(kAtATime);
  std::uint32_t place = 0;  // in the table, as the kernel counts
  const std::uint32_t* from = nullptr;
  // At most so many, whatever else is going on.
  for (std::uint32_t left = 2 * CLAT_MAX_SHORTCUTS / kAtATime + 1; left > 0; --left, from = &place) {
    std::uint32_t count = kAtATime;
    const bpf_map_batch_opts options{.sz = sizeof options, .elem_flags = 0, .flags = 0};
    const void* begin = from;
    if (bpf_map_lookup_and_delete_batch(flows_, const_cast<void*>(begin), &place, keys.data(), values.data(), &count,
                                        &options) != 0) {
      return;
    }
  }
}

Result<> Shortcuts::answer_until(std::chrono::steady_clock::time_point end) const {
  const auto value = static_cast<std::uint64_t>(std::chrono::nanoseconds(end.time_since_epoch()).count());
  const std::uint32_t zero = 0;
  if (bpf_map_update_elem(end_, &zero, &value, BPF_ANY) != 0) return failure("allow the shortcut", errno);
  return {};
}

}  // namespace clat::bpf
