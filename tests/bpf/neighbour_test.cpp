// Neighbour Solicitations for the CLAT address (RFC 4861 §7.2, RFC 4862 §5.4).
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <optional>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr char kClat[] = "2001:db9:1:2:aaaa:e79b:1:0";
constexpr char kSolicitedNode[] = "ff02::1:ff01:0";
constexpr char kSolicitedNodeMac[] = "33:33:ff:01:00:00";
constexpr char kAllNodesMac[] = "33:33:00:00:00:01";
constexpr char kAsker[] = "fe80::2";
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;

struct Question {
  std::string source = kAsker, destination = kSolicitedNode, target = kClat;
  std::string to_mac = kSolicitedNodeMac, from_mac = kPeerMac;
  std::uint8_t hop_limit = 255, code = 0, type = kSolicitation;
  Bytes options = Bytes{1, 1} + mac(kPeerMac);
  Sum sum = Sum::right;
};
Bytes frame(const Question& q) {
  const Ip6 header{.source = q.source, .destination = q.destination, .hop_limit = q.hop_limit};
  return ethernet(q.to_mac, q.from_mac, ETH_P_IPV6) +
         packet(header, icmp6(q.type, q.code, 0, address6(q.target) + q.options, q.sum));
}
Bytes answer(const std::string& to, const std::string& to_mac, std::uint32_t flags) {
  const Ip6 header{.source = kClat, .destination = to, .hop_limit = 255};
  return ethernet(to_mac, kUplinkMac, ETH_P_IPV6) +
         packet(header, icmp6(kAdvertisement, 0, flags, address6(kClat) + Bytes{2, 1} + mac(kUplinkMac)));
}
constexpr std::uint32_t kSolicited = 0x40000000, kOverride = 0x20000000;

class NeighbourTest : public testing::Test {
 protected:
  NeighbourTest() {
    auto opened = BothParts::open(folder_.bpf_dir());
    if (!opened) throw std::runtime_error(opened.error().text());
    fast_path_.emplace(std::move(*opened));
    if (auto done = fast_path_->attach(lab_.attachment()); !done) throw std::runtime_error(done.error().text());
    program_ = program_named(folder_.bpf_dir(), "clat_uplink_in");
  }
  auto ask(const Question& question) { return run(program_, lab_.uplink(), frame(question)); }
  void expect_answer(const Question& question, const Bytes& expected) {
    const auto result = ask(question);
    EXPECT_EQ(result.verdict, kRedirect);
    EXPECT_EQ(hex(result.bytes), hex(expected));
  }
  void expect_pass(const char* what, const Question& question) {
    SCOPED_TRACE(what);
    const auto result = ask(question);
    EXPECT_EQ(result.verdict, kPass);
    EXPECT_EQ(hex(result.bytes), hex(frame(question)));
  }
  std::uint64_t answered() { return counter(*fast_path_->counters(lab_.attachment()), "solicitations_answered"); }

  BpfFolder folder_;
  Lab lab_;
  std::optional<BothParts> fast_path_;
  Fd program_;
};

TEST_F(NeighbourTest, AnswersMulticast) {
  expect_answer({}, answer(kAsker, kPeerMac, kSolicited | kOverride));
  expect_answer({.source = "2001:db9:1:2::1"}, answer("2001:db9:1:2::1", kPeerMac, kSolicited | kOverride));
  EXPECT_EQ(answered(), 2U);
}

TEST_F(NeighbourTest, AnswersUnicast) {
  expect_answer({.destination = kClat, .to_mac = kUplinkMac}, answer(kAsker, kPeerMac, kSolicited | kOverride));
  // Neighbour Unreachability Detection may leave the option out.
  expect_answer({.destination = kClat, .to_mac = kUplinkMac, .options = {}},
                answer(kAsker, kPeerMac, kSolicited | kOverride));
}

TEST_F(NeighbourTest, DefendsTheAddressAgainstDuplicates) {
  expect_answer({.source = "::", .options = {}}, answer("ff02::1", kAllNodesMac, kOverride));
  // RFC 3971 §5.3.2 nonce, as RFC 7527 uses it.
  expect_answer({.source = "::", .options = {14, 1, 1, 2, 3, 4, 5, 6}}, answer("ff02::1", kAllNodesMac, kOverride));
}

TEST_F(NeighbourTest, AnOptimisticAddressOverridesNothingAndIsNotDefended) {
  auto attachment = lab_.attachment();
  attachment.optimistic = true;
  ASSERT_TRUE(fast_path_->update(attachment));
  expect_answer({}, answer(kAsker, kPeerMac, kSolicited));
  expect_answer({.destination = kClat, .to_mac = kUplinkMac}, answer(kAsker, kPeerMac, kSolicited));
  expect_pass("a probe", {.source = "::", .options = {14, 1, 1, 2, 3, 4, 5, 6}});
  ASSERT_TRUE(fast_path_->update(lab_.attachment()));
  expect_answer({.source = "::", .options = {}}, answer("ff02::1", kAllNodesMac, kOverride));
}

