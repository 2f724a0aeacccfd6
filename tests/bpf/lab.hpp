// Two private network namespaces: the router with its uplink and tun, and the network behind the uplink. Neither has a
// name, so nothing is left behind by a test that dies.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bpf/attachment.hpp"
#include "bpf/clat_abi.h"
#include "bpf/fast_path.hpp"
#include "bpf/pins.hpp"
#include "core/base/fd.hpp"

namespace clat::test {

// Runs a shell command in the present namespace; throws with its words when it fails.
void shell(const std::string& command);
std::string output_of(const std::string& command);

// The present kernel against a version of Linux.
bool kernel_is_at_least(unsigned major, unsigned minor);
// Whether a vnet header may say so (Linux 6.2).
inline bool kernel_knows_udp_gso() { return kernel_is_at_least(6, 2); }
// What the fast path needs, and nothing else, for the calling thread: CAP_BPF, CAP_NET_ADMIN, and below Linux 6.8
// CAP_PERFMON, since the verifier takes a number on the stack for a pointer there.
[[nodiscard]] bool keep_only_the_needed_capabilities();

// How often to repeat: `usual`, times what tests/run.sh asks for; three times at least.
[[nodiscard]] unsigned test_rounds(unsigned usual);

// A bpffs of its own in a temporary folder.
class BpfFolder {
 public:
  BpfFolder();
  ~BpfFolder();
  BpfFolder(const BpfFolder&) = delete;
  BpfFolder& operator=(const BpfFolder&) = delete;

  [[nodiscard]] const std::string& mount_point() const { return path_; }
  [[nodiscard]] std::string bpf_dir() const { return path_ + "/clatvisor"; }
  // Throws with the error's words.
  [[nodiscard]] bpf::FastPath open(bool allow_tcx = true) const;
  // Where a build of this ABI version pins when it is run in the present network namespace.
  [[nodiscard]] std::string pins(unsigned version = CLAT_ABI_VERSION) const {
    return bpf_dir() + "/" + bpf::version_name(version, *bpf::network_namespace());
  }

 private:
  std::string path_;
};

inline constexpr char kUplink[] = "up0";
inline constexpr char kTun[] = "v4-up0";
inline constexpr char kPeerLink[] = "peer0";
inline constexpr char kUplinkMac[] = "02:00:00:00:00:01";
inline constexpr char kPeerMac[] = "02:00:00:00:00:02";
inline constexpr std::uint32_t kMtu = 1500;

class Lab {
 public:
  Lab();
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  // The thread of the test is in the router's namespace; this runs something in the other one.
  void on_peer(const std::function<void()>& work) const;
  [[nodiscard]] int peer_namespace() const { return peer_.get(); }

  [[nodiscard]] int uplink() const { return uplink_; }
  [[nodiscard]] int tun() const { return tun_; }
  [[nodiscard]] int tun_fd() const { return tun_fd_.get(); }
  // Addresses of the table's scene with the neutral address, MTU 1500.
  [[nodiscard]] bpf::Attachment attachment() const;

 private:
  Fd home_, router_, peer_;
  Fd tun_fd_;
  int uplink_ = 0, tun_ = 0;
};

// Filter and fast path of a CLAT in one, all or nothing: the filter first, and last off.
class BothParts {
 public:
  explicit BothParts(bpf::FastPath each) : each_(std::move(each)) {}
  static Result<BothParts> open(const std::string& bpf_dir, bool allow_tcx = true);
  static Result<> purge(const std::string& bpf_dir) { return bpf::FastPath::purge(bpf_dir); }

  Result<bpf::AttachKind> attach(const bpf::Attachment& wanted);
  Result<> update(const bpf::Attachment& wanted);
  Result<> detach(const bpf::Attachment& attached);
  Result<> verify(const bpf::Attachment& attached);
  Result<> forget(int uplink_ifindex) { return each_.forget(uplink_ifindex); }
  Result<> verify_pins() { return each_.verify_pins(); }
  Result<bpf::Counters> counters(const bpf::Attachment& attached) { return each_.counters(attached); }
  bpf::FastPath& each() { return each_; }

 private:
  bpf::FastPath each_;
};

// A tun with vnet headers and every offload in the present namespace, up, without IPv6 addresses.
Fd make_tun(const std::string& name);
int ifindex_of(const std::string& name);

// The value of a counter by its name; throws when there is none.
std::uint64_t counter(const bpf::Counters& counters, const std::string& name);
// Name and growth of those that differ.
std::vector<std::pair<std::string, std::uint64_t>> growth(const bpf::Counters& before, const bpf::Counters& after);

}  // namespace clat::test
