// The conformance table through the real hooks: each packet is put on the wire in front of a program, and looked for
// at every place where it can come out. And once more through BPF_PROG_TEST_RUN.
#include "tests/support/vectors.hpp"

#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <algorithm>

#include "tests/bpf/hooks.hpp"

namespace clat::test {
namespace {

// The kernel checks the offload facts of what is sent to it, so bad ones never reach a program; and it cuts up what
// exceeds the GSO limit of the veth, 64 KiB with the link header.
bool can_be_sent(LinkLayer layer, const Vector& vector) {
  const auto version = vector.input.empty() ? 0 : vector.input[0] >> 4;
  if (layer == LinkLayer::raw_ip && version != 4 && version != 6) return false;  // no tun takes it
  if (vector.vnet.gso_type == xlat::VnetHeader::kGsoUdp && !kernel_knows_udp_gso()) return false;
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

class VectorTest : public testing::Test {
 protected:
  explicit VectorTest(LinkLayer layer = LinkLayer::ethernet) : layer_(layer), hooks_(layer) {}

  Outcome send(const Vector& vector) {
    EXPECT_EQ(hooks_.inject(vector.direction, {vector.vnet, vector.input}), 0);
    auto translated = hooks_.translated(vector.direction);
    return {std::move(translated), hooks_.punted(), hooks_.passed()};
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
      if (vector.direction != direction || !can_be_sent(layer_, vector)) continue;
      SCOPED_TRACE(test_name(vector));
      hooks_.configure(vector.clat);
      const auto outcome = send(vector);
      check(vector, outcome);
      ++rows;
      if (vector.fast_path == FastPath::translates) ++fast;
    }
    std::printf("%u rows, %u of them must be fast\n", rows, fast);
    EXPECT_GT(fast, 60U);
    EXPECT_GT(rows, fast);
  }

  LinkLayer layer_;
  Hooks hooks_;
};

TEST_F(VectorTest, ToIpv6AsTheTableSays) { hold_against_table(Direction::to_ipv6); }
TEST_F(VectorTest, ToIpv4AsTheTableSays) { hold_against_table(Direction::to_ipv4); }

// An uplink of which the IP header comes first: a tun, as modems and tunnels are.
class RawIpVectorTest : public VectorTest {
 protected:
  RawIpVectorTest() : VectorTest(LinkLayer::raw_ip) {}
};
TEST_F(RawIpVectorTest, ToIpv6AsTheTableSays) { hold_against_table(Direction::to_ipv6); }
TEST_F(RawIpVectorTest, ToIpv4AsTheTableSays) { hold_against_table(Direction::to_ipv4); }

// The program by itself; offload facts other than the segment size cannot be given to it this way.
TEST_F(VectorTest, UplinkProgramRunByItself) {
  const auto program = hooks_.uplink_program();
  const auto link_header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  unsigned rows = 0;
  for (const auto& vector : vectors()) {
    if (vector.direction != Direction::to_ipv4 || vector.vnet != xlat::VnetHeader{}) continue;
    if (vector.input.size() < 40) continue;  // refused by BPF_PROG_TEST_RUN
    SCOPED_TRACE(test_name(vector));
    hooks_.configure(vector.clat);
    const auto result = run(program, hooks_.uplink(), link_header + vector.input);
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

}  // namespace
}  // namespace clat::test
