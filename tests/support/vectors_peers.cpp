// What other translators were seen to get wrong, as rows of their own. Also there, but no packet shows it here:
// NetworkManager never retries a failed attach; TAYGA's Identification has one counter for all; nat46 and AOSP do not
// follow the MTU.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Verdict;

namespace {

void add_network_manager(std::vector<Vector>& table) {
  const char* id = "PEER-NetworkManager";
  const Scene& s = neutral();
  const auto segment = udp(counting(40));
  // It masks the DSCP with 0x70: EF became CS1 with a drop precedence.
  for (const std::uint8_t tos : {std::uint8_t{0xb8}, std::uint8_t{0xe0}, std::uint8_t{0xbb}}) {
    const auto text = "keeps the top bit of dscp in " + std::to_string(tos);
    auto four_out = out4(s), four_in = in4(s);
    auto six_out = out6(s), six_in = in6(s);
    four_out.tos = four_in.tos = six_out.traffic_class = six_in.traffic_class = tos;
    table.push_back(to_ipv6(id, text + " out", s, packet(four_out, segment), packet(six_out, segment)));
    table.push_back(to_ipv4(id, text + " in", s, packet(six_in, segment), packet(four_in, segment)));
  }
  const Cut first{0, 64, true};
  const auto whole = udp(counting(80));
  table.push_back(to_ipv6(id, "translates a first fragment out", s, piece4(out4(s), whole, first),
                          piece6(out6(s), whole, first, kFragmentId)));
  table.push_back(exact(to_ipv4(id, "translates a first fragment in", s, piece6(in6(s), whole, first, kFragmentId),
                                piece4(in4(s), whole, first))));
  auto optional = out4(s);
  optional.options = {148, 4, 0, 0};
  table.push_back(
      to_ipv6(id, "translates a packet with options", s, packet(optional, segment), packet(out6(s), segment)));
  for (const auto& carried : {raw(47, counting(40)), raw(50, counting(40)), udp_lite(counting(21))}) {
    table.push_back(to_ipv4(id, "takes protocol " + std::to_string(carried.protocol) + " in as well as out", s,
                            packet(in6(s), carried), packet(in4(s), carried)));
  }
  // Its first bug with UDP: 0 went out as it was, which no IPv6 host takes.
  table.push_back(to_ipv6(id, "computes the udp checksum that ipv6 wants", s,
                          packet(out4(s), udp(counting(40), Sum::none)), packet(out6(s), segment)));
  const auto in = from_peer(s, segment);
  table.push_back(error6(id, "translates the packet inside an icmpv4 error", s, {3, 3}, in.four, {1, 4}, in.six));
}

void add_aosp(std::vector<Vector>& table) {
  const char* id = "PEER-AOSP";
  const Scene& s = neutral();
  const auto segment = udp(counting(40));
  const auto in = from_peer(s, segment), out = to_peer(s, segment);
  table.push_back(error4(id, "translates packet too big", s, {2, 0, 1400}, out.six, {3, 4, 1380}, out.four));
  table.push_back(error6(id, "translates fragmentation needed", s, {3, 4, 1400}, in.four, {2, 0, 1420}, in.six));
  table.push_back(error4(id, "translates parameter problem", s, {4, 0, 7}, out.six, {12, 0, 8U << 24}, out.four));
  // The lengths inside count the Fragment Header.
  const auto whole = udp(counting(80));
  const Cut first{0, 64, true};
  auto four = in4(s);
  four.ttl = in6(s).hop_limit;
  table.push_back(error6(id, "counts the fragment header inside an error", s, {3, 3}, piece4(four, whole, first),
                         {1, 4}, piece6(in6(s), whole, first, kFragmentId)));
  auto tos4 = out4(s);
  auto tos6 = out6(s);
  tos4.tos = tos6.traffic_class = 0xb8;
  tos4.options = {148, 4, 0, 0};
  table.push_back(to_ipv6(id, "keeps tos on the slow path", s, packet(tos4, segment), packet(tos6, segment)));
  auto native = in6(s);
  native.source = "2606:4700::1111";
  auto shown = in4(s);
  shown.source = "192.0.0.8";
  table.push_back(to_ipv4(id, "shows a native router as 192.0.0.8, not 255.0.0.x", s,
                          packet(native, icmp6(3, 0, 0, out.six)), packet(shown, icmp4(11, 0, 0, out.four))));
}

void add_nat46(std::vector<Vector>& table) {
  const char* id = "PEER-nat46";
  const Scene& s = operators96();
  const auto whole = udp(counting(200));
  const Cut first{0, 64, true};
  table.push_back(to_ipv6(id, "does not sum a single fragment out", s, piece4(out4(s), whole, first),
                          piece6(out6(s), whole, first, kFragmentId)));
  table.push_back(exact(to_ipv4(id, "does not sum a single fragment in", s, piece6(in6(s), whole, first, kFragmentId),
                                piece4(in4(s), whole, first))));
  const auto quote = from_peer(s, udp(counting(40)));
  table.push_back(
      error6(id, "adds 20 to the mtu of fragmentation needed", s, {3, 4, 1300}, quote.four, {2, 0, 1320}, quote.six));
  auto large = out4(s);
  large.df = true;
  table.push_back(
      answered(drop6(id, "checks the mtu", s, packet(large, udp(counting(1472))), Verdict::too_big), s, {3, 4, 1480}));
}

void add_tayga(std::vector<Vector>& table) {
  const char* id = "PEER-TAYGA";
  const Scene& s = operators96();
  table.push_back(drop6(id, "does not sum the first fragment for the whole datagram", s,
                        piece4(out4(s), udp(counting(72), Sum::none), {0, 64, true}), Verdict::udp_zero_checksum));
  auto hairpin = out4(s);
  hairpin.destination = s.v4;
  table.push_back(drop6(id, "drops a hairpin by name", s, packet(hairpin, udp(counting(12))), Verdict::hairpin));
}

void add_tundra(std::vector<Vector>& table) {
  const char* id = "PEER-tundra";
  const Scene& s = operators96();
  const auto quote = to_peer(s, udp(counting(40)));
  auto native = in6(s);
  native.source = "2606:4700::1111";
  auto shown = in4(s);
  shown.source = "192.0.0.8";
  const auto add = [&](const char* text, const Icmp& six, const Icmp& four) {
    table.push_back(
        to_ipv4(id, text, s, packet(native, icmp6(six, quote.six)), packet(shown, icmp4(four, quote.four))));
  };
  add("hears packet too big of native routers", {2, 0, 1280}, {3, 4, 1260});
  add("hears time exceeded of native routers", {3, 0}, {11, 0});
}

}  // namespace

void add_peers(std::vector<Vector>& table) {
  add_network_manager(table);
  add_aosp(table);
  add_nat46(table);
  add_tayga(table);
  add_tundra(table);
}

}  // namespace clat::test
