// The sockets of Android's clatd, option by option (ClatCoordinator, AOSP since 2021). Its netd opens them for it;
// until 2021 clatd opened them itself.
#pragma once

#include <cstdint>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/net/address.hpp"

namespace clat::android {

// -r: what arrives on the device for this address, a virtio_net_hdr in front. Blocking.
Result<Fd> open_packet_socket(int ifindex, const Ipv6Address& address);

// -w: sends whole IPv6 packets with this fwmark; while it is open, the address is an anycast address of the device.
Result<Fd> open_raw_socket(int ifindex, const Ipv6Address& address, std::uint32_t mark);

// A socket that does nothing but keep the address an anycast address of the device.
Result<Fd> join_anycast(int ifindex, const Ipv6Address& address);

}  // namespace clat::android
