// Properties of core/xlat over random, mutated and hostile packets.
#include <gtest/gtest.h>

#include <random>

#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"
#include "xlat_sanity.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;

// There and back.

class XlatProperty : public testing::TestWithParam<test::Scene> {
 protected:
  std::mt19937 random_{20260101};
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }
  std::size_t below(std::size_t bound) { return random_() % bound; }

  // A segment that both families know by the same bytes, or an echo.
  test::Segment segment(bool six) {
    const auto payload = test::counting(below(1200), byte());
    const test::Ports ports{static_cast<std::uint16_t>(random_()), static_cast<std::uint16_t>(random_())};
    switch (below(3)) {
      case 0: return test::tcp(payload, test::Sum::right, ports, byte());
      case 1: return test::udp(payload, test::Sum::right, ports);
      default: break;
    }
    const bool request = below(2) == 0;
    return six ? test::icmp6(request ? 128 : 129, 0, random_(), payload)
               : test::icmp4(request ? 8 : 0, 0, random_(), payload);
  }
};

// The translation of what came from the CLAT, with its addresses swapped, is what a peer echoing it would send: it
// must come back as the original with swapped addresses and two hops less. Swapping changes no checksum.
TEST_P(XlatProperty, ThereAndBackGivesThePacketBack) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    auto header = test::out4(scene);
    header.tos = byte();
    header.ttl = static_cast<std::uint8_t>(3 + below(253));
    const auto whole = segment(false);
    const auto out = run(translator, test::packet(header, whole));
    ASSERT_EQ(name(out.verdict), "translated");
    auto six = out.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(six), "");
    std::swap_ranges(six.begin() + 8, six.begin() + 24, six.begin() + 24);
    const auto back = run(translator, six);
    ASSERT_EQ(name(back.verdict), "translated");
    const auto& four = back.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(four), "");
    std::swap(header.source, header.destination);
    header.ttl = static_cast<std::uint8_t>(header.ttl - 2);
    header.id = static_cast<std::uint16_t>(four[4] << 8 | four[5]);
    header.df = four.size() > 1260;
    ASSERT_EQ(four, test::packet(header, whole));
  }
}

TEST_P(XlatProperty, EveryChecksumComesOutRight) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    const bool six = below(2) == 0;
    const auto packet =
        six ? test::packet(test::in6(scene), segment(true)) : test::packet(test::out4(scene), segment(false));
    const auto outcome = run(translator, packet);
    ASSERT_EQ(name(outcome.verdict), "translated");
    ASSERT_EQ(test::checksum_fault(outcome.packets.at(0).bytes), "");
    ASSERT_EQ(outcome.packets.at(0).bytes.size(), packet.size() + (six ? -20 : 20));
  }
}

// Half a checksum cannot follow.
Bytes cut(Bytes quoted, std::size_t headers, std::size_t transport, std::uint8_t protocol) {
  if (protocol == 6 && transport == 17) ++transport;
  quoted.resize(headers + transport);
  return quoted;
}

// What a host on the far side quotes, cut anywhere behind the transport's first bytes, comes back as what was sent.
TEST_P(XlatProperty, QuotesComeBackAsWhatWasSent) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    auto header = test::out4(scene);
    header.tos = byte();
    const auto whole = segment(false);
    const bool fragment = whole.protocol != 1 && below(3) == 0;
    if (fragment) {
      header.id = static_cast<std::uint16_t>(random_());
      header.mf = true;
    }
    const auto sent = fragment ? test::piece(header, whole, 0, whole.bytes.size() / 8 * 8) : whole;
    if (sent.bytes.size() < 20) continue;
    const auto out = run(translator, test::packet(header, sent));
    ASSERT_EQ(name(out.verdict), "translated");
    const auto& six = out.packets.at(0).bytes;
    const std::size_t headers = fragment ? 48 : 40;
    const auto quoted = cut(six, headers, 8 + below(six.size() - headers - 7), sent.protocol);

    auto router = test::in6(scene);
    if (below(2) == 0) router.source = "2001:db8:ffff::1";  // has no IPv4 address
    const auto back = run(translator, test::packet(router, test::icmp6(3, 0, 0, quoted)));
    ASSERT_EQ(name(back.verdict), "translated");
    const auto& error = back.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(error), "");
    --header.ttl;
    header.df = !fragment && 20 + whole.bytes.size() > 1260;
    auto expected = test::packet(header, sent);
    expected.resize(20 + quoted.size() - headers);
    ASSERT_EQ(Bytes(error.begin() + 28, error.end()), expected);
    ASSERT_EQ(error[20], 11);
  }
}

