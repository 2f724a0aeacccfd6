// The rules of the programs that no translation table tells: what clatd may send, sizes, tags, reasons, ways out.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <optional>

#include "bpf/clat_abi.h"
#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr int kPatience = 5000;  // ms
constexpr char kClat4[] = "192.0.0.4";
constexpr char kClat6[] = "2001:db9:1:2:aaaa:e79b:1:0";
constexpr char kPeer4[] = "192.0.2.33";
constexpr char kPeer6[] = "64:ff9b::c000:221";
constexpr std::uint8_t kTcp4 = 1, kTcp6 = 4, kUdpL4 = 5;

using Growth = std::vector<std::pair<std::string, std::uint64_t>>;

class RulesTest : public testing::Test {
 protected:
  RulesTest() {
    shell(std::string("ip -6 neigh replace fe80::2 lladdr ") + kPeerMac + " nud permanent dev " + kUplink);
    shell(std::string("ip -6 route add default via fe80::2 dev ") + kUplink);
    auto opened = BothParts::open(folder_.bpf_dir());
    if (!opened) throw std::runtime_error(opened.error().text());
    fast_path_.emplace(std::move(*opened));
    if (auto done = fast_path_->attach(attachment_); !done) throw std::runtime_error(done.error().text());
    program_ = program_named(folder_.bpf_dir(), "clat_uplink_in");
    lab_.on_peer([this] { peer_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN); });
    last_ = counters();
  }
  bpf::Counters counters() { return *fast_path_->counters(attachment_); }
  // What the counters grew by since last asked.
  Growth grown() {
    const auto now = counters();
    auto result = growth(last_, now);
    last_ = now;
    return result;
  }
  void update() { ASSERT_TRUE(fast_path_->update(attachment_).has_value()); }

  // Waits for what leaves the uplink, or goes to the stack of this host.
  std::optional<Packet> left(int wait = kPatience) { return not_noise(*peer_, wait); }
  static std::optional<Packet> not_noise(const Wire& wire, int wait) {
    const auto reports = address6("ff02::16");  // of the kernel's own
    for (;;) {
      auto packet = wire.receive(wait);
      if (!packet || packet->bytes.size() < 40 || packet->bytes[0] >> 4 != 6 ||
          !std::equal(reports.begin(), reports.end(), packet->bytes.begin() + 24)) {
        return packet;
      }
    }
  }

  BpfFolder folder_;
  Lab lab_;
  bpf::Attachment attachment_ = lab_.attachment();
  std::optional<BothParts> fast_path_;
  Fd program_;
  std::optional<Wire> peer_;
  Wire stack_{kTun, ETH_P_IP, 0};  // what tun ingress lets through
  bpf::Counters last_;
};

Bytes from_clat6(const std::string& source, const std::string& destination, const Bytes& payload = counting(8)) {
  return packet(Ip6{.source = source, .destination = destination}, icmp6(129, 0, 1, payload));
}

TEST_F(RulesTest, ClatdSendsAsTheClatIntoThePrefix) {
  const auto written = from_clat6(kClat6, kPeer6);
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, written}), 0);
  const auto out = left();
  ASSERT_TRUE(out);
  EXPECT_EQ(hex(out->bytes), hex(written));
  EXPECT_EQ(grown(), (Growth{{"from_clatd_packets", 1}, {"from_clatd_bytes", written.size()}}));
}

TEST_F(RulesTest, ClatdSendsNothingElse) {
  const struct {
    const char *source, *destination, *drop;
  } cases[] = {
      {"2001:db9:1:2:aaaa:e79b:1:1", kPeer6, "drop_source"},
      {"2001:db9:1:2::1", kPeer6, "drop_source"},
      {"fe80::1", "ff02::1", "drop_source"},
      {"::", "ff02::1", "drop_source"},
      {"::1", kPeer6, "drop_source"},
      {kPeer6, kClat6, "drop_source"},
      {kClat6, "2001:db8::1", "drop_destination"},
      {kClat6, "64:ff9b::1:c000:221", "drop_destination"},
      {kClat6, "ff02::1", "drop_destination"},
      {kClat6, kClat6, "drop_destination"},
      {kClat6, "fe80::2", "drop_destination"},
  };
  const Wire stack6(kTun, ETH_P_IPV6, 0);
  for (const auto& [source, destination, drop] : cases) {
    SCOPED_TRACE(std::string(source) + " to " + destination);
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(source, destination)}), 0);
    EXPECT_EQ(grown(), (Growth{{drop, 1}}));
  }
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(kClat6, kPeer6)}), 0);
  const auto out = left();
  ASSERT_TRUE(out);
  EXPECT_EQ(hex(out->bytes), hex(from_clat6(kClat6, kPeer6))) << "and before it nothing left";
  EXPECT_FALSE(not_noise(stack6, 0)) << "or went to the stack";
}

