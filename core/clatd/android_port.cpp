#include "core/clatd/android_port.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/xlat/segment.hpp"

namespace clat::clatd {

namespace {

using xlat::Frame;
using xlat::Verdict;
using xlat::VnetHeader;

// The facts about a packet that the kernel gives beside its bytes.
struct Facts {
  VnetHeader vnet;
  sockaddr_ll from{};
  tpacket_auxdata aux{};
  bool whole = false;
};

// Returns the size of the frame with its L2 header, 0 if less than a vnet header came, or -1 and errno. libc's
// recvmsg() would not do: it can be socketcall(2), which the filter of system calls forbids.
ssize_t receive(int fd, std::uint8_t* to, std::size_t room, Facts& facts) {
  std::array<iovec, 2> parts{iovec{&facts.vnet, sizeof facts.vnet}, iovec{to, room}};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> control{};
  msghdr message{};
  message.msg_name = &facts.from;
  message.msg_namelen = sizeof facts.from;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = syscall(SYS_recvmsg, fd, &message, MSG_DONTWAIT);
  if (got < 0) return got;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  const bool has_aux = header != nullptr && header->cmsg_level == SOL_PACKET && header->cmsg_type == PACKET_AUXDATA;
  if (has_aux) std::memcpy(&facts.aux, CMSG_DATA(header), sizeof facts.aux);
  const auto front = static_cast<ssize_t>(sizeof facts.vnet);
  facts.whole = has_aux && (message.msg_flags & MSG_TRUNC) == 0 && got > front;
  return std::max<ssize_t>(got - front, 0);
}

// Whether the uplink's own stack would have taken the packet: promiscuous mode shows packets
// for other hosts, and a packet of a VLAN without a device looks like one without a tag.
bool is_ours(const Facts& facts) {
  constexpr std::uint16_t kVlanId = 0xfff;
  if (facts.from.sll_pkttype == PACKET_OTHERHOST || facts.from.sll_pkttype == PACKET_OUTGOING) return false;
  return (facts.aux.tp_status & TP_STATUS_VLAN_VALID) == 0 || (facts.aux.tp_vlan_tci & kVlanId) == 0;
}

// The kernel counts from the L2 header on, the translator from the IP header.
bool leave_out_l2(VnetHeader& vnet, std::uint16_t l2) {
  if (vnet.header_length != 0 && vnet.header_length <= l2) return false;
  if (vnet.header_length != 0) vnet.header_length = static_cast<std::uint16_t>(vnet.header_length - l2);
  if ((vnet.flags & VnetHeader::kNeedsChecksum) == 0) return true;
  if (vnet.checksum_start < l2) return false;
  vnet.checksum_start = static_cast<std::uint16_t>(vnet.checksum_start - l2);
  return true;
}

}  // namespace

Inbound AndroidPort::read(std::size_t input) { return input == 0 ? read_ipv4() : read_ipv6(); }

Inbound AndroidPort::read_ipv4() {
  auto inbound = read_tun(inputs_[0], buffer_, sizeof(tun_pi));
  if (inbound.state != Inbound::State::packet) return inbound;
  tun_pi info{};
  std::memcpy(&info, buffer_.packet() - sizeof info, sizeof info);
  return (info.flags & TUN_PKT_STRIP) != 0 ? Inbound::lost(Verdict::truncated) : inbound;
}

Inbound AndroidPort::read_ipv6() {
  // Behind an Ethernet header of 14 bytes the IP header is aligned.
  std::uint8_t* const at = buffer_.packet() + 2;
  Facts facts;
  const ssize_t size = receive(inputs_[1], at, PacketBuffer::kRoom - 2, facts);
  if (size < 0) {
    switch (errno) {
      case EAGAIN:
      case EINTR:
      // The uplink is down; when it is up again, packets come.
      case ENETDOWN: return {};
      // As of a tun: a GSO type that virtio_net_hdr has no number for.
      case EINVAL: return Inbound::lost(Verdict::bad_offload);
      default: return Inbound::ended(Stop::Cause::packet_socket_failed, errno);
    }
  }
  const std::uint16_t l2 = facts.aux.tp_net;
  if (!facts.whole || size <= l2) return Inbound::lost(Verdict::truncated);
  if (!is_ours(facts)) return Inbound::lost(Verdict::not_to_clat);
  if (!leave_out_l2(facts.vnet, l2)) return Inbound::lost(Verdict::bad_offload);
  return {.state = Inbound::State::packet, .frame = {at + l2, static_cast<std::size_t>(size) - l2, facts.vnet}};
}

// Neither the tun nor the raw socket takes offload requests, so super-packets are cut and checksums finished here.
std::size_t AndroidPort::write(const Frame& frame) {
  xlat::Segments segments(frame);
  if (!segments.fit()) return 1;
  std::size_t lost = 0;
  for (Frame packet; segments.next(packet);) {
    const bool written = packet.data[0] >> 4 == 4 ? write_ipv4(packet) : write_ipv6(packet);
    if (!written) ++lost;
  }
  return lost;
}

bool AndroidPort::write_ipv4(const Frame& packet) const {
  const tun_pi info{0, htons(ETH_P_IP)};
  std::uint8_t* const at = packet.data - sizeof info;
  std::memcpy(at, &info, sizeof info);
  return ::write(inputs_[0], at, packet.size + sizeof info) >= 0;
}

bool AndroidPort::write_ipv6(const Frame& packet) const {
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  std::memcpy(&to.sin6_addr, packet.data + 24, sizeof to.sin6_addr);
  return syscall(SYS_sendto, raw_fd_, packet.data, packet.size, MSG_DONTWAIT | MSG_NOSIGNAL, &to, sizeof to) >= 0;
}

}  // namespace clat::clatd
