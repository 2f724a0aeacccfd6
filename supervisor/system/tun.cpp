#include "supervisor/system/tun.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

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

Result<> set_offloads(const Fd& tun) {
  if (::ioctl(tun.get(), TUNSETOFFLOAD, kOffloads | kUdpOffloads) == 0) return {};
  if (errno == EINVAL && ::ioctl(tun.get(), TUNSETOFFLOAD, kOffloads) == 0) return {};
  return failure("TUNSETOFFLOAD", errno);
}

}  // namespace

Result<OpenTun> open_tun(const std::string& name, TunOpening opening) {
  if (!valid_interface_name(name)) return failure("\"" + name + "\" is no interface name", EINVAL);
  OpenTun tun{.fd = Fd(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC)), .ifindex = 0};
  if (!tun.fd) {
    const bool missing = errno == ENOENT || errno == ENODEV || errno == ENXIO;
    return failure(std::string(kDevice) + (missing ? " is missing (kernel module tun)" : " cannot be opened"), errno);
  }

  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  int flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (opening == TunOpening::create) flags |= IFF_TUN_EXCL;
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(tun.fd.get(), TUNSETIFF, &request) != 0) return refused(name, opening, errno);

  if (::ioctl(tun.fd.get(), TUNSETVNETHDRSZ, &kVnetHeader) != 0) return failure(name + ": TUNSETVNETHDRSZ", errno);
  if (auto set = set_offloads(tun.fd); !set) return std::unexpected(std::move(set.error()).in(name));
  tun.ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
  if (tun.ifindex == 0) return failure(name + ": if_nametoindex", errno);
  return tun;
}

Result<> keep_tun(const Fd& tun, bool keep) {
  if (::ioctl(tun.get(), TUNSETPERSIST, keep ? 1 : 0) != 0) return failure("TUNSETPERSIST", errno);
  return {};
}

}  // namespace clat::system
