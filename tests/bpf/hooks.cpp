#include "tests/bpf/hooks.hpp"

#include <linux/if_ether.h>
#include <sched.h>

#include <algorithm>
#include <stdexcept>

namespace clat::test {

namespace {

constexpr int kPatience = 5000;  // ms

constexpr char kModem[] = "modem0";

// Multicast listener reports, which the kernel sends whenever it likes.
bool is_noise(const Packet& packet) {
  static const auto reports = address6("ff02::16");
  return packet.bytes.size() >= 40 && packet.bytes[0] >> 4 == 6 &&
         std::equal(reports.begin(), reports.end(), packet.bytes.begin() + 24);
}

template <class Receive>
std::vector<Packet> all_of(Receive receive) {
  std::vector<Packet> packets;
  while (auto packet = receive()) {
    if (!is_noise(*packet)) packets.push_back(std::move(*packet));
  }
  return packets;
}

}  // namespace

Hooks::Hooks(LinkLayer layer) {
  // One CPU keeps the packets of one sender in order from end to end.
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof(one), &one);
  // The links refuse nothing; the MTU that counts is the one in the map.
  shell(std::string("ip link set mtu 65535 dev ") + kTun);
  layer == LinkLayer::raw_ip ? lead_to_modem() : lead_to_peer();
  tun_in_.emplace(kTun, ETH_P_IP, 0);
  tun_out_.emplace(kTun, ETH_P_IP, 0);
  auto opened = BothParts::open(folder_.bpf_dir());
  if (!opened) throw std::runtime_error(opened.error().text());
  fast_path_.emplace(std::move(*opened));
  if (auto attached = fast_path_->attach(attachment_); !attached) throw std::runtime_error(attached.error().text());
}
Hooks::~Hooks() { (void)fast_path_->detach(attachment_); }

void Hooks::lead_to_peer() {
  shell(std::string("ip -6 neigh replace fe80::2 lladdr ") + kPeerMac + " nud permanent dev " + kUplink);
  shell(std::string("ip -6 route add default via fe80::2 dev ") + kUplink);
  shell(std::string("ip link set mtu 65535 dev ") + kUplink);
  lab_.on_peer([this] {
    shell(std::string("ip link set mtu 65535 dev ") + kPeerLink);
    peer_in_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN);
    peer_out_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN);
  });
  uplink_in_.emplace(kUplink, ETH_P_IPV6, ETH_HLEN);
}

void Hooks::lead_to_modem() {
  modem_ = make_tun(kModem);
  shell(std::string("ip link set mtu 65535 dev ") + kModem);
  shell(std::string("ip -6 route add default dev ") + kModem);
  attachment_.uplink = kModem;
  attachment_.uplink_ifindex = ifindex_of(kModem);
  attachment_.layer = LinkLayer::raw_ip;
  uplink_in_.emplace(kModem, ETH_P_IPV6, 0);
}

void Hooks::configure(const Clat& clat) {
  attachment_.v4 = clat.v4;
  attachment_.v6 = clat.v6;
  attachment_.prefix = clat.prefix;
  attachment_.uplink_mtu = clat.mtus.ipv6;
  attachment_.ipv4_mtu = clat.mtus.ipv4;
  attachment_.lowest_ipv6_mtu = clat.mtus.lowest_ipv6;
  attachment_.ranges = clat.ranges;
  attachment_.allow_private_ipv4 = clat.allow_private_ipv4;
  if (auto updated = fast_path_->update(attachment_); !updated) throw std::runtime_error(updated.error().text());
}

int Hooks::inject(Direction direction, const Packet& packet) const {
  if (direction == Direction::to_ipv6) return tun_out_->send(packet);
  if (modem_) return write_tun(modem_.get(), packet);
  static const auto link_header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  return peer_out_->send({packet.vnet, link_header + packet.bytes});
}

std::optional<Packet> Hooks::receive(Direction direction) const {
  if (direction == Direction::to_ipv4) return tun_in_->receive(kPatience);
  return modem_ ? read_tun(modem_.get(), kPatience) : peer_in_->receive(kPatience);
}

std::vector<Packet> Hooks::translated(Direction direction) {
  const bool to_ipv6 = direction == Direction::to_ipv6;
  const auto peer = *Ipv4Address::parse("192.0.2.99");
  const auto payload = counting(7, static_cast<std::uint8_t>(markers_++));
  const auto marker =
      to_ipv6 ? packet(Ip4{.source = attachment_.v4.text(), .destination = peer.text()}, udp(payload))
              : packet(Ip6{.source = attachment_.prefix.embed(peer).text(), .destination = attachment_.v6.text()},
                       udp(payload));
  if (inject(direction, {{}, marker}) != 0) throw std::runtime_error("the marker was not sent");
  bool marked = false;
  auto packets = all_of([&]() -> std::optional<Packet> {
    auto packet = receive(direction);
    if (!packet) return packet;
    const auto& bytes = packet->bytes;
    marked = bytes.size() == marker.size() + (to_ipv6 ? 20 : -20) &&
             std::equal(payload.begin(), payload.end(), bytes.end() - static_cast<long>(payload.size()));
    return marked ? std::nullopt : std::move(packet);
  });
  if (!marked) throw std::runtime_error("the marker did not come through");
  return packets;
}
std::vector<Packet> Hooks::punted() const {
  return all_of([this] { return read_tun(lab_.tun_fd()); });
}
std::vector<Packet> Hooks::passed() const {
  return all_of([this] { return uplink_in_->receive(); });
}

Fd Hooks::uplink_program() const { return program_named(folder_.bpf_dir(), "clat_uplink_in"); }
bpf::Counters Hooks::counters() {
  auto counters = fast_path_->counters(attachment_);
  if (!counters) throw std::runtime_error(counters.error().text());
  return *counters;
}

}  // namespace clat::test
