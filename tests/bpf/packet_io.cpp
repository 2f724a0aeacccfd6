#include "tests/bpf/packet_io.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "tests/bpf/lab.hpp"

namespace clat::test {

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

bool readable(int fd, int wait) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, wait) == 1;
}

std::optional<Packet> take(int fd, bool is_socket, int wait) {
  static std::array<std::uint8_t, 70000> buffer;
  for (;;) {
    if (!readable(fd, wait)) return std::nullopt;
    Packet packet;
    iovec parts[] = {{&packet.vnet, sizeof(packet.vnet)}, {buffer.data(), buffer.size()}};
    sockaddr_ll from{};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof(from);
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const auto size = is_socket ? recvmsg(fd, &message, 0) : readv(fd, parts, 2);
    if (size < static_cast<ssize_t>(sizeof(packet.vnet))) fail("receive");
    if (is_socket && from.sll_pkttype == PACKET_OUTGOING) continue;
    packet.bytes.assign(buffer.begin(), buffer.begin() + size - static_cast<long>(sizeof(packet.vnet)));
    return packet;
  }
}

}  // namespace

Wire::Wire(const std::string& interface, std::uint16_t ethertype, std::uint16_t link_header)
    : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)),
      ifindex_(ifindex_of(interface)),
      ethertype_(ethertype),
      link_header_(link_header) {
  if (!fd_) fail("packet socket");
  const int on = 1;
  if (setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0) fail("PACKET_VNET_HDR");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype);
  address.sll_ifindex = ifindex_;
  if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fail("bind packet socket");
}

int Wire::send(const Packet& packet) const {
  auto vnet = packet.vnet;
  // To the kernel both count from the first byte given.
  if ((vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0) vnet.checksum_start += link_header_;
  if (vnet.header_length != 0) vnet.header_length += link_header_;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ethertype_);
  address.sll_ifindex = ifindex_;
  Bytes copy = packet.bytes;
  iovec parts[] = {{&vnet, sizeof(vnet)}, {copy.data(), copy.size()}};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof(address);
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return sendmsg(fd_.get(), &message, 0) < 0 ? errno : 0;
}

std::optional<Packet> Wire::receive(int wait) const {
  auto packet = take(fd_.get(), true, wait);
  if (!packet || packet->bytes.size() < link_header_) return packet;
  packet->bytes.erase(packet->bytes.begin(), packet->bytes.begin() + link_header_);
  if ((packet->vnet.flags & xlat::VnetHeader::kNeedsChecksum) != 0) packet->vnet.checksum_start -= link_header_;
  return packet;
}

std::optional<Packet> read_tun(int fd, int wait) { return take(fd, false, wait); }

int write_tun(int fd, const Packet& packet) {
  auto copy = packet;
  const iovec parts[] = {{&copy.vnet, sizeof(copy.vnet)}, {copy.bytes.data(), copy.bytes.size()}};
  return writev(fd, parts, 2) < 0 ? errno : 0;
}

Bytes mac(const std::string& text) {
  std::array<unsigned, 6> parts{};
  if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4],
                  &parts[5]) != 6) {
    throw std::invalid_argument(text);
  }
  Bytes bytes;
  for (const auto part : parts) bytes.push_back(static_cast<std::uint8_t>(part));
  return bytes;
}

Bytes ethernet(const std::string& destination, const std::string& source, std::uint16_t ethertype) {
  return mac(destination) + mac(source) +
         Bytes{static_cast<std::uint8_t>(ethertype >> 8), static_cast<std::uint8_t>(ethertype)};
}

}  // namespace clat::test
