// The conformance table through the real hooks: each packet is put on the wire in front of a program, and looked for
// at every place where it can come out. And once more through BPF_PROG_TEST_RUN.
#include "tests/support/vectors.hpp"

#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <sched.h>

#include <algorithm>
#include <random>

#include "core/xlat/translator.hpp"
#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr int kPatience = 5000;  // ms

// The kernel checks the offload facts of what is sent to it, so bad ones never reach a program; and it cuts up what
// exceeds the GSO limit of the veth, 64 KiB with the link header.
bool can_be_sent(const Vector& vector) {
  return vector.verdict != xlat::Verdict::bad_offload &&
         std::max(vector.input.size(), vector.expected.empty() ? 0 : vector.expected[0].size()) + ETH_HLEN < 65536;
}
// Neighbour discovery is the kernel's own, and so is what hardly is IPv6.
bool may_pass(const Vector& vector) {
  using enum xlat::Verdict;
  const auto& in = vector.input;
  if (vector.direction == Direction::to_ipv4 && in.size() > 40 && in[6] == 58 && in[40] >= 133 && in[40] <= 137) {
    return true;
  }
  return vector.fast_path == FastPath::passes ||
         (vector.direction == Direction::to_ipv4 && vector.fast_path == FastPath::either &&
          (vector.verdict == icmp_type || vector.verdict == truncated || vector.verdict == not_to_clat ||
           vector.verdict == bad_version));
}
// Multicast listener reports, which the kernel sends whenever it likes.
bool is_noise(const Packet& packet) {
  const auto reports = address6("ff02::16");
  return packet.bytes.size() >= 40 && packet.bytes[0] >> 4 == 6 &&
         std::equal(reports.begin(), reports.end(), packet.bytes.begin() + 24);
}
// Both paths drop it, the fast one without asking clatd; ICMPv6, which routers on the way send, clatd judges.
bool must_be_dropped(const Vector& vector) {
  return vector.verdict == xlat::Verdict::outside_prefix && vector.input.at(6) != 58;
}
struct Outcome {
  std::vector<Packet> translated, punted, passed;
};
std::string describe(const Outcome& outcome) {
  std::string text;
  for (const auto& [what, packets] :
       {std::pair{"translated", &outcome.translated}, {"punted", &outcome.punted}, {"passed", &outcome.passed}}) {
    for (const auto& packet : *packets) text += std::string(what) + ":\n" + hex(packet.bytes) + "\n";
  }
  return text;
}
void keep(std::vector<Packet>& packets, const Packet& packet) {
  if (!is_noise(packet)) packets.push_back(packet);
}

