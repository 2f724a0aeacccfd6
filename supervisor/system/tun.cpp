#include "supervisor/system/tun.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "supervisor/system/interface_name.hpp"

namespace clat::system {

namespace {

constexpr const char* kDevice = "/dev/net/tun";
constexpr int kVnetHeader = 10;  // struct virtio_net_hdr, bytes

constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
// TUN_F_USO4 | TUN_F_USO6, since Linux 6.2; Debian 12's headers are older.
constexpr unsigned kUdpOffloads = 0x20 | 0x40;

std::unexpected<Error> refused(const std::string& name, TunOpening opening, int code) {
  if (code == EBUSY && opening == TunOpening::create) return failure(name + " exists and is not ours", EEXIST);
  if (code == EBUSY) return failure(name + " is still held by another process", EBUSY);
  if (code == EINVAL && opening == TunOpening::adopt) return failure(name + " is no tun that can be adopted", EINVAL);
  if (code == EPERM) return failure("create " + name + ": CAP_NET_ADMIN is missing", EPERM);
  return failure("create " + name + ": TUNSETIFF", code);
}

Result<Fd> open_queue(const std::string& name, TunOpening opening, int flags) {
  Fd queue(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!queue) {
    const bool missing = errno == ENOENT || errno == ENODEV || errno == ENXIO;
    return failure(std::string(kDevice) + (missing ? " is missing (kernel module tun)" : " cannot be opened"), errno);
  }
  if (opening == TunOpening::create) flags |= IFF_TUN_EXCL;
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(queue.get(), TUNSETIFF, &request) != 0) return refused(name, opening, errno);
  return queue;
}

// Of the device, through any of its queues.
Result<> set_offloads(const Fd& tun) {
  if (::ioctl(tun.get(), TUNSETVNETHDRSZ, &kVnetHeader) != 0) return failure("TUNSETVNETHDRSZ", errno);
  if (::ioctl(tun.get(), TUNSETOFFLOAD, kOffloads | kUdpOffloads) == 0) return {};
  if (errno == EINVAL && ::ioctl(tun.get(), TUNSETOFFLOAD, kOffloads) == 0) return {};
  return failure("TUNSETOFFLOAD", errno);
}

}  // namespace

Result<OpenTun> open_tun(const std::string& name, TunOpening opening, model::TunShape shape) {
  if (!valid_interface_name(name)) return failure("\"" + name + "\" is no interface name", EINVAL);
  const bool vnet = shape.format == model::TunFormat::vnet;
  const int flags =
      IFF_TUN | (vnet ? IFF_NO_PI | IFF_VNET_HDR : 0) | (shape.queues > 1 ? static_cast<int>(IFF_MULTI_QUEUE) : 0);
  OpenTun tun;
  while (tun.queues.size() < shape.queues) {
    const bool first = tun.queues.empty();
    auto queue = open_queue(name, first ? opening : TunOpening::adopt, flags);
    if (!queue) return std::unexpected(std::move(queue).error());
    tun.queues.push_back(std::move(*queue));
  }
  if (vnet) {
    if (auto set = set_offloads(tun.queues.front()); !set) return std::unexpected(std::move(set.error()).in(name));
  }
  tun.ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
  if (tun.ifindex == 0) return failure(name + ": if_nametoindex", errno);
  return tun;
}

TunPlace place_of(const Fd& tun) {
  const Fd its(::ioctl(tun.get(), TUNGETDEVNETNS, nullptr));
  if (!its && errno == EBADFD) return TunPlace::gone;
  const Fd ours(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  struct stat a{};
  struct stat b{};
  if (!its || !ours || ::fstat(its.get(), &a) != 0 || ::fstat(ours.get(), &b) != 0) return TunPlace::here;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? TunPlace::here : TunPlace::elsewhere;
}

Result<> keep_tun(const Fd& tun, bool keep) {
  if (::ioctl(tun.get(), TUNSETPERSIST, keep ? 1 : 0) != 0) return failure("TUNSETPERSIST", errno);
  return {};
}

}  // namespace clat::system
