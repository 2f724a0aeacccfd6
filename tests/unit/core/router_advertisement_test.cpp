// Router advertisements: what a CLAT wants to know of them, and what is wrong with the others.
#include "core/net/router_advertisement.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/icmpv6.hpp"

namespace clat {
namespace {

using Packet = std::vector<std::uint8_t>;

Packet pref64(const char* prefix, unsigned code, unsigned lifetime) {
  Packet option{38, 2, static_cast<std::uint8_t>(lifetime >> 8), static_cast<std::uint8_t>((lifetime & 0xf8) | code)};
  const auto address = *Ipv6Address::parse(prefix);
  option.insert(option.end(), address.bytes.begin(), address.bytes.begin() + 12);
  return option;
}

Packet advertisement(const std::vector<Packet>& options, const char* source = "fe80::1") {
  Packet packet(56);
  packet[0] = 0x60;
  packet[6] = 58;
  packet[7] = 255;
  std::ranges::copy(Ipv6Address::parse(source)->bytes, packet.begin() + 8);
  std::ranges::copy(Ipv6Address::parse("ff02::1")->bytes, packet.begin() + 24);
  packet[40] = 134;
  for (const auto& option : options) packet.insert(packet.end(), option.begin(), option.end());
  packet[4] = static_cast<std::uint8_t>((packet.size() - 40) >> 8);
  packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
  test::set_icmpv6_checksum(packet);
  return packet;
}

TEST(RouterAdvertisements, TellPrefixesOfAllSixLengths) {
  const struct {
    unsigned code;
    const char* prefix;
  } rows[] = {{0, "64:ff9b::/96"},      {1, "2001:db8:122:344::/64"}, {2, "2001:db8:122:300::/56"},
              {3, "2001:db8:122::/48"}, {4, "2001:db8:100::/40"},     {5, "2001:db8::/32"}};
  for (const auto& row : rows) {
    const auto expected = Nat64Prefix::parse(row.prefix).value();
    const auto heard =
        parse_router_advertisement(advertisement({pref64(expected.address().text().c_str(), row.code, 1800)}));
    ASSERT_TRUE(heard) << heard.error().text();
    EXPECT_EQ(heard->router, Ipv6Address::parse("fe80::1"));
    EXPECT_EQ(heard->prefixes, (std::vector<AdvertisedPrefix>{{expected, std::chrono::seconds(1800)}}));
  }
}

TEST(RouterAdvertisements, BitsBehindThePrefixDoNotCount) {
  const auto heard = parse_router_advertisement(advertisement({pref64("2001:db8:122:344:1:2::", 1, 600)}));
  EXPECT_EQ(heard->prefixes[0].prefix, Nat64Prefix::parse("2001:db8:122:344::/64").value());
}

Packet rdnss(std::uint32_t lifetime, const std::vector<const char*>& addresses) {
  Packet option(8);
  option[0] = 25;
  option[1] = static_cast<std::uint8_t>(1 + 2 * addresses.size());
  for (int i = 0; i < 4; ++i) option[4 + i] = static_cast<std::uint8_t>(lifetime >> (24 - 8 * i));
  for (const auto* each : addresses) {
    const auto address = *Ipv6Address::parse(each);
    option.insert(option.end(), address.bytes.begin(), address.bytes.end());
  }
  return option;
}

Packet mtu(std::uint32_t value) {
  return {5,
          1,
          0,
          0,
          static_cast<std::uint8_t>(value >> 24),
          static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8),
          static_cast<std::uint8_t>(value)};
}

TEST(RouterAdvertisements, TellNameServers) {
  const auto heard = parse_router_advertisement(advertisement(
      {rdnss(600, {"2001:db8::53", "fe80::1"}), rdnss(0xffff'ffff, {"2001:db8::54"}), rdnss(0, {"fe80::1"})}));
  ASSERT_TRUE(heard) << heard.error().text();
  EXPECT_EQ(heard->name_servers, (std::vector<AdvertisedNameServer>{
                                     {*Ipv6Address::parse("2001:db8::53"), std::chrono::seconds(600)},
                                     {*Ipv6Address::parse("fe80::1"), std::chrono::seconds(0)},
                                     {*Ipv6Address::parse("2001:db8::54"), std::chrono::seconds(0xffff'ffff)}}));
  EXPECT_EQ(heard->ignored, 0u);
}

TEST(RouterAdvertisements, NameServersThatCannotBeAskedAreIgnored) {
  Packet half = rdnss(600, {"2001:db8::53"});
  half.resize(16);
  half[1] = 2;
  Packet more = rdnss(600, {"2001:db8::53"});
  more.resize(32);
  more[1] = 4;
  Packet none = rdnss(600, {});
  const auto heard = parse_router_advertisement(
      advertisement({half, more, none, rdnss(600, {"::", "::1", "ff02::fb", "::ffff:192.0.2.1", "2001:db8::55"})}));
  ASSERT_TRUE(heard) << heard.error().text();
  ASSERT_EQ(heard->name_servers.size(), 1u);
  EXPECT_EQ(heard->name_servers[0].address, Ipv6Address::parse("2001:db8::55"));
  EXPECT_EQ(heard->ignored, 7u);
}

TEST(RouterAdvertisements, MoreNameServersThanAnybodyNeedsAreIgnored) {
  std::vector<Packet> options;
  for (const auto* digit : {"1", "2", "3", "4", "5", "6", "7", "8", "9", "a"}) {
    options.push_back(rdnss(600, {(std::string("2001:db8::") + digit).c_str()}));
  }
  const auto heard = parse_router_advertisement(advertisement(options));
  EXPECT_EQ(heard->name_servers.size(), kMostAdvertisedNameServers);
  EXPECT_EQ(heard->ignored, 2u);
}

TEST(RouterAdvertisements, TellTheMtu) {
  const struct {
    Packet option;
    std::optional<std::uint32_t> expected;
  } rows[] = {{mtu(1480), 1480},
              {mtu(1280), 1280},
              {mtu(1279), {}},
              {mtu(0), {}},
              {mtu(0xffff'ffff), 0xffff'ffff},
              {{5, 2, 0, 0, 0, 0, 5, 0xdc, 0, 0, 0, 0, 0, 0, 0, 0}, {}}};
  for (const auto& row : rows) {
    EXPECT_EQ(parse_router_advertisement(advertisement({row.option}))->mtu, row.expected);
  }
}

TEST(RouterAdvertisements, OtherOptionsAndPaddingAreSteppedOver) {
  auto packet = advertisement({rdnss(0, {"2001:db8::1"}), pref64("64:ff9b::", 0, 8), {1, 1, 2, 0, 0, 0, 0, 1}});
  packet.resize(packet.size() + 20, 0xff);
  const auto heard = parse_router_advertisement(packet);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->prefixes.size(), 1u);
  EXPECT_EQ(heard->prefixes[0].lifetime, std::chrono::seconds(8));
}

TEST(RouterAdvertisements, OptionsThatAreNoPrefixAreCounted) {
  Packet long_one = pref64("64:ff9b::", 0, 600);
  long_one.resize(24);
  long_one[1] = 3;
  const auto heard = parse_router_advertisement(advertisement(
      {pref64("64:ff9b::", 6, 600), pref64("64:ff9b::", 7, 600), pref64("fe80::", 0, 600), pref64("::", 0, 600),
       pref64("2001:db8:0:0:100::", 0, 600), long_one, pref64("64:ff9b::", 0, 600)}));
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->prefixes.size(), 1u);
  EXPECT_EQ(heard->ignored, 6u);
}

TEST(RouterAdvertisements, TheLastWordOnAPrefixCountsAndTheirNumberIsBounded) {
  std::vector<Packet> options{pref64("64:ff9b::", 0, 600), pref64("64:ff9b::", 0, 0)};
  for (int i = 1; i < 80; ++i) options.push_back(pref64(("2001:db8:" + std::to_string(i) + "::").c_str(), 0, 600));
  const auto heard = parse_router_advertisement(advertisement(options));
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->prefixes.size(), kMostAdvertisedPrefixes);
  EXPECT_EQ(heard->prefixes[0].lifetime.count(), 0);
  EXPECT_EQ(heard->ignored, 72u);
}

TEST(RouterAdvertisements, WhatBreaksTheRulesIsRefused) {
  const struct {
    const char* why;
    std::function<void(Packet&)> harm;
    bool checksum = true;
  } rows[] = {
      {"short", [](Packet& packet) { packet.resize(55); }, false},
      {"ICMPv6", [](Packet& packet) { packet[6] = 17; }},
      {"ICMPv6", [](Packet& packet) { packet[0] = 0x45; }},
      {"hop limit", [](Packet& packet) { packet[7] = 254; }},
      {"length lies", [](Packet& packet) { ++packet[5]; }, false},
      {"length lies", [](Packet& packet) { packet[5] = 15; }, false},
      {"no router advertisement", [](Packet& packet) { packet[40] = 133; }},
      {"no router advertisement", [](Packet& packet) { packet[41] = 1; }},
      {"link-local", [](Packet& packet) { packet[8] = 0x20; }},
      {"checksum", [](Packet& packet) { packet[43] ^= 1; }, false},
      {"option", [](Packet& packet) { packet[57] = 0; }},
      {"option", [](Packet& packet) { packet[57] = 3; }},
  };
  for (const auto& row : rows) {
    auto packet = advertisement({pref64("64:ff9b::", 0, 600)});
    row.harm(packet);
    if (row.checksum) test::set_icmpv6_checksum(packet);
    const auto heard = parse_router_advertisement(packet);
    ASSERT_FALSE(heard) << row.why;
    EXPECT_NE(heard.error().what.find(row.why), std::string::npos) << heard.error().what;
  }
}

TEST(RouterAdvertisements, EveryShorterPacketIsRefused) {
  const auto packet = advertisement({pref64("64:ff9b::", 0, 600)});
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(parse_router_advertisement(Packet(packet.begin(), packet.begin() + static_cast<long>(size))));
  }
}

TEST(RouterSolicitations, AreWhatRoutersAccept) {
  auto packet = router_solicitation();
  ASSERT_EQ(packet.size(), 48u);
  EXPECT_EQ(packet[7], 255);
  EXPECT_EQ(packet[40], 133);
  const auto sent = packet;
  test::set_icmpv6_checksum(packet);
  EXPECT_EQ(packet, sent);
}

}  // namespace
}  // namespace clat