TEST_P(XlatProperty, OwnErrorsQuoteWhatCame) {
  const auto& scene = GetParam();
  auto translator = make(scene.clat());
  for (int i = 0; i < 2'000; ++i) {
    auto header = test::in6(scene);
    header.traffic_class = byte();
    const auto came = segment(true);
    const auto in = run(translator, test::packet(header, came));
    ASSERT_EQ(name(in.verdict), "translated");
    const auto& four = in.packets.at(0).bytes;
    const auto quoted = cut(four, 20, 8 + below(four.size() - 27), came.protocol);
    const auto out = run(translator, test::packet(test::out4(scene), test::icmp4(3, 3, 0, quoted)));
    ASSERT_EQ(name(out.verdict), "translated");
    const auto& error = out.packets.at(0).bytes;
    ASSERT_EQ(test::checksum_fault(error), "");
    --header.hop_limit;
    auto expected = test::packet(header, came);
    expected.resize(std::min<std::size_t>(quoted.size() + 20, 1280 - 48));
    ASSERT_EQ(Bytes(error.begin() + 48, error.end()), expected);
  }
}

// Cut for the smallest IPv6 MTU, the pieces hold what the whole would have, each fits, and IPv4 gets them all back.
TEST_P(XlatProperty, FragmentsAddUp) {
  const auto& scene = GetParam();
  auto clat = scene.clat();
  clat.mtus = {.ipv6 = 9000, .ipv4 = 65535, .lowest_ipv6 = 9000};
  auto whole_translator = make(clat);
  clat.mtus.lowest_ipv6 = static_cast<std::uint32_t>(1280 + below(300));
  auto cutting = make(clat);
  for (int i = 0; i < 500; ++i) {
    auto header = test::out4(scene);
    header.id = static_cast<std::uint16_t>(random_());
    const auto payload = test::counting(1600 + below(6000), byte());
    const auto sum = below(2) == 0 ? test::Sum::right : test::Sum::partial;
    const auto segment = below(2) == 0 ? test::udp(payload, sum) : test::tcp(payload, sum);
    VnetHeader vnet;
    if (sum == test::Sum::partial) {
      vnet = {VnetHeader::kNeedsChecksum, 0, 0, 0, 20, static_cast<std::uint16_t>(*segment.checksum_at)};
    }
    const auto input = test::packet(header, segment);
    auto finished = segment;
    finished.sum = test::Sum::right;
    const auto original = test::packet(header, finished);
    const auto whole = run(whole_translator, original).packets.at(0).bytes;
    const auto outcome = run(cutting, input, vnet);
    ASSERT_GT(outcome.packets.size(), 1U);
    Bytes payload6, payload4;
    for (const auto& [bytes, piece_vnet] : outcome.packets) {
      ASSERT_LE(bytes.size(), clat.mtus.lowest_ipv6);
      ASSERT_EQ(bytes.at(6), 44);
      ASSERT_EQ((bytes[42] << 8 | bytes[43]) & 0xfff8, payload6.size());
      ASSERT_EQ((bytes[43] & 1) != 0, bytes != outcome.packets.back().bytes);
      ASSERT_EQ(load_be32(bytes.data() + 44), header.id);
      payload6.insert(payload6.end(), bytes.begin() + 48, bytes.end());
      auto swapped = bytes;
      std::swap_ranges(swapped.begin() + 8, swapped.begin() + 24, swapped.begin() + 24);
      const auto back = run(cutting, swapped).packets.at(0).bytes;
      ASSERT_EQ(load_be16(back.data() + 4), header.id);
      payload4.insert(payload4.end(), back.begin() + 20, back.end());
    }
    ASSERT_EQ(payload6, Bytes(whole.begin() + 40, whole.end()));
    // Swapping the addresses changed no sum.
    ASSERT_EQ(payload4, Bytes(original.begin() + 20, original.end()));
  }
}

