// An uplink that is a VLAN (8021q) of another interface.
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <optional>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"

namespace clat::test {
namespace {

constexpr int kPatience = 20'000;  // ms
constexpr char kPeer6[] = "64:ff9b::c000:221";

class VlanTest : public testing::Test {
 protected:
  VlanTest() {
    shell(std::string("ip link add link ") + kUplink + " name " + vlan_ + " type vlan id 5");
    shell(std::string("ip link set ") + vlan_ + " addrgenmode none");
    shell(std::string("ip link set ") + vlan_ + " up");
    shell(std::string("ip -6 neigh replace fe80::2 lladdr ") + kPeerMac + " nud permanent dev " + vlan_);
    shell(std::string("ip -6 route add default via fe80::2 dev ") + vlan_);
    lab_.on_peer([this] {
      shell(std::string("ip link add link ") + kPeerLink + " name peer0.5 type vlan id 5");
      shell("ip link set peer0.5 addrgenmode none");
      shell("ip link set peer0.5 up");
      peer_.emplace("peer0.5", ETH_P_IPV6, ETH_HLEN);
    });
    auto opened = BothParts::open(folder_.bpf_dir());
    if (!opened) throw std::runtime_error(opened.error().text());
    fast_path_.emplace(std::move(*opened));
    attachment_.uplink = vlan_;
    attachment_.uplink_ifindex = ifindex_of(vlan_);
    if (auto done = fast_path_->attach(attachment_); !done) throw std::runtime_error(done.error().text());
  }

  const std::string vlan_ = std::string(kUplink) + ".5";
  BpfFolder folder_;
  Lab lab_;
  bpf::Attachment attachment_ = lab_.attachment();
  std::optional<BothParts> fast_path_;
  std::optional<Wire> peer_;
};

TEST_F(VlanTest, CarriesBothWays) {
  const Wire tun(kTun, ETH_P_IP, 0);
  const auto v6 = attachment_.v6.text();
  ASSERT_EQ(tun.send({{}, packet(Ip4{.source = "192.0.0.4", .destination = "192.0.2.33"}, udp(counting(20)))}), 0);
  const auto out = peer_->receive(kPatience);
  ASSERT_TRUE(out);
  EXPECT_EQ(hex(out->bytes), hex(packet(Ip6{.source = v6, .destination = kPeer6, .hop_limit = 63}, udp(counting(20)))));

  const Wire stack(kTun, ETH_P_IP, 0);
  const auto in = packet(Ip6{.source = kPeer6, .destination = v6}, udp(counting(30)));
  ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + in}), 0);
  const auto arrived = stack.receive(kPatience);
  ASSERT_TRUE(arrived);
  EXPECT_EQ(arrived->bytes.size(), 20U + 8 + 30);
  EXPECT_EQ(checksum_fault(arrived->bytes), "");
}

TEST_F(VlanTest, SteersWithoutTheTag) {
  const auto expiring =
      packet(Ip6{.source = kPeer6, .destination = attachment_.v6.text(), .hop_limit = 1}, udp(counting(8)));
  ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + expiring}), 0);
  const auto steered = read_tun(lab_.tun_fd(), kPatience);
  ASSERT_TRUE(steered);
  EXPECT_EQ(hex(steered->bytes), hex(expiring));
}

TEST_F(VlanTest, AnswersSolicitations) {
  lab_.on_peer([this] {
    shell("ip addr add fe80::2/64 nodad dev peer0.5");
    shell("ip -6 route add 2001:db9:1:2::/64 dev peer0.5");
    shell("ping -6 -c 1 -W 1 " + attachment_.v6.text() + " || true");
    EXPECT_NE(output_of("ip -6 neigh show dev peer0.5").find(kUplinkMac), std::string::npos);
  });
  EXPECT_GE(counter(*fast_path_->counters(attachment_), "solicitations_answered"), 1U);
}

}  // namespace
}  // namespace clat::test