TEST_F(RulesTest, ClatdDeliversToTheClatAddressOnly) {
  const auto to = [](const char* destination) {
    return packet(Ip4{.source = "192.0.0.8", .destination = destination}, icmp4(11, 0, 0, counting(28)));
  };
  for (const auto* destination : {"192.0.0.5", "127.0.0.1", "255.255.255.255", "224.0.0.1", "192.168.1.1"}) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, to(destination)}), 0);
    EXPECT_EQ(grown(), (Growth{{"drop_destination", 1}})) << destination;
  }
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, to(kClat4)}), 0);
  const auto in = stack_.receive(kPatience);
  ASSERT_TRUE(in);
  EXPECT_EQ(hex(in->bytes), hex(to(kClat4)));
  EXPECT_EQ(grown(), Growth{});
}

TEST_F(RulesTest, ClatdDeliversFromPlausiblePeersOnly) {
  const auto from = [](const std::string& source) {
    return packet(Ip4{.source = source, .destination = kClat4}, udp(counting(8)));
  };
  for (const auto* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.251", "239.1.2.3",
                             "255.255.255.255", kClat4, "10.1.2.3", "172.16.0.1", "192.168.9.9"}) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from(source)}), 0);
    EXPECT_EQ(grown(), (Growth{{"drop_source", 1}})) << source;
  }
  const auto delivered = [&](const std::string& source) {
    EXPECT_EQ(write_tun(lab_.tun_fd(), {{}, from(source)}), 0);
    const auto in = stack_.receive(kPatience);
    ASSERT_TRUE(in) << source;
    EXPECT_EQ(hex(in->bytes), hex(from(source)));
  };
  for (const auto* source : {kPeer4, "192.0.0.8", "100.64.0.1", "240.0.0.1"}) delivered(source);
  // RFC 6052 §3.1 is about the Well-Known Prefix only.
  attachment_.prefix = *Nat64Prefix::parse("2001:db8:64::/96");
  update();
  for (const auto* source : {"10.1.2.3", "172.16.0.1", "192.168.9.9"}) delivered(source);
  EXPECT_EQ(grown(), Growth{});
}

// By the fast path or by clatd: nobody out there is in a subnet of ours.
TEST_F(RulesTest, NothingComesInAsFromASubnetOfThisHost) {
  attachment_.prefix = *Nat64Prefix::parse("2001:db8:64::/96");
  update();
  const auto know = [&](std::initializer_list<const char*> subnets) {
    std::vector<Ipv4Prefix> prefixes;
    for (const auto* each : subnets) prefixes.push_back(*Ipv4Prefix::parse(each));
    ASSERT_TRUE(fast_path_->each().know_subnets(prefixes).has_value());
  };
  const auto passes = [&](const std::string& source) {
    const auto sent = packet(Ip4{.source = source, .destination = kClat4}, udp(counting(8)));
    EXPECT_EQ(write_tun(lab_.tun_fd(), {{}, sent}), 0);
    const auto growth = grown();
    if (growth != Growth{}) {
      EXPECT_EQ(growth, (Growth{{"drop_connected", 1}})) << source;
      return false;
    }
    return stack_.receive(kPatience).has_value();
  };
  know({"192.168.7.0/24", "10.0.0.0/8", "198.51.100.7/32"});
  for (const auto* source : {"192.168.7.0", "192.168.7.255", "10.0.0.1", "10.255.0.1", "198.51.100.7"}) {
    EXPECT_FALSE(passes(source)) << source;
  }
  for (const auto* source : {"192.168.6.255", "192.168.8.0", "11.0.0.1", "198.51.100.6", "192.0.0.8"}) {
    EXPECT_TRUE(passes(source)) << source;
  }
  know({"192.168.7.0/24"});
  EXPECT_FALSE(passes("192.168.7.1"));
  EXPECT_TRUE(passes("10.0.0.1"));
  know({});
  EXPECT_TRUE(passes("192.168.7.1"));
}

