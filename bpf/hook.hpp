// Where a program of the fast path is attached.
#pragma once

#include <cstdint>
#include <string>

namespace clat::bpf {

enum class Flow : std::uint8_t { ingress, egress };

// Packets that are lost, or go unchecked, when a program does not get to see them.
struct MustSee {
  bool ipv4 = false;
  bool ipv6 = false;
};

struct Hook {
  const char* name;  // part of the pin's name, and of messages: "tun-egress"
  int ifindex = 0;
  Flow flow = Flow::ingress;
  int program_fd = -1;
  std::uint32_t program_id = 0;
  MustSee must_see = {};
};

// All our programs are called so; what else sits on a hook is somebody else's.
constexpr char kProgramNamePrefix[] = "clat_";

}  // namespace clat::bpf
