// Filters at the ingress of devices, over rtnetlink: how an uplink's packets go to an ifb, and the copy of that at a
// tun of ours.
#pragma once

#include <optional>
#include <vector>

#include "bpf/ingress.hpp"
#include "core/base/error.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::system {

// Ifindexes of the devices at whose ingress there may be filters.
Result<std::vector<int>> filtered_devices(NetlinkSocket& socket);
// Nothing is redirected where there is no such device, or no qdisc.
Result<bpf::Ingress> read_ingress(NetlinkSocket& socket, int ifindex);

// Makes IPv4 that comes in by the tun go as `wanted` says. The copy stands behind our own filter; those of others stay.
// None: the copy is gone afterwards, and the qdisc, too, when no filter is left on it. EEXIST, EINVAL: somebody else's
// filter has its place.
Result<> copy_redirect(NetlinkSocket& socket, int tun, const std::optional<bpf::Redirect>& wanted);
Result<> verify_redirect(NetlinkSocket& socket, int tun, const std::optional<bpf::Redirect>& wanted);

}  // namespace clat::system