TEST_F(NeighbourTest, AnswersWithManyOptions) {
  Bytes options = Bytes{1, 1} + mac(kPeerMac);
  for (int i = 0; i < 12; ++i) options = options + Bytes{200, 1, 0, 0, 0, 0, 0, 0};
  expect_answer({.options = options}, answer(kAsker, kPeerMac, kSolicited | kOverride));
  expect_answer({.options = Bytes{200, 13} + counting(102)}, answer(kAsker, kPeerMac, kSolicited | kOverride));
}

TEST_F(NeighbourTest, PassesWhatIsNotForTheClat) {
  expect_pass("another target", {.target = "2001:db9:1:2:aaaa:e79b:1:1"});
  expect_pass("another target of the same group", {.target = "2001:db9:1:2::1:0"});
  expect_pass("advertisement", {.destination = kClat, .to_mac = kUplinkMac, .type = kAdvertisement});
  for (const std::uint8_t type : {std::uint8_t{133}, std::uint8_t{134}, std::uint8_t{136}, std::uint8_t{137}}) {
    expect_pass("other neighbour discovery to the CLAT address",
                {.destination = kClat, .to_mac = kUplinkMac, .type = type});
  }
  EXPECT_EQ(answered(), 0U);
}

TEST_F(NeighbourTest, PassesWhatIsNotValid) {
  expect_pass("hop limit 254", {.hop_limit = 254});
  expect_pass("hop limit 64", {.hop_limit = 64});
  expect_pass("code 1", {.code = 1});
  expect_pass("wrong checksum", {.sum = Sum::wrong});
  expect_pass("no checksum", {.sum = Sum::none});
  expect_pass("option of length 0", {.options = {1, 0, 0, 0, 0, 0, 0, 0}});
  expect_pass("option beyond the end", {.options = {1, 2, 0, 0, 0, 0, 0, 0}});
  expect_pass("half an option", {.options = {1, 1, 0, 0}});
  expect_pass("more options than are looked at", {.options = Bytes{200, 14} + counting(110)});
  expect_pass("unspecified source with a link-layer address", {.source = "::"});
  expect_pass("unspecified source to the address itself",
              {.source = "::", .destination = kClat, .to_mac = kUplinkMac, .options = {}});
  expect_pass("multicast source", {.source = "ff02::2"});
  expect_pass("another group", {.destination = "ff02::1:ff01:1"});
  expect_pass("all nodes", {.destination = "ff02::1"});
  expect_pass("Ethernet source is a group", {.from_mac = "33:33:00:00:00:02"});
  expect_pass("our own probe come back", {.source = "::", .from_mac = kUplinkMac, .options = {}});
  expect_pass("frame for another station", {.destination = kClat, .to_mac = "02:00:00:00:00:99"});
  EXPECT_EQ(answered(), 0U);
}

TEST_F(NeighbourTest, PassesACutOne) {
  const auto whole = frame({.options = {}});
  for (const std::size_t size : {54U, 55U, 60U, 77U}) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(run(program_, lab_.uplink(), cut).verdict, kPass) << size;
  }
}

// Through the wire: the peer's own kernel asks, and the answer is all it gets.
TEST_F(NeighbourTest, APeerFindsTheAddressAndNothingLoops) {
  shell(std::string("ip -6 route add blackhole ") + kClat);
  lab_.on_peer([&] {
    shell(std::string("ip addr add fe80::2/64 nodad dev ") + kPeerLink);
    shell(std::string("ip -6 route add 2001:db9:1:2::/64 dev ") + kPeerLink);
    const Wire wire(kPeerLink, ETH_P_IPV6, ETH_HLEN);
    shell(std::string("ping -6 -c 1 -W 0.1 ") + kClat + " || true");  // makes it ask
    EXPECT_TRUE(eventually([] {
      return output_of("ip -6 neigh show dev peer0").find(std::string(kClat) + " lladdr " + kUplinkMac) !=
             std::string::npos;
    }));
    const auto advertisement = wire.receive(5000);
    ASSERT_TRUE(advertisement);
    const Bytes expected = answer(kAsker, kPeerMac, kSolicited | kOverride);
    EXPECT_EQ(hex(advertisement->bytes), hex(Bytes(expected.begin() + ETH_HLEN, expected.end())));
    EXPECT_FALSE(wire.receive());
  });
  EXPECT_EQ(answered(), 1U);
  // The echo itself is from outside the prefix.
  EXPECT_TRUE(eventually([&] { return counter(*fast_path_->counters(lab_.attachment()), "drop_outside") == 1; }));
}

TEST_F(NeighbourTest, APriorityTagComesOff) {
  lab_.on_peer([&] {
    const Wire wire(kPeerLink, ETH_P_IPV6, ETH_HLEN);
    auto tagged = frame({});
    const Bytes tag{0x81, 0x00, 0xe0, 0x00};  // priority 7, vid 0
    tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
    ASSERT_EQ(wire.send({{}, tagged}), 0);
    const auto advertisement = wire.receive(5000);
    ASSERT_TRUE(advertisement);
    const Bytes expected = answer(kAsker, kPeerMac, kSolicited | kOverride);
    EXPECT_EQ(hex(advertisement->bytes), hex(Bytes(expected.begin() + ETH_HLEN, expected.end())));
  });
}

}  // namespace
}  // namespace clat::test