TEST_F(RulesTest, KnowsManySubnets) {
  std::vector<Ipv4Prefix> subnets;
  for (std::uint32_t i = 0; i < CLAT_MAX_SUBNETS; ++i)
    subnets.push_back({Ipv4Address::from_number(0x0a000000 + i), 32});
  EXPECT_TRUE(fast_path_->each().know_subnets(subnets).has_value());
  for (auto& each : subnets) each.address = Ipv4Address::from_number(each.address.number() + CLAT_MAX_SUBNETS);
  EXPECT_TRUE(fast_path_->each().know_subnets(subnets).has_value());
  subnets.push_back(*Ipv4Prefix::parse("192.168.1.0/24"));
  EXPECT_EQ(fast_path_->each().know_subnets(subnets).error().code, ENOSPC);
}

// The stack is to route it, and sees what the uplink would have seen.
TEST_F(RulesTest, OnTheRoutedLegWhatClatdMaySendGoesToTheStack) {
  ASSERT_TRUE(fast_path_->each().update(bpf::Filter{.routed = true, .by = attachment_}).has_value());
  const Wire stack6(kTun, ETH_P_IPV6, 0);
  const auto written = from_clat6(kClat6, kPeer6);
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, written}), 0);
  const auto in = not_noise(stack6, kPatience);
  ASSERT_TRUE(in);
  EXPECT_EQ(hex(in->bytes), hex(written));
  EXPECT_FALSE(left(0));
  EXPECT_EQ(grown(), (Growth{{"from_clatd_packets", 1}, {"from_clatd_bytes", written.size()}}));
  const struct {
    Bytes packet;
    const char* drop;
  } cases[] = {{from_clat6("2001:db8:ffff::1", kPeer6), "drop_source"},
               {from_clat6(kClat6, "2001:db8::1"), "drop_destination"},
               {packet(Ip4{.source = "10.1.2.3", .destination = kClat4}, udp(counting(8))), "drop_source"},
               {packet(Ip4{.source = kPeer4, .destination = "192.168.1.1"}, udp(counting(8))), "drop_destination"}};
  for (const auto& [forged, drop] : cases) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, forged}), 0);
    EXPECT_EQ(grown(), (Growth{{drop, 1}}));
  }
  EXPECT_FALSE(not_noise(stack6, 0));
  EXPECT_FALSE(stack_.receive(0));
}

// The translator emits a Fragment header at most.
TEST_F(RulesTest, ClatdSendsNoHopByHopRoutingOrDestinationOptions) {
  const Bytes options{17, 0, 1, 4, 0, 0, 0, 0};
  const auto with = [&](std::uint8_t first, const Bytes& chain) {
    return packet(Ip6{.source = kClat6, .destination = kPeer6, .chain_first = first, .chain = chain}, udp(counting(8)));
  };
  for (const std::uint8_t header : {0, 43, 60}) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, with(header, options)}), 0);
    EXPECT_EQ(grown(), (Growth{{"drop_headers", 1}})) << int{header};
  }
  for (const std::uint8_t header : {0, 43, 44, 60}) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, with(44, fragment_header(header, 0, true, 1) + options)}), 0);
    EXPECT_EQ(grown(), (Growth{{"drop_headers", 1}})) << "behind a Fragment header, " << int{header};
  }
  const auto sent = with(44, fragment_header(17, 0, true, 1));
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, sent}), 0);
  const auto out = left();
  ASSERT_TRUE(out);
  EXPECT_EQ(hex(out->bytes), hex(sent));
  EXPECT_EQ(grown(), (Growth{{"from_clatd_packets", 1}, {"from_clatd_bytes", sent.size()}}));
}

TEST_F(RulesTest, ClatdWritesRubbish) {
  const auto whole = from_clat6(kClat6, kPeer6);
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, Bytes(whole.begin(), whole.begin() + 39)}), 0);
  EXPECT_EQ(grown(), (Growth{{"drop_other", 1}}));
  const auto four = packet(Ip4{.source = "192.0.0.8", .destination = kClat4}, icmp4(11, 0, 0, {}));
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, Bytes(four.begin(), four.begin() + 19)}), 0);
  EXPECT_EQ(grown(), (Growth{{"drop_other", 1}}));
}

TEST_F(RulesTest, WhatClatdWritesFitsTheUplink) {
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(kClat6, kPeer6, counting(1500 - 48))}), 0);
  EXPECT_TRUE(left());
  (void)grown();
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(kClat6, kPeer6, counting(1501 - 48))}), 0);
  EXPECT_EQ(grown(), (Growth{{"drop_too_big", 1}}));

  const auto super = packet(Ip6{.source = kClat6, .destination = kPeer6}, tcp(counting(8000), Sum::partial));
  for (const std::uint16_t segment : {std::uint16_t{1440}, std::uint16_t{1441}}) {
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{1, kTcp6, 60, segment, 40, 16}, super}), 0);
    if (segment == 1441) {
      EXPECT_EQ(grown(), (Growth{{"drop_too_big", 1}}));
      continue;
    }
    const auto out = left();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->vnet.gso_size, segment);
    EXPECT_EQ(hex(out->bytes), hex(super));
    EXPECT_EQ(grown(), (Growth{{"from_clatd_packets", 6}, {"from_clatd_bytes", super.size()}}));
  }
}

