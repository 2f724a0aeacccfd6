// What the filters at a link's ingress do with all that comes in, as passive values (no netlink here).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace clat::bpf {

// The action `ctinfo`, which takes the DSCP and the mark of a packet from its connection. A mask of 0: that is left
// alone.
struct CtInfo {
  std::uint16_t zone = 0;  // of conntrack
  std::uint32_t dscp_mask = 0;
  std::uint32_t dscp_state_mask = 0;
  std::uint32_t mark_mask = 0;
  bool operator==(const CtInfo&) const = default;
};

// A filter that hands every packet to another device, an ifb above all, to be shaped there.
struct Redirect {
  std::string kind;                   // of the filter: "u32", "matchall", "flower" or "basic"
  int device = 0;                     // ifindex; 0: the device is gone
  std::optional<CtInfo> ctinfo = {};  // before the packet is handed over
  bool operator==(const Redirect&) const = default;
};

// Another filter, of which no copy is made.
struct OtherFilter {
  std::string kind;
  std::uint16_t pref = 0;
  bool operator==(const OtherFilter&) const = default;
};

struct Ingress {
  std::optional<Redirect> redirect = {};
  std::optional<OtherFilter> other = {};  // the first that sees packets before the redirect, or without one
  bool decided = false;                   // filters behind those that were seen get no packet
  bool operator==(const Ingress&) const = default;
};

}  // namespace clat::bpf
