// What neighbours say of an address (RFC 4861 §4.3, §4.4 and §7.1), byte by byte.
#include "core/net/neighbour_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/support/icmpv6.hpp"

namespace clat {
namespace {

using Packet = std::vector<std::uint8_t>;
using Kind = NeighbourMessage::Kind;

constexpr char kAddress[] = "2001:db8::c1a7:0102";
constexpr char kGroup[] = "ff02::1:ffa7:102";
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
const Packet kMacOption{2, 1, 2, 0, 0, 0, 0, 9};
const Packet kNonceOption{14, 1, 1, 2, 3, 4, 5, 6};

Packet message(std::uint8_t type, const char* source, const char* destination, const Packet& options,
               std::uint8_t flags = 0) {
  Packet packet(64);
  packet[0] = 0x60;
  packet[6] = 58;
  packet[7] = 255;
  std::ranges::copy(Ipv6Address::parse(source)->bytes, packet.begin() + 8);
  std::ranges::copy(Ipv6Address::parse(destination)->bytes, packet.begin() + 24);
  packet[40] = type;
  packet[44] = flags;
  std::ranges::copy(Ipv6Address::parse(kAddress)->bytes, packet.begin() + 48);
  packet.insert(packet.end(), options.begin(), options.end());
  packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
  test::set_icmpv6_checksum(packet);
  return packet;
}

Packet advertisement() { return message(kAdvertisement, "fe80::2", "ff02::1", kMacOption, 0x20); }
Packet probe() { return message(kSolicitation, "::", kGroup, kNonceOption); }

TEST(UnsolicitedAdvertisement, OverridesWhatNeighboursKnow) {
  const AddressClaim claim{*Ipv6Address::parse("fe80::2"), *Ipv6Address::parse(kAddress), {{2, 0, 0, 0, 0, 9}}};
  EXPECT_EQ(unsolicited_advertisement(claim), advertisement());  // neither Router nor Solicited
}

TEST(DuplicateAddressProbe, IsFromNobodyAndHasANonce) {
  EXPECT_EQ(duplicate_address_probe({*Ipv6Address::parse(kAddress), {1, 2, 3, 4, 5, 6}}), probe());
}

TEST(Groups, HaveLinkLayerAddresses) {
  const auto group = solicited_node_group(*Ipv6Address::parse(kAddress));
  EXPECT_EQ(group, *Ipv6Address::parse(kGroup));
  EXPECT_EQ(group_mac(group), (MacAddress{{0x33, 0x33, 0xff, 0xa7, 0x01, 0x02}}));
}

TEST(NeighbourMessages, TellWhoSaysWhat) {
  const auto target = *Ipv6Address::parse(kAddress);
  const struct {
    const char* what;
    Packet packet;
    NeighbourMessage expected;
  } rows[] = {
      {"unsolicited", advertisement(), {Kind::advertisement, target, MacAddress{{2, 0, 0, 0, 0, 9}}}},
      {"an answer",
       message(kAdvertisement, kAddress, "fe80::2", kMacOption, 0x60),
       {Kind::advertisement, target, MacAddress{{2, 0, 0, 0, 0, 9}}}},
      {"without a link-layer address", message(kAdvertisement, kAddress, "fe80::2", {}), {Kind::advertisement, target}},
      {"with one of another size",
       message(kAdvertisement, kAddress, "fe80::2", {2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}),
       {Kind::advertisement, target}},
      {"a probe", probe(), {Kind::probe, target, {}, Nonce{1, 2, 3, 4, 5, 6}}},
      {"an older probe", message(kSolicitation, "::", kGroup, {}), {Kind::probe, target}},
      {"a nonce of another size",
       message(kSolicitation, "::", kGroup, {14, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}),
       {Kind::probe, target}},
      {"a question", message(kSolicitation, "fe80::2", kGroup, {1, 1, 2, 0, 0, 0, 0, 9}), {Kind::question, target}},
      {"other options",
       message(kAdvertisement, "fe80::2", "ff02::1", {99, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 9}),
       {Kind::advertisement, target, MacAddress{{2, 0, 0, 0, 0, 9}}}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    auto packet = row.packet;
    packet.resize(packet.size() + 7, 0xff);  // padding
    const auto heard = parse_neighbour_message(packet);
    ASSERT_TRUE(heard) << heard.error().text();
    EXPECT_EQ(*heard, row.expected);
  }
}

TEST(NeighbourMessages, WhatBreaksTheRulesIsRefused) {
  const struct {
    const char* why;
    Packet packet;
    std::function<void(Packet&)> harm;
    bool checksum = true;
  } rows[] = {
      {"short", advertisement(), [](Packet& packet) { packet.resize(63); }, false},
      {"ICMPv6", advertisement(), [](Packet& packet) { packet[6] = 17; }},
      {"hop limit", advertisement(), [](Packet& packet) { packet[7] = 254; }},
      {"length lies", advertisement(), [](Packet& packet) { ++packet[5]; }, false},
      {"length lies", advertisement(), [](Packet& packet) { packet[5] = 23; }, false},
      {"checksum", advertisement(), [](Packet& packet) { packet[43] ^= 1; }, false},
      {"code", advertisement(), [](Packet& packet) { packet[41] = 1; }},
      {"no neighbour", advertisement(), [](Packet& packet) { packet[40] = 134; }},
      {"group", advertisement(), [](Packet& packet) { packet[48] = 0xff; }},
      {"everybody", advertisement(), [](Packet& packet) { packet[44] = 0x60; }},
      {"option", advertisement(), [](Packet& packet) { packet[65] = 0; }},
      {"option", advertisement(), [](Packet& packet) { packet[65] = 2; }},
      {"option", probe(), [](Packet& packet) { packet[65] = 0; }},
      {"elsewhere", probe(), [](Packet& packet) { packet[39] ^= 1; }},
      {"link-layer address", probe(), [](Packet& packet) { packet[64] = 1; }},
  };
  for (const auto& row : rows) {
    auto packet = row.packet;
    row.harm(packet);
    if (row.checksum) test::set_icmpv6_checksum(packet);
    const auto heard = parse_neighbour_message(packet);
    ASSERT_FALSE(heard) << row.why;
    EXPECT_NE(heard.error().what.find(row.why), std::string::npos) << heard.error().what;
  }
}

TEST(NeighbourMessages, EveryShorterPacketIsRefused) {
  for (const auto& packet : {advertisement(), probe()}) {
    for (std::size_t size = 0; size < packet.size(); ++size) {
      EXPECT_FALSE(parse_neighbour_message(Packet(packet.begin(), packet.begin() + static_cast<long>(size))));
    }
  }
}

}  // namespace
}  // namespace clat