// Only translating breaks GSO inside of VXLAN and GENEVE; clatd's packets are translated already.
TEST_F(RulesTest, ClatdSendsGsoToTunnelPorts) {
  if (!kernel_knows_udp_gso()) return;
  const auto super = packet(Ip6{.source = kClat6, .destination = kPeer6}, udp(counting(5000), Sum::partial));
  for (const std::uint16_t port : {4789, 8472, 6081}) {
    SCOPED_TRACE(port);
    auto datagram = super;
    datagram[42] = static_cast<std::uint8_t>(port >> 8);
    datagram[43] = static_cast<std::uint8_t>(port);
    ASSERT_EQ(write_tun(lab_.tun_fd(), {{1, kUdpL4, 48, 1400, 40, 6}, datagram}), 0);
    EXPECT_EQ(grown(), (Growth{{"from_clatd_packets", 4}, {"from_clatd_bytes", datagram.size()}}));
    const auto out = left();
    ASSERT_TRUE(out);
    EXPECT_EQ(out->vnet.gso_size, 1400);
    EXPECT_EQ(hex(out->bytes), hex(datagram));
  }
}

struct SizeCase {
  const char* description;
  std::uint32_t lowest;
  Bytes input;
  xlat::VnetHeader vnet;
  const char* punt;  // null: translated
};

Bytes sized4(std::size_t total, bool df, bool is_tcp = false) {
  const Ip4 header{.source = kClat4, .destination = kPeer4, .df = df};
  return packet(header, is_tcp ? tcp(counting(total - 40), Sum::partial) : udp(counting(total - 28)));
}

TEST_F(RulesTest, SizesAreComparedWithTheMtuAsOnTheWire) {
  const SizeCase cases[] = {
      {"1500 fits", 1500, sized4(1480, true), {}, nullptr},
      {"1501 does not", 1500, sized4(1481, true), {}, "punt_to_ipv6_too_big"},
      {"1280 need not be fragmented", 1280, sized4(1260, false), {}, nullptr},
      {"1281 must be", 1280, sized4(1261, false), {}, "punt_to_ipv6_to_fragment"},
      {"1281 with DF", 1280, sized4(1261, true), {}, nullptr},
      {"TCP segments of 1500", 1500, sized4(9000, true, true), {1, kTcp4, 40, 1440, 20, 16}, nullptr},
      {"of 1501", 1500, sized4(9000, true, true), {1, kTcp4, 40, 1441, 20, 16}, "punt_to_ipv6_too_big"},
      {"of 1280 without DF", 1280, sized4(9000, false, true), {1, kTcp4, 40, 1220, 20, 16}, nullptr},
      {"of 1281 without DF", 1280, sized4(9000, false, true), {1, kTcp4, 40, 1221, 20, 16}, "punt_to_ipv6_to_fragment"},
      {"UDP segments of 1500",
       1500,
       packet(Ip4{.source = kClat4, .destination = kPeer4, .df = true}, udp(counting(5000), Sum::partial)),
       {1, kUdpL4, 28, 1452, 20, 6},
       nullptr},
      {"UDP segments of 1501",
       1500,
       packet(Ip4{.source = kClat4, .destination = kPeer4, .df = true}, udp(counting(5000), Sum::partial)),
       {1, kUdpL4, 28, 1453, 20, 6},
       "punt_to_ipv6_too_big"},
  };
  for (const auto& one : cases) {
    if (one.vnet.gso_type == kUdpL4 && !kernel_knows_udp_gso()) continue;
    SCOPED_TRACE(one.description);
    attachment_.lowest_ipv6_mtu = one.lowest;
    update();
    const Wire tun(kTun, ETH_P_IP, 0);
    ASSERT_EQ(tun.send({one.vnet, one.input}), 0);
    if (one.punt == nullptr) {
      const auto out = left();
      ASSERT_TRUE(out);
      EXPECT_EQ(out->vnet.gso_size, one.vnet.gso_size);
      (void)grown();
    } else {
      const auto punted = read_tun(lab_.tun_fd(), kPatience);
      ASSERT_TRUE(punted);
      EXPECT_EQ(hex(punted->bytes), hex(one.input));
      EXPECT_EQ(grown(), (Growth{{one.punt, 1}}));
    }
  }
}

