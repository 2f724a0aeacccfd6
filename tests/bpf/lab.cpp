#include "tests/bpf/lab.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

extern "C" unsigned int if_nametoindex(const char* name);  // <net/if.h> and <linux/if.h> do not go together

namespace clat::test {

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

Fd present_namespace() {
  Fd fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) fail("open the network namespace");
  return fd;
}
Fd new_namespace() {
  if (unshare(CLONE_NEWNET) != 0) fail("unshare");
  return present_namespace();
}
void enter(const Fd& space) {
  if (setns(space.get(), CLONE_NEWNET) != 0) fail("setns");
}

// Two requests: in one, the interface is up, and sends, before it knows that it needs no address.
void bring_up(const std::string& name) {
  shell("ip link set " + name + " addrgenmode none");
  shell("ip link set " + name + " up");
}

}  // namespace

std::string output_of(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) fail(command);
  std::string text;
  char chunk[4096];
  while (const auto size = std::fread(chunk, 1, sizeof(chunk), pipe)) text.append(chunk, size);
  if (const int status = pclose(pipe); status != 0) throw std::runtime_error(command + ": " + text);
  return text;
}
void shell(const std::string& command) { output_of(command); }

bool kernel_is_at_least(unsigned major, unsigned minor) {
  utsname name{};
  unsigned here_major = 0, here_minor = 0;
  if (uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &here_major, &here_minor) != 2) fail("uname");
  return here_major != major ? here_major > major : here_minor >= minor;
}

bool keep_only_the_needed_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  const auto keep = [&](unsigned capability) {
    data[capability / 32].permitted |= 1U << capability % 32;
    data[capability / 32].effective |= 1U << capability % 32;
  };
  keep(CAP_BPF);
  keep(CAP_NET_ADMIN);
  if (!kernel_is_at_least(6, 8)) keep(CAP_PERFMON);
  return syscall(SYS_capset, &header, data) == 0;
}

unsigned test_rounds(unsigned usual) {
  const char* given = std::getenv("CLATVISOR_TEST_ROUNDS");
  return std::max(3U, static_cast<unsigned>(usual * (given != nullptr ? std::strtod(given, nullptr) : 1.0)));
}

BpfFolder::BpfFolder() {
  // In a mount namespace of this process, so that nothing stays mounted when it is killed.
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) fail("unshare");
  char name[] = "/tmp/bpft-XXXXXX";
  if (mkdtemp(name) == nullptr) fail("mkdtemp");
  path_ = name;
  if (mount("bpf", path_.c_str(), "bpf", 0, "mode=0700") != 0) fail("mount a bpffs");
}
BpfFolder::~BpfFolder() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

bpf::FastPath BpfFolder::open(bool allow_tcx) const {
  auto opened = bpf::FastPath::open(bpf_dir(), allow_tcx);
  if (!opened) throw std::runtime_error(opened.error().text());
  return std::move(*opened);
}

int ifindex_of(const std::string& name) { return static_cast<int>(if_nametoindex(name.c_str())); }

Fd make_tun(const std::string& name) {
  constexpr unsigned kUso = 0x20 | 0x40;  // TUN_F_USO4, TUN_F_USO6 of Linux 6.2
  constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  Fd fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) fail("/dev/net/tun");
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name.c_str());
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) fail("TUNSETIFF");
  if (ioctl(fd.get(), TUNSETOFFLOAD, kOffloads | kUso) != 0 && ioctl(fd.get(), TUNSETOFFLOAD, kOffloads) != 0) {
    fail("TUNSETOFFLOAD");
  }
  bring_up(name);
  return fd;
}

Lab::Lab() : home_(present_namespace()) {
  peer_ = new_namespace();
  router_ = new_namespace();
  const auto peer_path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(peer_.get());
  shell(std::string("ip link add ") + kUplink + " address " + kUplinkMac + " mtu 1500 type veth peer name " +
        kPeerLink + " address " + kPeerMac + " mtu 1500 netns " + peer_path);
  bring_up(kUplink);
  bring_up("lo");
  on_peer([] {
    bring_up(kPeerLink);
    bring_up("lo");
  });
  tun_fd_ = make_tun(kTun);
  uplink_ = ifindex_of(kUplink);
  tun_ = ifindex_of(kTun);
}
Lab::~Lab() { setns(home_.get(), CLONE_NEWNET); }

void Lab::on_peer(const std::function<void()>& work) const {
  enter(peer_);
  try {
    work();
  } catch (...) {
    enter(router_.get() >= 0 ? router_ : home_);
    throw;
  }
  enter(router_);
}

bpf::Attachment Lab::attachment() const {
  return {.uplink = kUplink,
          .uplink_ifindex = uplink_,
          .tun_ifindex = tun_,
          .layer = LinkLayer::ethernet,
          .mac = {{2, 0, 0, 0, 0, 1}},
          .v4 = *Ipv4Address::parse("192.0.0.4"),
          .v6 = *Ipv6Address::parse("2001:db9:1:2:aaaa:e79b:1:0"),
          .prefix = *Nat64Prefix::parse("64:ff9b::/96"),
          .uplink_mtu = kMtu,
          .lowest_ipv6_mtu = kMtu,
          .mark = 0};
}

Result<BothParts> BothParts::open(const std::string& bpf_dir, bool allow_tcx) {
  auto opened = bpf::FastPath::open(bpf_dir, allow_tcx);
  if (!opened) return std::unexpected(std::move(opened).error());
  return BothParts(std::move(*opened));
}
Result<bpf::AttachKind> BothParts::attach(const bpf::Attachment& wanted) {
  const bpf::Filter filter{.by = wanted};
  if (auto attached = each_.attach(filter); !attached) return std::unexpected(std::move(attached).error());
  auto kind = each_.attach(wanted);
  if (!kind && kind.error().code != EAGAIN) (void)each_.detach(filter);
  return kind;
}
Result<> BothParts::update(const bpf::Attachment& wanted) {
  auto updated = each_.update(bpf::Filter{.by = wanted});
  return updated ? each_.update(wanted) : updated;
}
Result<> BothParts::detach(const bpf::Attachment& attached) {
  auto gone = each_.detach(attached);
  auto filter_gone = each_.detach(bpf::Filter{.by = attached});
  return gone ? filter_gone : gone;
}
Result<> BothParts::verify(const bpf::Attachment& attached) {
  auto there = each_.verify(bpf::Filter{.by = attached});
  return there ? each_.verify(attached) : there;
}

std::uint64_t counter(const bpf::Counters& counters, const std::string& name) {
  for (const auto& [key, value] : counters) {
    if (key == name) return value;
  }
  throw std::out_of_range("no counter " + name);
}

std::vector<std::pair<std::string, std::uint64_t>> growth(const bpf::Counters& before, const bpf::Counters& after) {
  std::vector<std::pair<std::string, std::uint64_t>> grown;
  for (const auto& [name, value] : after) {
    if (const auto old = counter(before, name); old != value) grown.emplace_back(name, value - old);
  }
  return grown;
}

}  // namespace clat::test