// Whatever the bytes and the vnet header: nothing is read or written outside (the sanitizers watch), and fault() is
// silent.

void refresh_header_checksum(Bytes& ipv4) {
  ipv4[10] = ipv4[11] = 0;
  const auto checksum = complement(fold(sum20(ipv4.data())));
  store(ipv4.data() + 10, checksum);
}

// Every vector with its own settings, a few bytes changed, mostly in the headers, where it matters.
TEST(XlatMutation, VectorsDoNoHarm) {
  std::mt19937 random(20260102);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  std::size_t translated = 0, answered = 0;
  for (int round = 0; round < 40; ++round) {
    for (const auto& vector : test::vectors()) {
      auto bytes = vector.input;
      if (bytes.size() > 4000 && round > 0) continue;
      auto vnet = vector.vnet;
      for (auto n = below(4); n > 0 && !bytes.empty(); --n) {
        bytes[below(std::min<std::size_t>(bytes.size(), 128))] = static_cast<std::uint8_t>(random());
      }
      if (below(3) == 0) bytes.resize(below(bytes.size() + 8));
      if (below(4) == 0) {
        vnet = {static_cast<std::uint8_t>(below(4)),    static_cast<std::uint8_t>(below(7)),
                static_cast<std::uint16_t>(below(100)), static_cast<std::uint16_t>(random()),
                static_cast<std::uint16_t>(below(80)),  static_cast<std::uint16_t>(below(40))};
      }
      // Let the mutation past the header checksum.
      if (below(4) != 0 && bytes.size() >= 20 && bytes[0] == 0x45) refresh_header_checksum(bytes);
      auto translator = make(vector.clat);
      const auto outcome = run(translator, bytes, vnet);
      translated += outcome.verdict == Verdict::translated ? 1 : 0;
      answered += outcome.verdict != Verdict::translated && !outcome.packets.empty() ? 1 : 0;
      ASSERT_EQ(fault(vector.clat, outcome, bytes), "") << test::test_name(vector) << '\n' << test::hex(bytes);
    }
  }
  // Else the mutations test nothing.
  EXPECT_GT(translated, 10'000U);
  EXPECT_GT(answered, 1'000U);
}

TEST_P(XlatProperty, RandomBytesDoNoHarm) {
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(below(120));
    for (auto& b : bytes) b = byte();
    if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(below(2) == 0 ? 0x45 : 0x60);
    ASSERT_EQ(fault(clat, run(translator, bytes), bytes), "");
  }
}

// Whatever the length field and the checksum say: only with an unfinished one may it go on.
TEST_P(XlatProperty, UdpSuperPacketsDoNoHarm) {
  const auto clat = GetParam().clat();
  auto translator = make(clat);
  for (int i = 0; i < 2'000; ++i) {
    const bool six = below(2) == 0, unfinished = below(2) == 0;
    const auto sum = unfinished ? test::Sum::partial : below(2) == 0 ? test::Sum::none : test::Sum::right;
    const auto udp = test::udp(test::counting(below(3000)), sum, {}, static_cast<std::uint16_t>(random_()));
    const auto bytes = six ? test::packet(test::in6(GetParam()), udp) : test::packet(test::out4(GetParam()), udp);
    VnetHeader vnet{.gso_type = VnetHeader::kGsoUdp, .gso_size = static_cast<std::uint16_t>(1 + below(1400))};
    if (unfinished) {
      vnet.flags = VnetHeader::kNeedsChecksum;
      vnet.checksum_start = six ? 40 : 20;
      vnet.checksum_offset = 6;
    }
    const auto outcome = run(translator, bytes, vnet);
    if (!unfinished) {
      ASSERT_EQ(name(outcome.verdict), "bad-offload");
    }
    ASSERT_EQ(fault(clat, outcome, bytes), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, XlatProperty, testing::ValuesIn(test::scenes()), [](const auto& scene) {
  auto text = scene.param.name;
  std::erase(text, '/');
  return "prefix_" + text;
});

}  // namespace
}  // namespace clat::xlat