class VectorTest : public testing::Test {
 protected:
  VectorTest() {
    // One CPU keeps the packets of one sender in order from end to end.
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    shell(std::string("ip -6 neigh replace fe80::2 lladdr ") + kPeerMac + " nud permanent dev " + kUplink);
    shell(std::string("ip -6 route add default via fe80::2 dev ") + kUplink);
    // What the table sends must not be refused by the links; the MTU that counts is the one in the map.
    shell(std::string("ip link set mtu 65535 dev ") + kUplink);
    shell(std::string("ip link set mtu 65535 dev ") + kTun);
    lab_.on_peer([] { shell(std::string("ip link set mtu 65535 dev ") + kPeerLink); });
    auto opened = bpf::FastPath::open(folder_.bpf_dir());
    if (!opened) throw std::runtime_error(opened.error().text());
    fast_path_.emplace(std::move(*opened));
    attachment_ = lab_.attachment();
    if (auto attached = fast_path_->attach(*attachment_); !attached) throw std::runtime_error(attached.error().text());
    lab_.on_peer([this] {
      peer_in_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN);
      peer_out_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN);
    });
    tun_in_.emplace(kTun, ETH_P_IP, 0);
    tun_out_.emplace(kTun, ETH_P_IP, 0);
    uplink_in_.emplace(kUplink, ETH_P_IPV6, ETH_HLEN);
  }
  ~VectorTest() override {
    if (fast_path_) {
      EXPECT_TRUE(fast_path_->detach(*attachment_).has_value());
    }
  }

  void configure(const Vector& vector) {
    attachment_->v4 = vector.clat.v4;
    attachment_->v6 = vector.clat.v6;
    attachment_->prefix = vector.clat.prefix;
    attachment_->uplink_mtu = vector.clat.mtus.ipv6;
    attachment_->ipv4_mtu = vector.clat.mtus.ipv4;
    attachment_->lowest_ipv6_mtu = vector.clat.mtus.lowest_ipv6;
    attachment_->ranges = vector.clat.ranges;
    attachment_->private_in_wkp = vector.clat.private_in_wkp;
    const auto updated = fast_path_->update(*attachment_);
    ASSERT_TRUE(updated) << updated.error().text();
  }

  Packet marker(const Vector& vector) {
    const auto payload = counting(5, static_cast<std::uint8_t>(marker_++));
    const auto peer = *Ipv4Address::parse("192.0.2.99");
    if (vector.direction == Direction::to_ipv6) {
      return {{}, packet(Ip4{.source = vector.clat.v4.text(), .destination = peer.text()}, udp(payload))};
    }
    const auto from = vector.clat.prefix.embed(peer).text();
    return {{}, packet(Ip6{.source = from, .destination = vector.clat.v6.text()}, udp(payload))};
  }
  int inject(const Vector& vector, const Packet& packet) {
    if (vector.direction == Direction::to_ipv6) return tun_out_->send(packet);
    return peer_out_->send({packet.vnet, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + packet.bytes});
  }

  // What came of the vector by the time a packet sent after it is through.
  Outcome send(const Vector& vector) {
    const auto last = marker(vector);
    const Bytes tail(last.bytes.end() - 5, last.bytes.end());
    EXPECT_EQ(inject(vector, {vector.vnet, vector.input}), 0);
    EXPECT_EQ(inject(vector, last), 0);
    Outcome outcome;
    const auto& out = vector.direction == Direction::to_ipv6 ? *peer_in_ : *tun_in_;
    for (;;) {
      auto packet = out.receive(kPatience);
      if (!packet) {
        ADD_FAILURE() << "the packet after it did not come through";
        break;
      }
      const auto& bytes = packet->bytes;
      if (bytes.size() == last.bytes.size() + (vector.direction == Direction::to_ipv6 ? 20 : -20) &&
          std::ranges::equal(tail, Bytes(bytes.end() - 5, bytes.end()))) {
        break;
      }
      keep(outcome.translated, *packet);
    }
    while (auto packet = read_tun(lab_.tun_fd())) keep(outcome.punted, *packet);
    while (auto packet = uplink_in_->receive()) keep(outcome.passed, *packet);
    return outcome;
  }

  void check_translated(const Vector& vector, const Packet& actual) {
    ASSERT_TRUE(vector.is_translated()) << "translated:\n" << hex(actual.bytes);
    ASSERT_EQ(vector.expected.size(), 1U) << "not fragmented:\n" << hex(actual.bytes);
    EXPECT_EQ(mismatch(vector, actual.bytes), "");
    const auto& want = vector.expected_vnet;
    const auto partial = xlat::VnetHeader::kNeedsChecksum;
    EXPECT_EQ(actual.vnet.flags & partial, want.flags & partial);
    EXPECT_EQ(actual.vnet.gso_type, want.gso_type);
    EXPECT_EQ(actual.vnet.gso_size, want.gso_size);
    if ((want.flags & partial) != 0) {
      EXPECT_EQ(actual.vnet.checksum_start, want.checksum_start);
      EXPECT_EQ(actual.vnet.checksum_offset, want.checksum_offset);
    }
  }

  void check(const Vector& vector, const Outcome& outcome) {
    const auto outcomes = outcome.translated.size() + outcome.punted.size() + outcome.passed.size();
    ASSERT_LE(outcomes, 1U) << describe(outcome);
    if (vector.fast_path == FastPath::translates) {
      EXPECT_EQ(outcome.translated.size(), 1U);
    }
    if (must_be_dropped(vector)) {
      EXPECT_EQ(outcomes, 0U) << describe(outcome);
    }
    if (vector.fast_path == FastPath::punts) {
      EXPECT_EQ(outcome.punted.size(), 1U);
    }
    if (vector.fast_path == FastPath::passes) {
      EXPECT_EQ(outcome.passed.size(), 1U);
    }
    if (!may_pass(vector)) {
      EXPECT_EQ(outcome.passed.size(), 0U);
    }
    if (!vector.expected.empty()) {
      EXPECT_EQ(outcomes, 1U) << "dropped";
    }
    for (const auto& packet : outcome.translated) check_translated(vector, packet);
    for (const auto& packet : outcome.punted) EXPECT_EQ(hex(packet.bytes), hex(vector.input)) << "punted";
    for (const auto& packet : outcome.passed) EXPECT_EQ(hex(packet.bytes), hex(vector.input)) << "passed";
  }

  void hold_against_table(Direction direction) {
    unsigned rows = 0, fast = 0;
    for (const auto& vector : vectors()) {
      if (vector.direction != direction || !can_be_sent(vector)) continue;
      SCOPED_TRACE(test_name(vector));
      configure(vector);
      const auto outcome = send(vector);
      check(vector, outcome);
      ++rows;
      if (vector.fast_path == FastPath::translates) ++fast;
    }
    std::printf("%u rows, %u of them must be fast\n", rows, fast);
    EXPECT_GT(fast, 60U);
    EXPECT_GT(rows, fast);
  }

  BpfFolder folder_;
  Lab lab_;
  std::optional<bpf::FastPath> fast_path_;
  std::optional<bpf::Attachment> attachment_;
  std::optional<Wire> peer_in_, peer_out_, tun_in_, tun_out_, uplink_in_;
  unsigned marker_ = 0;
};

