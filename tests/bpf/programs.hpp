// What the kernel says about BPF objects, and runs of a single program.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bpf/owned_fd.hpp"
#include "tests/bpf/lab.hpp"
#include "tests/support/packet.hpp"

namespace clat::test {

constexpr int kPass = -1;
constexpr int kRedirect = 7;  // TC_ACT_REDIRECT
constexpr int kDrop = 2;      // TC_ACT_SHOT

// Ids of everything there is: what a test leaves behind shows up.
struct BpfObjects {
  std::set<std::uint32_t> programs, maps, links;
  bool operator==(const BpfObjects&) const = default;
};
// Only objects of the fast path, by name; links by their program.
BpfObjects our_objects();
std::size_t open_files();

// Ids of the programs on a TCX hook or filter chain of an interface, in order.
std::vector<std::uint32_t> tcx_programs(int ifindex, bool ingress);
// Lines of `tc filter show` that name one of our programs.
unsigned our_filters(const std::string& interface, const std::string& direction);

// The program of a pinned link.
bpf::OwnedFd program_of_pin(const std::string& pin);
std::uint32_t link_id_of_pin(const std::string& pin);

struct Run {
  int verdict = 0;
  Bytes bytes;  // Ethernet header included
};
// BPF_PROG_TEST_RUN of a frame that came in on `ifindex`.
Run run(const bpf::OwnedFd& program, int ifindex, const Bytes& frame, std::uint32_t gso_size = 0);

}  // namespace clat::test