// bpf_skb_change_head refuses them, and then it is too late to punt.
TEST_F(RulesTest, PacketsThatTheKernelWouldRefuseArePuntedUnchanged) {
  shell(std::string("ip link set mtu 65535 dev ") + kTun);
  attachment_.uplink_mtu = attachment_.lowest_ipv6_mtu = 65535;
  update();
  const Wire tun(kTun, ETH_P_IP, 0);
  for (const std::size_t total : {16030U, 16051U, 30000U}) {
    const auto sent = sized4(total, true);
    ASSERT_EQ(tun.send({{}, sent}), 0);
    const auto punted = read_tun(lab_.tun_fd(), kPatience);
    ASSERT_TRUE(punted) << total;
    EXPECT_EQ(hex(punted->bytes), hex(sent));
    EXPECT_EQ(grown(), (Growth{{"punt_to_ipv6_too_big", 1}})) << total;
  }
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(kClat6, kPeer6, counting(17000))}), 0);
  EXPECT_EQ(grown(), (Growth{{"drop_too_big", 1}}));
}

// The largest that fits goes out, and what a helper refuses is not counted as sent.
TEST_F(RulesTest, WhatAHelperRefusesIsCountedAsDroppedOnly) {
  shell(std::string("ip link set mtu 65535 dev ") + kUplink);
  shell(std::string("ip link set mtu 65535 dev ") + kTun);
  lab_.on_peer([] { shell(std::string("ip link set mtu 65535 dev ") + kPeerLink); });
  attachment_.uplink_mtu = attachment_.lowest_ipv6_mtu = 65535;
  update();
  const Wire tun(kTun, ETH_P_IP, 0);
  ASSERT_EQ(tun.send({{}, sized4(15980, true)}), 0);
  EXPECT_TRUE(left());
  (void)grown();

  // Behind the loader's back: it never writes such an MTU.
  const Fd map(bpf_obj_get((folder_.pins() + "/interfaces").c_str()));
  const auto key = static_cast<std::uint32_t>(lab_.tun());
  clat_interface entry{};
  ASSERT_EQ(bpf_map_lookup_elem(map.get(), &key, &entry), 0);
  entry.largest_ipv6 = entry.lowest_ipv6_mtu = 65535;
  ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &entry, BPF_EXIST), 0);
  EXPECT_EQ(tun.send({{}, sized4(17000, true)}), ENOBUFS) << "dropped on its way";
  EXPECT_EQ(grown(), (Growth{{"drop_kernel", 1}}));
  ASSERT_EQ(write_tun(lab_.tun_fd(), {{}, from_clat6(kClat6, kPeer6, counting(17000))}), 0);
  EXPECT_EQ(grown(), (Growth{{"drop_kernel", 1}}));
}

// With the MTU of the IPv4 side.
TEST_F(RulesTest, SizesComingInAreComparedToo) {
  attachment_.ipv4_mtu = 1480;
  update();
  const auto super = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) +
                     packet(Ip6{.source = kPeer6, .destination = kClat6}, tcp(counting(2900)));
  const struct {
    std::uint32_t gso_size;
    bool fast, df;
  } cases[] = {{1440, true, true}, {1441, false, false}, {1220, true, false}, {1221, true, true}};
  for (const auto& [gso_size, fast, df] : cases) {
    SCOPED_TRACE(gso_size);
    const auto result = run(program_, lab_.uplink(), super, gso_size);
    EXPECT_EQ(result.verdict, kRedirect);
    if (fast) {
      EXPECT_EQ(result.bytes.size(), super.size() - 20);
      EXPECT_EQ(result.bytes.at(ETH_HLEN + 6) == 0x40, df);
      (void)grown();
    } else {
      EXPECT_EQ(hex(result.bytes), hex(super));
      EXPECT_EQ(grown(), (Growth{{"punt_to_ipv4_too_big", 1}}));
    }
  }
}