TEST_F(VectorTest, ToIpv6AsTheTableSays) { hold_against_table(Direction::to_ipv6); }
TEST_F(VectorTest, ToIpv4AsTheTableSays) { hold_against_table(Direction::to_ipv4); }

// The program by itself; offload facts other than the segment size cannot be given to it this way.
TEST_F(VectorTest, UplinkProgramRunByItself) {
  const auto program = program_of_pin(folder_.pins() + "/link-" + std::to_string(lab_.uplink()) + "-uplink-ingress");
  const auto link_header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  unsigned rows = 0;
  for (const auto& vector : vectors()) {
    if (vector.direction != Direction::to_ipv4 || vector.vnet != xlat::VnetHeader{}) continue;
    if (vector.input.size() < 40) continue;  // refused by BPF_PROG_TEST_RUN
    SCOPED_TRACE(test_name(vector));
    configure(vector);
    const auto result = run(program, lab_.uplink(), link_header + vector.input);
    const bool changed = result.bytes != link_header + vector.input;
    if (vector.fast_path == FastPath::passes) {
      EXPECT_EQ(result.verdict, kPass);
    }
    if (vector.fast_path == FastPath::punts || vector.verdict != xlat::Verdict::translated) {
      EXPECT_FALSE(changed);
    }
    if (vector.fast_path == FastPath::translates) {
      EXPECT_TRUE(changed);
    }
    if (must_be_dropped(vector)) {
      EXPECT_EQ(result.verdict, kDrop);
    }
    if (result.verdict == kDrop) {
      EXPECT_TRUE(vector.fast_path == FastPath::either && vector.expected.empty());
    }
    if (changed) {
      EXPECT_EQ(result.verdict, kRedirect);
      EXPECT_EQ(mismatch(vector, Bytes(result.bytes.begin() + ETH_HLEN, result.bytes.end())), "");
    }
    ++rows;
  }
  EXPECT_GT(rows, 100U);
}

struct Kept : xlat::Sink {
  std::vector<Bytes> packets;
  bool may_answer() override { return true; }
  void send(const xlat::Frame& frame) override { packets.emplace_back(frame.data, frame.data + frame.size); }
};

// Rows of the table with some bytes changed: what the program translates at all, it translates as clatd does.
TEST_F(VectorTest, UplinkProgramNeverDiffersFromTheTranslator) {
  const auto program = program_of_pin(folder_.pins() + "/link-" + std::to_string(lab_.uplink()) + "-uplink-ingress");
  const auto link_header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  std::mt19937 random(464);
  const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  unsigned translated = 0;
  for (const auto& vector : vectors()) {
    if (vector.direction != Direction::to_ipv4 || vector.vnet != xlat::VnetHeader{} || vector.input.size() < 48)
      continue;
    SCOPED_TRACE(test_name(vector));
    configure(vector);
    for (int i = 0; i < 60; ++i) {
      auto input = vector.input;
      for (auto changes = below(4); changes > 0; --changes) {
        input[below(std::min<std::size_t>(input.size(), 62))] = static_cast<std::uint8_t>(random());
      }
      if (below(8) == 0) input.resize(40 + below(input.size() - 39));
      const auto result = run(program, lab_.uplink(), link_header + input);
      if (result.bytes == link_header + input) continue;
      Bytes buffer(xlat::kHeadroom);
      buffer = buffer + input;
      Kept clatd;
      xlat::Translator translator(vector.clat.settings());
      ASSERT_EQ(translator.translate({buffer.data() + xlat::kHeadroom, input.size()}, clatd), xlat::Verdict::translated)
          << hex(input);
      ASSERT_EQ(clatd.packets.size(), 1U);
      auto expected = vector;
      expected.expected = clatd.packets;
      expected.any_identification = true;
      ASSERT_EQ(mismatch(expected, Bytes(result.bytes.begin() + ETH_HLEN, result.bytes.end())), "") << hex(input);
      ++translated;
    }
  }
  std::printf("%u translated alike\n", translated);
  EXPECT_GT(translated, 1000U);
}

}  // namespace
}  // namespace clat::test
