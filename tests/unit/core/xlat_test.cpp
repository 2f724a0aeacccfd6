// core/xlat against the table of vectors, and its parts.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "core/base/token_bucket.hpp"
#include "core/xlat/describe.hpp"
#include "tests/support/vector_parts.hpp"
#include "xlat_run.hpp"

namespace clat::xlat {
namespace {

using test::Bytes;
using test::Vector;

class XlatVector : public testing::TestWithParam<Vector> {};

TEST_P(XlatVector, IsMet) {
  const auto& vector = GetParam();
  auto translator = make(vector.clat);
  const auto outcome = run(translator, vector.input, vector.vnet, vector.clat.may_answer);
  EXPECT_EQ(name(outcome.verdict), name(vector.verdict));
  ASSERT_EQ(outcome.packets.size(), vector.expected.size());
  for (std::size_t i = 0; i < outcome.packets.size(); ++i) {
    EXPECT_EQ(test::mismatch(vector, outcome.packets[i].bytes, i), "") << "packet " << i;
    EXPECT_EQ(outcome.packets[i].vnet, vector.expected_vnet) << "packet " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, XlatVector, testing::ValuesIn(test::vectors()),
                         [](const auto& vector) { return test::test_name(vector.param); });

TEST(Mapping, AgreesWithThePlainOne) {
  std::mt19937 random(5);
  for (const auto& scene : test::scenes()) {
    const auto prefix = scene.clat().prefix;
    const Mapping mapping(prefix);
    for (int i = 0; i < 10'000; ++i) {
      const auto address = Ipv4Address::from_number(static_cast<std::uint32_t>(random()));
      const auto embedded = prefix.embed(address);
      EXPECT_EQ(mapping.embed(address.number()), load_halves(embedded.bytes.data()));
      auto stray = embedded;
      stray.bytes[random() % 16] ^= static_cast<std::uint8_t>(1 << random() % 8);
      const auto halves = load_halves(stray.bytes.data());
      ASSERT_EQ(mapping.contains(halves), prefix.contains(stray));
      if (mapping.contains(halves)) {
        ASSERT_EQ(mapping.extract(halves), prefix.extract(stray)->number());
      }
    }
  }
}

// RFC 7915 §5.1: packets that may be fragmented later must not share an Identification.
TEST(Identification, DiffersFromPacketToPacketAndLeavesRoomForSegments) {
  const auto& scene = test::neutral();
  auto translator = make(scene.clat());
  const auto id = [&](const Bytes& input, const VnetHeader& vnet) {
    const auto outcome = run(translator, input, vnet);
    const auto& bytes = outcome.packets.at(0).bytes;
    return bytes[4] << 8 | bytes[5];
  };
  const auto small = test::packet(test::in6(scene), test::udp(test::counting(8)));
  const auto super = test::packet(test::in6(scene), test::tcp(test::counting(2500), test::Sum::partial));
  const int first = id(small, {});
  EXPECT_EQ(id(small, {}), first + 1);
  EXPECT_EQ(id(super, {1, 4, 0, 1000, 40, 16}), first + 2);
  EXPECT_EQ(id(small, {}), first + 5) << "three segments take three numbers";
}

// RFC 6877 §6.3: many addresses on our side, each with an IPv6 address of its own.
TEST(OwnSide, FindsEachAddressOfItsRangesAndNoOther) {
  const std::vector<RangeMapping> ranges{*RangeMapping::parse("192.168.1.0/24=2001:db8:1:c1a7::/96"),
                                         *RangeMapping::parse("10.0.0.0/8=2001:db8:2:300::/56"),
                                         *RangeMapping::parse("10.1.0.0/16=2001:db8:3::/48")};
  const auto clat = test::neutral().clat();
  const OwnSide own(clat.v4, clat.v6, ranges);
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    auto v4 = Ipv4Address::from_number(static_cast<std::uint32_t>(random()));
    // Half of them near the ranges' ends.
    if (i % 2 == 0) v4 = Ipv4Address::from_number((i % 4 == 0 ? 0xc0a80100U : 0x0a000000U) + random() % 512 - 128);
    const auto range = std::ranges::find_if(ranges, [&](const auto& r) { return r.v4.contains(v4); });
    const auto v6 = own.find(v4.number());
    ASSERT_EQ(v6.has_value(), range != ranges.end() || v4 == clat.v4) << v4.text();
    if (range == ranges.end()) continue;
    ASSERT_EQ(v6, load_halves(range->v6.embed(v4).bytes.data()));
    ASSERT_EQ(own.find(*v6), v4.number());
    auto stray = *v6;
    (random() % 2 == 0 ? stray.high : stray.low) ^= 1ULL << random() % 64;
    // If that is an address of ours, too, then one that maps back.
    if (const auto back = own.find(stray)) {
      ASSERT_EQ(own.find(*back), stray);
    }
  }
}

TEST(OwnSide, HasNobodysAddresses) {
  const std::vector<RangeMapping> ranges{*RangeMapping::parse("0.0.0.0/1=2001:db8:1::/96")};
  const auto clat = test::neutral().clat();
  const OwnSide own(clat.v4, clat.v6, ranges);
  for (const auto* text : {"0.0.0.0", "0.1.2.3", "127.0.0.1"}) {
    const auto address = *Ipv4Address::parse(text);
    EXPECT_FALSE(own.find(address.number())) << text;
    EXPECT_FALSE(own.find(load_halves(ranges[0].v6.embed(address).bytes.data()))) << text;
  }
  EXPECT_TRUE(own.find(Ipv4Address::parse("1.2.3.4")->number()));
}

TEST(Mtus, AreMadeSane) {
  EXPECT_EQ((Mtus{.ipv6 = 1000, .ipv4 = 0, .lowest_ipv6 = 9000}.sane()),
            (Mtus{.ipv6 = 1280, .ipv4 = 68, .lowest_ipv6 = 1280}));
  EXPECT_EQ((Mtus{.ipv6 = 1400, .ipv4 = 1500, .lowest_ipv6 = 1500}.sane()),
            (Mtus{.ipv6 = 1400, .ipv4 = 1500, .lowest_ipv6 = 1400}));
  EXPECT_EQ((Mtus{.ipv6 = 70000, .ipv4 = 70000, .lowest_ipv6 = 0}.sane()),
            (Mtus{.ipv6 = 65535, .ipv4 = 65535, .lowest_ipv6 = 1280}));
}

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(TokenBucket, GivesABurstAndThenARate) {
  TokenBucket bucket(10, std::chrono::seconds(1), 3);
  std::uint64_t now = 5 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now + kSecond / 10 - 1));
  int taken = 0;
  for (int ms = 1; ms <= 10'000; ++ms) taken += bucket.take(now + static_cast<std::uint64_t>(ms) * kSecond / 1000);
  EXPECT_EQ(taken, 100);
  now += 1'000'000 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now)) << "a rest fills it";
  EXPECT_FALSE(bucket.take(now)) << "to the brim";
}