TEST_F(RulesTest, EachPuntIsCountedOnceUnderItsReason) {
  const Ip4 four{.source = kClat4, .destination = kPeer4};
  const Ip6 six{.source = kPeer6, .destination = kClat6};
  const auto with4 = [&](auto edit, std::size_t payload = 16) {
    auto header = four;
    edit(header);
    return packet(header, udp(counting(payload)));
  };
  const auto with6 = [&](auto edit, std::size_t payload = 16) {
    auto header = six;
    edit(header);
    return packet(header, udp(counting(payload)));
  };
  const struct {
    const char* reason;
    Bytes input;
  } cases[] = {
      {"punt_to_ipv6_icmp", packet(four, icmp4(13, 0, 1, counting(12)))},
      {"punt_to_ipv6_icmp", packet(four, icmp4(3, 3, 0, counting(48)))},  // quotes nothing
      {"punt_to_ipv6_protocol", packet(four, raw(2, counting(8)))},
      {"punt_to_ipv6_fragment", with4([](Ip4& h) { h.mf = true; }, 17)},  // more to come, but no multiple of 8
      {"punt_to_ipv6_headers", with4([](Ip4& h) { h.options = {131, 7, 4, 198, 51, 100, 1, 0}; })},
      {"punt_to_ipv6_hop_limit", with4([](Ip4& h) { h.ttl = 1; })},
      {"punt_to_ipv6_checksum_zero",
       packet(Ip4{.source = kClat4, .destination = kPeer4, .mf = true}, udp(counting(8), Sum::none))},
      {"punt_to_ipv6_address", with4([](Ip4& h) { h.destination = "224.0.0.251"; })},
      {"punt_to_ipv6_address", with4([](Ip4& h) { h.source = "192.168.1.2"; })},
      {"punt_to_ipv6_malformed", with4([](Ip4& h) { h.checksum = 1; })},
      {"punt_to_ipv4_icmp", packet(six, icmp6(130, 0, 1, counting(16)))},
      {"punt_to_ipv4_icmp", packet(six, icmp6(2, 0, 1280, counting(48)))},
      {"punt_to_ipv4_protocol", packet(six, raw(1, counting(8)))},
      {"punt_to_ipv4_fragment",
       with6([](Ip6& h) { h.chain_first = 44, h.chain = fragment_header(17, 0, true, 1); }, 17)},
      {"punt_to_ipv4_headers", with6([](Ip6& h) { h.chain_first = 43, h.chain = {17, 0, 0, 1, 0, 0, 0, 0}; })},
      {"punt_to_ipv4_hop_limit", with6([](Ip6& h) { h.hop_limit = 1; })},
      {"punt_to_ipv4_icmp",  // of a router on the way, about what is not translated
       packet(Ip6{.source = "2606:4700::1111", .destination = kClat6},
              icmp6(3, 0, 0, packet(Ip6{.source = kClat6, .destination = kPeer6}, raw(2, counting(8)))))},
      {"punt_to_ipv4_address", with6([](Ip6& h) { h.source = "64:ff9b::7f00:1"; })},
      {"punt_to_ipv4_malformed", with6([](Ip6& h) { h.payload_length = 400; })},
  };
  for (const auto& [reason, input] : cases) {
    SCOPED_TRACE(reason);
    if (input[0] >> 4 == 4) {
      const Wire tun(kTun, ETH_P_IP, 0);
      ASSERT_EQ(tun.send({{}, input}), 0);
    } else {
      ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + input}), 0);
    }
    const auto punted = read_tun(lab_.tun_fd(), kPatience);
    ASSERT_TRUE(punted);
    EXPECT_EQ(hex(punted->bytes), hex(input));
    EXPECT_EQ(grown(), (Growth{{reason, 1}}));
    EXPECT_FALSE(read_tun(lab_.tun_fd())) << "once";
  }
}

TEST_F(RulesTest, WhatIsTranslatedIsCountedByProtocol) {
  const Ip4 four{.source = kClat4, .destination = kPeer4};
  const Ip6 six{.source = kPeer6, .destination = kClat6};
  const struct {
    const char* protocol;
    Segment to_ipv6, to_ipv4;
  } cases[] = {{"tcp", tcp(counting(8)), tcp(counting(8))},
               {"udp", udp(counting(8)), udp(counting(8))},
               {"udp", udp(counting(8), Sum::none), udp(counting(8), Sum::none)},
               {"icmp", icmp4(8, 0, 1, counting(8)), icmp6(129, 0, 1, counting(8))},
               {"other", raw(50, counting(24)), raw(132, counting(24))}};
  const auto expect = [&](const std::string& name, const Bytes& input) {
    EXPECT_EQ(grown(), (Growth{{name + "_packets", 1}, {name + "_bytes", input.size()}}));
  };
  const Wire tun(kTun, ETH_P_IP, 0);
  for (const auto& [protocol, to_ipv6, to_ipv4] : cases) {
    const auto out = packet(four, to_ipv6);
    ASSERT_EQ(tun.send({{}, out}), 0);
    ASSERT_TRUE(left());
    expect(std::string("fast_to_ipv6_") + protocol, out);
    const auto in = packet(six, to_ipv4);
    ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + in}), 0);
    ASSERT_TRUE(stack_.receive(kPatience));
    expect(std::string("fast_to_ipv4_") + protocol, in);
  }
}

