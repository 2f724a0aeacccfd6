#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/checksum.hpp"
#include "core/net/clat_address.hpp"
#include "core/net/mtu.hpp"
#include "core/net/pool.hpp"
#include "core/net/prefix.hpp"
#include "core/net/range_mapping.hpp"
#include "tests/support/packet.hpp"

namespace clat {
namespace {

Ipv4Address v4(const char* text) { return Ipv4Address::parse(text).value(); }
Ipv6Address v6(const char* text) { return Ipv6Address::parse(text).value(); }

struct Example {
  const char *prefix, *embedded;
};
class Rfc6052 : public testing::TestWithParam<Example> {};

// RFC 6052 §2.4, with 192.0.2.33.
TEST_P(Rfc6052, EmbedsAndExtracts) {
  const auto prefix = Nat64Prefix::parse(GetParam().prefix);
  ASSERT_TRUE(prefix) << prefix.error().text();
  EXPECT_EQ(prefix->text(), GetParam().prefix);
  EXPECT_EQ(prefix->embed(v4("192.0.2.33")).text(), v6(GetParam().embedded).text());
  EXPECT_EQ(prefix->extract(v6(GetParam().embedded)), v4("192.0.2.33"));
}

INSTANTIATE_TEST_SUITE_P(Examples, Rfc6052,
                         testing::Values(Example{"2001:db8::/32", "2001:db8:c000:221::"},
                                         Example{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
                                         Example{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
                                         Example{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
                                         Example{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
                                         Example{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
                                         Example{"64:ff9b::/96", "64:ff9b::192.0.2.33"}));

TEST(Prefix, ExtractsNothingFromOutside) {
  const auto prefix = Nat64Prefix::parse("2001:db8:122:300::/56").value();
  EXPECT_EQ(prefix.extract(v6("2001:db8:122:200::")), std::nullopt);
  EXPECT_EQ(prefix.extract(v6("::")), std::nullopt);
}

TEST(Prefix, IgnoresSuffixAndUOctet) {
  const auto prefix = Nat64Prefix::parse("2001:db8:122::/48").value();
  EXPECT_EQ(prefix.extract(v6("2001:db8:122:c000:ff02:21ff:ffff:ffff")), v4("192.0.2.33"));
}

struct Refused {
  const char *text, *error;
};
class BadPrefix : public testing::TestWithParam<Refused> {};
TEST_P(BadPrefix, SaysWhy) {
  const auto prefix = Nat64Prefix::parse(GetParam().text);
  ASSERT_FALSE(prefix);
  EXPECT_EQ(prefix.error().what, GetParam().error);
}
INSTANTIATE_TEST_SUITE_P(
    Table, BadPrefix,
    testing::Values(
        Refused{"", "a NAT64 prefix needs a length, like 64:ff9b::/96"},
        Refused{"64:ff9b::", "a NAT64 prefix needs a length, like 64:ff9b::/96"},
        Refused{"192.0.2.0/24", "a NAT64 prefix is IPv6, like 64:ff9b::/96"},
        Refused{"64:gg9b::/96", "not an IPv6 prefix; expected something like 64:ff9b::/96"},
        Refused{"64:ff9b::%eth0/96", "not an IPv6 prefix; expected something like 64:ff9b::/96"},
        Refused{" 64:ff9b::/96", "not an IPv6 prefix; expected something like 64:ff9b::/96"},
        Refused{"64:ff9b::/", "the prefix length is not a number from 0 to 128"},
        Refused{"64:ff9b::/96 ", "the prefix length is not a number from 0 to 128"},
        Refused{"64:ff9b::/+96", "the prefix length is not a number from 0 to 128"},
        Refused{"64:ff9b::/129", "the prefix length is not a number from 0 to 128"},
        Refused{"64:ff9b::/4294967392", "the prefix length is not a number from 0 to 128"},
        Refused{"64:ff9b::/95", "prefix length /95 is none of RFC 6052's: 32, 40, 48, 56, 64, 96"},
        Refused{"64:ff9b::1/96", "64:ff9b::1/96 has bits set behind the prefix; did you mean 64:ff9b::/96?"},
        Refused{"2001:db8:1::/32", "2001:db8:1::/32 has bits set behind the prefix; did you mean 2001:db8::/32?"},
        Refused{"2001:db8:0:0:100::/96", "bits 64-71 of a /96 NAT64 prefix must be zero (RFC 6052 §2.2)"},
        Refused{"ff02::/96", "ff02:: cannot be a NAT64 prefix"}, Refused{"::/96", ":: cannot be a NAT64 prefix"},
        Refused{"fe80::/64", "fe80:: cannot be a NAT64 prefix"},
        Refused{"::ffff:0:0/96",
                "IPv4-mapped addresses (RFC 4291 §2.5.5.2) cannot be a NAT64 prefix: no packet carries them"},
        Refused{"::ffff:192.0.2.1/96",
                "IPv4-mapped addresses (RFC 4291 §2.5.5.2) cannot be a NAT64 prefix: no packet carries them"},
        Refused{"::1/96", "::/32 is reserved: no NAT64 prefix lies in it"},
        Refused{"::ffff:0:0:0/96", "::/32 is reserved: no NAT64 prefix lies in it"},
        Refused{"0:0:1::/48", "::/32 is reserved: no NAT64 prefix lies in it"}));

TEST(Prefix, MayBeginWithZeros) {
  for (const auto* text : {"64:ff9b:1::/48", "0:1::/32"}) EXPECT_TRUE(Nat64Prefix::parse(text)) << text;
}

TEST(Address, TakesNothingAroundIt) {
  for (const auto* text : {"", "192.0.2", "192.0.2.256", "192.0.2.1 ", " 192.0.2.1", "192.0.2.01x", "1.2.3.4.5"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << text;
  }
  for (const auto* text : {"", ":", "1::2::3", "12345::", "::1%lo", "::1/128", "1:2:3:4:5:6:7:8:9"}) {
    EXPECT_FALSE(Ipv6Address::parse(text)) << text;
  }
  EXPECT_FALSE(Ipv4Address::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST(Address, WritesCanonicalText) {
  EXPECT_EQ(v6("2001:0DB8:0:0:0:0:0:1").text(), "2001:db8::1");
  EXPECT_EQ(v4("192.0.0.4").number(), 0xc0000004U);
  EXPECT_EQ(Ipv4Address::from_number(0xc0000004), v4("192.0.0.4"));
  EXPECT_EQ((MacAddress{{2, 0, 0, 0xab, 0, 1}}.text()), "02:00:00:ab:00:01");
}

TEST(Address, ComparesFirstBits) {
  EXPECT_TRUE(v6("2001:db8::").same_first_bits(v6("2001:db9::"), 31));
  EXPECT_FALSE(v6("2001:db8::").same_first_bits(v6("2001:db9::"), 32));
  EXPECT_TRUE(v6("::").same_first_bits(v6("ffff::"), 0));
  EXPECT_FALSE(v6("::").same_first_bits(v6("::1"), 128));
}

std::vector<std::string> walk(const Ipv4Pool& pool) {
  std::vector<std::string> order;
  (void)pool.first_free([&](const Ipv4Address& address) {
    order.push_back(address.text());
    return false;
  });
  return order;
}

TEST(Pool, WalksTheServiceContinuityPrefixAsAndroidDoes) {
  EXPECT_EQ(walk(Ipv4Pool::service_continuity()),
            (std::vector<std::string>{"192.0.0.4", "192.0.0.5", "192.0.0.6", "192.0.0.7", "192.0.0.0", "192.0.0.1",
                                      "192.0.0.2", "192.0.0.3"}));
  EXPECT_EQ(Ipv4Pool::parse("192.0.0.0/29"), Ipv4Pool::service_continuity());
}

TEST(Pool, WalksOthersUpwardsWithoutTheirEnds) {
  EXPECT_EQ(walk(Ipv4Pool::parse("10.0.0.0/30").value()), (std::vector<std::string>{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(walk(Ipv4Pool::parse("10.0.0.6/31").value()), (std::vector<std::string>{"10.0.0.6", "10.0.0.7"}));
  EXPECT_EQ(walk(Ipv4Pool::parse("10.0.0.9/32").value()), (std::vector<std::string>{"10.0.0.9"}));
}

TEST(Pool, GivesTheFirstFreeOne) {
  const auto pool = Ipv4Pool::service_continuity();
  EXPECT_EQ(pool.first_free([](const auto& a) { return a != v4("192.0.0.4"); }), v4("192.0.0.5"));
  EXPECT_EQ(pool.first_free([](const auto&) { return false; }), std::nullopt);
}

TEST(Pool, KnowsItsOwn) {
  const auto pool = Ipv4Pool::parse("10.1.0.0/16").value();
  EXPECT_TRUE(pool.contains(v4("10.1.255.255")));
  EXPECT_FALSE(pool.contains(v4("10.2.0.0")));
  EXPECT_EQ(pool.text(), "10.1.0.0/16");
}

TEST(Pool, RefusesWhatIsNone) {
  for (const auto* text : {"", "10.0.0.0", "10.0.0.0/7", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.0/", "::/64"}) {
    EXPECT_FALSE(Ipv4Pool::parse(text)) << text;
  }
  EXPECT_EQ(Ipv4Pool::parse("10.0.0.1/30").error().what, "the pool has host bits set; did you mean 10.0.0.0/30?");
}

TEST(Ipv4Prefix, ContainsWhatSharesItsBits) {
  const auto prefix = Ipv4Prefix::parse("192.168.128.0/17").value();
  EXPECT_EQ(prefix.text(), "192.168.128.0/17");
  for (const auto* inside : {"192.168.128.0", "192.168.255.255"}) EXPECT_TRUE(prefix.contains(v4(inside))) << inside;
  for (const auto* outside : {"192.168.127.255", "192.169.0.0", "0.0.0.0"}) {
    EXPECT_FALSE(prefix.contains(v4(outside))) << outside;
  }
  EXPECT_TRUE(Ipv4Prefix::parse("128.0.0.0/1")->contains(v4("255.0.0.1")));
  EXPECT_FALSE(Ipv4Prefix::parse("10.0.0.1/32")->contains(v4("10.0.0.0")));
}

struct RefusedRange {
  const char *text, *why;
};
class BadRange : public testing::TestWithParam<RefusedRange> {};
TEST_P(BadRange, SaysWhy) {
  const auto range = RangeMapping::parse(GetParam().text);
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error().text(), GetParam().why);
}
INSTANTIATE_TEST_SUITE_P(
    Texts, BadRange,
    testing::Values(
        RefusedRange{"", "expected IPV4/LENGTH=IPV6/LENGTH, like 192.168.1.0/24=2001:db8:1:c1a7::/96"},
        RefusedRange{"192.168.1.0/24", "expected IPV4/LENGTH=IPV6/LENGTH, like 192.168.1.0/24=2001:db8:1:c1a7::/96"},
        RefusedRange{"192.168.1.0=2001:db8::/96", "not an IPv4 prefix; expected something like 192.168.1.0/24"},
        RefusedRange{"192.168.1/24=2001:db8::/96", "not an IPv4 prefix; expected something like 192.168.1.0/24"},
        RefusedRange{"192.168.1.0/0=2001:db8::/96", "the prefix's length is not a number from 1 to 32"},
        RefusedRange{"192.168.1.0/33=2001:db8::/96", "the prefix's length is not a number from 1 to 32"},
        RefusedRange{"192.168.1.7/24=2001:db8::/96", "the prefix has host bits set; did you mean 192.168.1.0/24?"},
        RefusedRange{"192.168.1.0/24=2001:db8::", "a NAT64 prefix needs a length, like 64:ff9b::/96"},
        RefusedRange{"192.168.1.0/24=2001:db8::/95",
                     "prefix length /95 is none of RFC 6052's: 32, 40, 48, 56, 64, 96"}));

TEST(RangeMapping, IsWrittenAsItIsRead) {
  const std::string text = "192.168.1.0/24=2001:db8:1:c1a7::/96";
  const auto range = RangeMapping::parse(text).value();
  EXPECT_EQ(range.text(), text);
  EXPECT_EQ(range.v6.embed(v4("192.168.1.9")), v6("2001:db8:1:c1a7::c0a8:109"));
}

struct Covered {
  const char *range, *prefix, *mask;
};
class CoveredBy : public testing::TestWithParam<Covered> {};
TEST_P(CoveredBy, IsWhatLiesInIt) {
  const auto range = RangeMapping::parse(GetParam().range).value();
  const auto covered = range.covered();
  EXPECT_EQ(covered.text(), GetParam().prefix);
  EXPECT_EQ(range.exact_mask().text(), GetParam().mask);
  const auto last =
      Ipv4Address::from_number(range.v4.address.number() | (range.v4.length == 32 ? 0 : ~0U >> range.v4.length));
  EXPECT_TRUE(covered.contains(range.v6.embed(range.v4.address)));
  EXPECT_TRUE(covered.contains(range.v6.embed(last)));
  if (range.v4.length > 8) {
    EXPECT_FALSE(covered.contains(range.v6.embed(Ipv4Address::from_number(last.number() + 1))));
    EXPECT_FALSE(covered.contains(range.v6.embed(Ipv4Address::from_number(range.v4.address.number() - 1))));
  }
}
INSTANTIATE_TEST_SUITE_P(
    EveryLength, CoveredBy,
    testing::Values(
        Covered{"192.168.1.0/24=2001:db8:1:c1a7::/96", "2001:db8:1:c1a7::c0a8:100/120",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"},
        Covered{"192.168.1.9/32=2001:db8:1:c1a7::/96", "2001:db8:1:c1a7::c0a8:109/128",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        Covered{"10.7.0.0/16=2001:db8:7:c1a7::/64", "2001:db8:7:c1a7:a:700::/88",
                "ffff:ffff:ffff:ffff:ffff:ff00:ff:ffff"},
        Covered{"10.0.0.0/8=2001:db8:7:300::/56", "2001:db8:7:30a::/64", "ffff:ffff:ffff:ffff:ff00:0:ffff:ffff"},
        Covered{"172.16.0.0/12=2001:db8:7:300::/56", "2001:db8:7:3ac:10::/76", "ffff:ffff:ffff:ffff:fff0:0:ffff:ffff"},
        Covered{"192.168.0.0/16=2001:db8:7::/48", "2001:db8:7:c0a8::/64", "ffff:ffff:ffff:ffff:ff00:ff:ffff:ffff"},
        Covered{"203.0.113.0/24=2001:db8:700::/40", "2001:db8:7cb:71::/64", "ffff:ffff:ffff:ffff:ff00:ffff:ffff:ffff"},
        Covered{"203.0.113.64/26=2001:db8::/32", "2001:db8:cb00:7140::/58",
                "ffff:ffff:ffff:ffc0:ffff:ffff:ffff:ffff"}));

TEST(Ipv6Prefix, OverlapsWhatItLiesInAndWhatLiesInIt) {
  const auto prefix = [](const char* text) { return Ipv6Prefix::parse(text).value(); };
  EXPECT_TRUE(overlap(prefix("2001:db8::/32"), prefix("2001:db8:5::/64")));
  EXPECT_TRUE(overlap(prefix("2001:db8:5::/64"), prefix("2001:db8::/32")));
  EXPECT_TRUE(overlap(prefix("2001:db8:5::/64"), prefix("2001:db8:5::/64")));
  EXPECT_FALSE(overlap(prefix("2001:db8:5::/64"), prefix("2001:db8:6::/64")));
}

TEST(ClatAddress, IsNeutralForEveryPrefixSubnetAndRandomNumber) {
  std::mt19937_64 random(20260101);
  for (const auto* text : {"64:ff9b::/96", "2001:db8:122:344::/96", "2001:db8::/32", "2001:db8:100::/40",
                           "2001:db8:122::/48", "2001:db8:122:300::/56", "2001:db8:122:344::/64"}) {
    const auto prefix = Nat64Prefix::parse(text).value();
    for (int i = 0; i < 20'000; ++i) {
      const auto address = Ipv4Address::from_number(static_cast<std::uint32_t>(random()));
      Ipv6Address subnet;
      for (std::size_t byte = 0; byte < 8; ++byte) subnet.bytes[byte] = static_cast<std::uint8_t>(random());
      const auto clat = make_clat_ipv6({subnet, 64}, address, prefix, random());
      ASSERT_EQ(checksum_delta(clat, address, prefix), 0) << clat.text() << ' ' << address.text() << ' ' << text;
      ASSERT_TRUE(clat.same_first_bits(subnet, 64));
    }
  }
}

// Where the words of the peer's address stay whole, the two pseudo-headers have one sum whoever the peer is.
TEST(ClatAddress, MakesTransportChecksumsEqualInBothFamilies) {
  std::mt19937_64 random(7);
  for (const auto* text : {"64:ff9b::/96", "2001:db8::/32"}) {
    const auto prefix = Nat64Prefix::parse(text).value();
    ASSERT_TRUE(prefix.keeps_words());
    for (int i = 0; i < 2'000; ++i) {
      const auto clat = make_clat_ipv6({v6("2001:db9:1:2::"), 64}, v4("192.0.0.4"), prefix, random());
      const auto peer = Ipv4Address::from_number(static_cast<std::uint32_t>(random()));
      const auto four = checksum_fold(checksum_add(peer.bytes, checksum_add(v4("192.0.0.4").bytes)));
      const auto six = checksum_fold(checksum_add(prefix.embed(peer).bytes, checksum_add(clat.bytes)));
      ASSERT_EQ(four % 0xffff, six % 0xffff) << clat.text() << ' ' << peer.text();
    }
  }
}

TEST(ClatAddress, IsNeverTheSubnetsAnycastAddress) {
  // The interface id whose neutral form is zero: everything is in the correction.
  const auto prefix = Nat64Prefix::parse("64:ff9b::/96").value();
  const auto subnet = v6("c000:3:0:1::");  // sums to c004 like 192.0.0.4
  const auto clat = make_clat_ipv6({subnet, 64}, v4("192.0.0.4"), prefix, 0);
  EXPECT_NE(clat, subnet);
  EXPECT_EQ(checksum_delta(clat, v4("192.0.0.4"), prefix), 0);
}

TEST(ClatAddress, KeepsTheBitsOfALongerSubnet) {
  std::mt19937_64 random(11);
  const auto prefix = Nat64Prefix::parse("64:ff9b::/96").value();
  const auto host = v6("2001:db8:1:2:3:4:5:6");
  for (unsigned length = kShortestClatSubnet; length <= kLongestClatSubnet; ++length) {
    const auto subnet = Ipv6Prefix{host, length}.masked();
    for (int i = 0; i < 200; ++i) {
      const auto clat = make_clat_ipv6({host, length}, v4("192.0.0.4"), prefix, random());
      ASSERT_TRUE(subnet.contains(clat)) << subnet.text() << ' ' << clat.text();
      ASSERT_NE(clat, subnet.address);
      if (has_neutral_addresses(subnet)) {
        ASSERT_EQ(checksum_delta(clat, v4("192.0.0.4"), prefix), 0) << subnet.text();
      }
      const auto other = make_clat_ipv6(subnet, v4("192.0.0.4"), prefix, random(), Neutrality::given_up);
      ASSERT_TRUE(subnet.contains(other) && other != subnet.address) << subnet.text();
    }
  }
}

TEST(ClatAddress, OfASlash112WhoseNeutralOneIsAnycastIsAnother) {
  const auto prefix = Nat64Prefix::parse("64:ff9b::/96").value();
  const Ipv6Prefix subnet{v6("c000:3:0:1::"), 112};
  const auto clat = make_clat_ipv6(subnet, v4("192.0.0.4"), prefix, 0);
  EXPECT_TRUE(subnet.contains(clat));
  EXPECT_NE(clat, subnet.address);
}

TEST(Ipv6Prefixes, AreParsedMaskedAndCompared) {
  EXPECT_EQ(Ipv6Prefix::parse("2001:db8:1::/56")->text(), "2001:db8:1::/56");
  EXPECT_EQ((Ipv6Prefix{v6("2001:db8:1:2ff::1"), 57}.masked().text()), "2001:db8:1:280::/57");
  EXPECT_EQ((Ipv6Prefix{v6("ffff::1"), 0}.masked().text()), "::/0");
  EXPECT_EQ((Ipv6Prefix{v6("ffff::1"), 128}.masked().text()), "ffff::1/128");
  for (const auto* text : {"2001:db8::", "2001:db8::/0", "2001:db8::/129", "2001:db8::/-1", "10.0.0.0/8", "/64", ""}) {
    EXPECT_FALSE(Ipv6Prefix::parse(text)) << text;
  }
  EXPECT_NE(Ipv6Prefix::parse("2001:db8::1/64").error().what.find("2001:db8::/64"), std::string::npos);
  EXPECT_EQ(common_prefix_length(v6("2001:db8::"), v6("2001:db8::")), 128u);
  EXPECT_EQ(common_prefix_length(v6("2001:db8::"), v6("2001:db9::")), 31u);
  EXPECT_EQ(common_prefix_length(v6("::"), v6("8000::")), 0u);
}

TEST(Checksum, AgreesWithTheOtherWayOfComputingIt) {
  std::mt19937 random(3);
  for (std::size_t size : {0U, 1U, 2U, 3U, 19U, 20U, 1500U, 65535U}) {
    test::Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    const auto packet = test::packet(test::Ip4{.source = "1.2.3.4", .destination = "5.6.7.8"}, test::raw(99, {}));
    EXPECT_EQ(checksum_fold(checksum_add(packet)), 0xffff);
    unsigned slow = 0;
    for (std::size_t i = 0; i < size; ++i) slow = (slow + bytes[i] * (i % 2 == 0 ? 256U : 1U)) % 65535;
    EXPECT_EQ(checksum_fold(checksum_add(bytes)) % 65535, slow) << size;
  }
}

TEST(Mtu, LeavesRoomForTranslationAndNeverFallsBelowTheMinimum) {
  EXPECT_EQ(tun_mtu(1500), 1472U);
  EXPECT_EQ(tun_mtu(1280), 1252U);
  EXPECT_EQ(tun_mtu(576), 1252U);
}

}  // namespace
}  // namespace clat