TEST(TokenBucket, CountsByAnyPeriod) {
  TokenBucket bucket(5, std::chrono::minutes(1), 1);
  EXPECT_TRUE(bucket.take(0));
  EXPECT_FALSE(bucket.take(11 * kSecond));
  EXPECT_TRUE(bucket.take(12 * kSecond));
}

TEST(TokenBucket, OfNothingIsEmpty) {
  TokenBucket no_rate(0, std::chrono::seconds(1), 5), no_burst(5, std::chrono::seconds(1), 0);
  EXPECT_FALSE(no_rate.take(kSecond));
  EXPECT_FALSE(no_burst.take(kSecond));
}

TEST(TokenBucket, GivesThreadsNoMoreThanOne) {
  TokenBucket bucket(1, std::chrono::hours(1), 1000);
  std::atomic<int> taken = 0;
  const auto take = [&] {
    for (int i = 0; i < 100'000; ++i) taken += bucket.take(kSecond);
  };
  std::thread other(take), another(take);
  other.join();
  another.join();
  EXPECT_EQ(taken, 1000);
}

TEST(Description, NamesAddressesAndPorts) {
  const auto& s = test::operators96();
  const auto describe = [](const Bytes& packet) { return std::string(Description(packet).view()); };
  EXPECT_EQ(describe(test::packet(test::out4(s), test::udp({}))), "protocol 17 192.0.0.4:40000 > 192.0.2.33:53");
  EXPECT_EQ(describe(test::packet(test::in6(s), test::tcp({}))),
            "protocol 6 [2001:db8:122:344::c000:221]:40000 > [2001:db9:1:2::c1a7]:53");
  EXPECT_EQ(describe(test::packet(test::out4(s), test::icmp4(8, 0, 0, {}))), "protocol 1 192.0.0.4 > 192.0.2.33");
  EXPECT_EQ(describe(test::packet(test::out4(s), test::raw(17, {1, 2, 3}))), "protocol 17 192.0.0.4 > 192.0.2.33");
  EXPECT_EQ(describe(test::packet(test::in6(s), test::raw(44, test::fragment_header(60, 0, true, 1)))),
            "protocol 60 [2001:db8:122:344::c000:221] > [2001:db9:1:2::c1a7]");
  EXPECT_EQ(describe(Bytes(19, 0x45)), "19 bytes");
  EXPECT_EQ(describe({}), "0 bytes");
  const test::Ip6 six{.source = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                      .destination = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
  EXPECT_EQ(
      describe(test::packet(six, test::udp({}, test::Sum::none, {65535, 65535}))),
      "protocol 17 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 > [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

TEST(Verdicts, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kVerdictCount; ++i) {
    const auto text = name(static_cast<Verdict>(i));
    EXPECT_TRUE(names.insert(text).second) << text;
    EXPECT_NE(text, "unknown");
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string_view::npos) << text;
  }
}

}  // namespace
}  // namespace clat::xlat