// clatd would only drop it: a flood must not fill the queue in front of it.
TEST_F(RulesTest, WhatComesFromOutsideThePrefixIsDroppedUnlessItIsAnIcmpErrorAboutAPacketOfOurs) {
  const Ip6 six{.source = "2606:4700::1111", .destination = kClat6};
  auto fragment = six;
  fragment.chain_first = 44;
  fragment.chain = fragment_header(17, 0, true, 1);
  auto options = six;
  options.chain_first = 60;
  options.chain = {17, 0, 1, 4, 0, 0, 0, 0};
  auto near = six;
  near.source = "64:ff9b::1:c000:221";  // the last bit of the prefix
  const auto about = [](const std::string& source, const std::string& destination) {
    return icmp6(3, 0, 0, packet(Ip6{.source = source, .destination = destination}, udp(counting(16))));
  };
  const auto whole = about(kClat6, kPeer6).bytes;
  const auto nearly_whole = icmp6(3, 0, 0, Bytes(whole.begin() + 8, whole.begin() + 8 + 39));
  for (const auto& input :
       {packet(six, udp(counting(16))), packet(six, tcp(counting(16))), packet(six, raw(50, counting(8))),
        packet(six, raw(59, {})), packet(six, icmp6(128, 0, 1, counting(8))), packet(fragment, udp(counting(16))),
        packet(options, udp(counting(16))), packet(near, udp(counting(16))), packet(six, about(kPeer6, kClat6)),
        packet(six, about(kClat6, "2606:4700::2222")), packet(six, about("2606:4700::2222", kPeer6)),
        packet(six, nearly_whole), packet(six, icmp6(2, 0, 1280, {})), packet(six, icmp6(3, 0, 0, counting(48)))}) {
    ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + input}), 0);
    EXPECT_TRUE(eventually([&] { return counters() != last_; }));
    EXPECT_EQ(grown(), (Growth{{"drop_outside", 1}})) << hex(input);
    EXPECT_FALSE(read_tun(lab_.tun_fd())) << hex(input);
  }
}

TEST_F(RulesTest, Ipv6OnTunEgressIsLeftAlone) {
  const Wire tun(kTun, ETH_P_IPV6, 0);
  const auto steered = packet(Ip6{.source = kPeer6, .destination = kClat6}, udp(counting(16)));
  ASSERT_EQ(tun.send({{}, steered}), 0);
  const auto read = read_tun(lab_.tun_fd(), kPatience);
  ASSERT_TRUE(read);
  EXPECT_EQ(hex(read->bytes), hex(steered));
  EXPECT_EQ(grown(), Growth{});
}

Bytes tagged(const Bytes& frame, std::uint16_t tci) {
  auto copy = frame;
  const Bytes tag{0x81, 0x00, static_cast<std::uint8_t>(tci >> 8), static_cast<std::uint8_t>(tci)};
  copy.insert(copy.begin() + 12, tag.begin(), tag.end());
  return copy;
}

TEST_F(RulesTest, PriorityTagsComeOff) {
  const auto header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  const auto expiring =
      packet(Ip6{.source = kPeer6, .destination = kClat6, .hop_limit = 1}, icmp6(128, 0, 1, counting(8)));
  ASSERT_EQ(peer_->send({{}, tagged(header + expiring, 0xe000)}), 0);
  const auto steered = read_tun(lab_.tun_fd(), kPatience);
  ASSERT_TRUE(steered);
  EXPECT_EQ(hex(steered->bytes), hex(expiring));

  const auto datagram = udp(counting(16));
  ASSERT_EQ(peer_->send({{}, tagged(header + packet(Ip6{.source = kPeer6, .destination = kClat6}, datagram), 0xe000)}),
            0);
  const auto translated = stack_.receive(kPatience);
  ASSERT_TRUE(translated);
  EXPECT_EQ(translated->bytes.size(), 20U + 8 + 16);
  EXPECT_EQ(checksum_fault(translated->bytes), "");
}

TEST_F(RulesTest, FramesOfAVlanBelongToItsOwnInterface) {
  const auto header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  const auto datagram = packet(Ip6{.source = kPeer6, .destination = kClat6}, udp(counting(16)));
  ASSERT_EQ(peer_->send({{}, tagged(header + datagram, 5)}), 0);
  ASSERT_EQ(peer_->send({{}, header + datagram}), 0);
  EXPECT_TRUE(stack_.receive(kPatience));
  EXPECT_EQ(counter(counters(), "fast_to_ipv4_udp_packets"), 1U);
  EXPECT_FALSE(read_tun(lab_.tun_fd()));
}

