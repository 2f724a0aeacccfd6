// What the kernel says about BPF objects, and runs of a single program.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.hpp"
#include "tests/bpf/lab.hpp"
#include "tests/support/packet.hpp"

namespace clat::test {

constexpr int kPass = -1;
constexpr int kRedirect = 7;  // TC_ACT_REDIRECT
constexpr int kDrop = 2;      // TC_ACT_SHOT

// The kernel's objects behind one bpf-dir: its pinned maps, the programs that use them, the links that run those.
struct BpfObjects {
  std::set<std::uint32_t> maps, programs, links;
};
BpfObjects objects_of(const std::string& bpf_dir);
// Whether they are gone. The kernel frees them a little after the last reference; this waits, up to some seconds.
bool have_gone(const BpfObjects& objects);
// Waits until `condition` holds, for what the kernel does by and by without telling; false after some seconds.
bool eventually(const std::function<bool()>& condition);
std::size_t open_files();

// How many of our programs are on a TCX hook of an interface.
std::size_t our_tcx_programs(int ifindex, bool ingress);
// Lines of `tc filter show` that name one of our programs.
unsigned our_filters(const std::string& interface, const std::string& direction);

// The program of a pinned link.
Fd program_of_pin(const std::string& pin);
// Of those that use the maps pinned in `bpf_dir`, the one that was loaded last, like "clat_uplink_in".
Fd program_named(const std::string& bpf_dir, std::string_view name);
std::uint32_t link_id_of_pin(const std::string& pin);

// Somebody else's program: counts the packets it sees and lets them go on.
class ForeignProgram {
 public:
  ForeignProgram();
  void attach_tcx(int ifindex);  // ingress; until this object dies
  [[nodiscard]] int link() const { return link_.get(); }
  [[nodiscard]] bool is_on_tcx(int ifindex) const;
  void attach_clsact(int ifindex, std::uint32_t handle = 0, std::uint32_t priority = 0);
  [[nodiscard]] std::uint64_t seen() const;
  [[nodiscard]] std::uint32_t id() const;

 private:
  Fd map_, program_, link_;
};

struct Run {
  int verdict = 0;
  Bytes bytes;  // Ethernet header included
};
// BPF_PROG_TEST_RUN of a frame that came in on `ifindex`.
Run run(const Fd& program, int ifindex, const Bytes& frame, std::uint32_t gso_size = 0);

}  // namespace clat::test