// Android's clatd reads the uplink itself, and joins the CLAT address as anycast, so that it is local.
TEST_F(RulesTest, WithAPacketSocketWhatIsPuntedIsForItAlone) {
  shell(std::string("ip -6 addr add ") + kClat6 + "/128 nodad dev " + kUplink);
  const auto sent = packet(Ip6{.source = "64:ff9b::7f00:1", .destination = kClat6}, udp(counting(16)));
  const auto send = [&] { ASSERT_EQ(peer_->send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + sent}), 0); };
  attachment_.packet_socket = true;
  update();
  const Wire uplink(kUplink, ETH_P_IPV6, ETH_HLEN);
  send();
  const auto seen = not_noise(uplink, kPatience);
  ASSERT_TRUE(seen);
  EXPECT_EQ(hex(seen->bytes), hex(sent));
  EXPECT_EQ(grown(), (Growth{{"punt_to_ipv4_address", 1}}));
  EXPECT_FALSE(read_tun(lab_.tun_fd()));

  // Had the stack got it, too, it would have counted it as it does with no program there.
  ASSERT_TRUE(fast_path_->detach(attachment_).has_value());
  const auto unwanted = [] { return output_of("awk '/^Udp6NoPorts/ {print $2}' /proc/thread-self/net/snmp6"); };
  EXPECT_EQ(unwanted(), "0\n");
  send();
  EXPECT_TRUE(eventually([&] { return unwanted() == "1\n"; }));
}

TEST_F(RulesTest, FramesForAnotherStationPass) {
  const auto datagram = packet(Ip6{.source = kPeer6, .destination = kClat6}, udp(counting(16)));
  const auto frame = ethernet("02:00:00:00:00:99", kPeerMac, ETH_P_IPV6) + datagram;
  const auto result = run(program_, lab_.uplink(), frame);
  EXPECT_EQ(result.verdict, kPass);
  EXPECT_EQ(hex(result.bytes), hex(frame));
}

TEST_F(RulesTest, OtherProtocolsPass) {
  const auto four = packet(Ip4{.source = kPeer4, .destination = kClat4}, udp(counting(16)));
  EXPECT_EQ(run(program_, lab_.uplink(), ethernet(kUplinkMac, kPeerMac, ETH_P_IP) + four).verdict, kPass);
  EXPECT_EQ(run(program_, lab_.uplink(), ethernet(kUplinkMac, kPeerMac, 0x88cc) + counting(60)).verdict, kPass);
  EXPECT_EQ(grown(), Growth{});
}

TEST_F(RulesTest, AGivenNextHopNeedsNoRoute) {
  shell("ip -6 route del default");
  shell(std::string("ip -6 neigh replace fe80::77 lladdr 02:00:00:00:00:77 nud permanent dev ") + kUplink);
  attachment_.next_hop = Ipv6Address::parse("fe80::77");
  update();
  std::optional<Wire> promiscuous;
  lab_.on_peer([&] {
    shell(std::string("ip link set promisc on dev ") + kPeerLink);
    promiscuous.emplace(kPeerLink, ETH_P_IPV6, 0);  // bytes from the Ethernet header on
  });
  const Wire tun(kTun, ETH_P_IP, 0);
  ASSERT_EQ(tun.send({{}, packet(Ip4{.source = kClat4, .destination = kPeer4}, udp(counting(16)))}), 0);
  const auto frame = promiscuous->receive(kPatience);
  ASSERT_TRUE(frame);
  const auto header = ethernet("02:00:00:00:00:77", kUplinkMac, ETH_P_IPV6);
  EXPECT_EQ(hex(Bytes(frame->bytes.begin(), frame->bytes.begin() + ETH_HLEN)), hex(header));
}

// RFC 7915 §5.1: packets that may be fragmented carry Identifications that differ.
TEST_F(RulesTest, IdentificationsDiffer) {
  const auto frame = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) +
                     packet(Ip6{.source = kPeer6, .destination = kClat6}, udp(counting(16)));
  std::set<unsigned> seen;
  for (int i = 0; i < 100; ++i) {
    const auto bytes = run(program_, lab_.uplink(), frame).bytes;
    seen.insert(bytes.at(ETH_HLEN + 4) * 256U + bytes.at(ETH_HLEN + 5));
  }
  EXPECT_GT(seen.size(), 90U);
}

}  // namespace
}  // namespace clat::test
