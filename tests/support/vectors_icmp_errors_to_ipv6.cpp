// RFC 7915 §4.2: ICMPv4 errors to ICMPv6 errors. What they quote is in vectors_quotes_to_ipv6.cpp.
#include "tests/support/vector_parts.hpp"

namespace clat::test {

using xlat::Mtus;
using xlat::Verdict;

namespace {

std::string named(const char* family, const Icmp& icmp) {
  return std::string(family) + " " + std::to_string(icmp.type) + "/" + std::to_string(icmp.code);
}

void add_types_and_codes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = from_peer(s, udp(counting(40)));
  const auto becomes = [&](const char* id, const Icmp& four, const Icmp& six) {
    table.push_back(error6(id, named("icmp", four), s, four, quote.four, six, quote.six));
  };
  const auto dropped = [&](const char* id, const Icmp& four) {
    table.push_back(drop6(id, named("icmp", four), s, packet(out4(s), icmp4(four, quote.four)), Verdict::icmp_type));
  };
  for (const unsigned code : {0U, 1U, 5U, 6U, 7U, 8U, 11U, 12U}) {
    becomes("E4", {3, static_cast<std::uint8_t>(code)}, {1, 0});
  }
  becomes("E5", {3, 2}, {4, 1, 6});
  becomes("E6", {3, 3}, {1, 4});
  for (const unsigned code : {9U, 10U, 13U, 15U}) becomes("E7", {3, static_cast<std::uint8_t>(code)}, {1, 1});
  for (const unsigned code : {14U, 16U, 17U, 100U, 255U}) dropped("E8", {3, static_cast<std::uint8_t>(code)});
  becomes("E13", {11, 0}, {3, 0});
  becomes("E13", {11, 1}, {3, 1});
  dropped("E17", {12, 1});
  dropped("E17", {12, 3});
  dropped("E17", {12, 255});
  // What is unused goes out as 0 (RFC 4443 §3.1, §3.3).
  table.push_back(error6("E4", "icmp 3/1 with something in the unused field", s, {3, 1, 0xff00ffff}, quote.four, {1, 0},
                         quote.six));
  table.push_back(error6("E13", "icmp 11/0 with something in the unused field", s, {11, 0, 0xff00ffff}, quote.four,
                         {3, 0}, quote.six));
  for (const auto& scene : scenes()) {
    const auto in = from_peer(scene, udp(counting(40)));
    table.push_back(error6("E6", "port unreachable " + scene.name, scene, {3, 3}, in.four, {1, 4}, in.six));
    table.push_back(error6("D5", "wrong checksum of an icmp error stays wrong " + scene.name, scene, {3, 3}, in.four,
                           {1, 4}, in.six, Sum::wrong));
  }
}

// RFC 7915 figure 3.
void add_pointers(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = from_peer(s, udp(counting(40)));
  constexpr std::uint32_t kNone = 0xffffffff;
  const struct {
    std::uint32_t first, last, becomes;
  } pointers[] = {{0, 0, 0},       {1, 1, 1},   {2, 3, 4},    {4, 7, kNone},   {8, 8, 7},       {9, 9, 6},
                  {10, 11, kNone}, {12, 15, 8}, {16, 19, 24}, {20, 21, kNone}, {60, 60, kNone}, {255, 255, kNone}};
  for (const std::uint8_t code : {std::uint8_t{0}, std::uint8_t{2}}) {
    for (const auto& [first, last, becomes] : pointers) {
      for (auto pointer = first; pointer <= last; ++pointer) {
        const Icmp four{12, code, pointer << 24};
        const auto text = named("icmp", four) + " pointer " + std::to_string(pointer);
        if (becomes == kNone) {
          table.push_back(drop6("E15", text, s, packet(out4(s), icmp4(four, quote.four)), Verdict::icmp_type));
        } else {
          table.push_back(error6(code == 0 ? "E14" : "E16", text, s, four, quote.four, {4, 0, becomes}, quote.six));
        }
      }
    }
  }
  table.push_back(error6("E14", "icmp 12/0 with something behind the pointer", s, {12, 0, 0x0800ffff}, quote.four,
                         {4, 0, 7}, quote.six));
}

// Maximum(1280, minimum(told + 20, MTU of the IPv6 side, MTU of the IPv4 side + 20)).
void add_told_mtus(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = from_peer(s, udp(counting(40)));
  const auto becomes = [&](const char* id, const Mtus& mtus, std::uint32_t told, std::uint32_t mtu) {
    const auto text = "fragmentation needed, mtu " + std::to_string(told) + ", uplink " + std::to_string(mtus.ipv6) +
                      (mtus.ipv4 == Mtus{}.ipv4 ? "" : ", ipv4 side " + std::to_string(mtus.ipv4));
    table.push_back(with_mtus(error6(id, text, s, {3, 4, told}, quote.four, {2, 0, mtu}, quote.six), mtus));
  };
  const Mtus usual{};
  becomes("E9", usual, 68, 1280);
  becomes("E9", usual, 576, 1280);
  becomes("E9", usual, 1259, 1280);
  becomes("E9", usual, 1260, 1280);
  becomes("E9", usual, 1261, 1281);
  becomes("E9", usual, 1280, 1300);
  becomes("E9", usual, 1400, 1420);
  becomes("E9", usual, 1479, 1499);
  becomes("E9", usual, 1480, 1500);
  becomes("E9", usual, 1500, 1500);
  becomes("E9", usual, 65535, 1500);
  const Mtus narrow{.ipv6 = 1400, .lowest_ipv6 = 1400};
  becomes("E9", narrow, 1379, 1399);
  becomes("E9", narrow, 1380, 1400);
  becomes("E9", narrow, 1400, 1400);
  becomes("E9", narrow, 1000, 1280);
  const Mtus jumbo{.ipv6 = 9000, .lowest_ipv6 = 9000};
  becomes("E9", jumbo, 1480, 1500);
  becomes("E9", jumbo, 8979, 8999);
  becomes("E9", jumbo, 8980, 9000);
  becomes("E9", jumbo, 9000, 9000);
  becomes("E9", {.ipv4 = 1300}, 1480, 1320);
  becomes("E9", {.ipv4 = 1000}, 1480, 1280);
  becomes("E11", usual, 1, 1280);
  becomes("E11", usual, 67, 1280);
}

// RFC 1191 §7.1: what a router says that does not know of path MTU discovery, seen from the length of what it dropped.
void add_plateaus(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const Mtus jumbo{.ipv6 = 65535, .lowest_ipv6 = 65535};
  const auto becomes = [&](const Mtus& mtus, std::uint16_t total, std::uint32_t mtu) {
    auto four = in4(s);
    four.total_length = total;
    auto six = in6(s);
    six.payload_length = static_cast<std::uint16_t>(total - 20);
    four.ttl = six.hop_limit;
    const auto start = raw(50, counting(8));
    table.push_back(with_mtus(error6("E10",
                                     "fragmentation needed without mtu about " + std::to_string(total) +
                                         " bytes, uplink " + std::to_string(mtus.ipv6),
                                     s, {3, 4, 0}, packet(four, start), {2, 0, mtu}, packet(six, start)),
                              mtus));
  };
  becomes(jumbo, 65535, 32020);
  becomes(jumbo, 32001, 32020);
  becomes(jumbo, 32000, 17934);
  becomes(jumbo, 17914, 8186);
  becomes(jumbo, 9000, 8186);
  becomes(jumbo, 8166, 4372);
  becomes(jumbo, 4352, 2022);
  becomes(jumbo, 2003, 2022);
  becomes(jumbo, 2002, 1512);
  becomes(jumbo, 1500, 1512);
  becomes(jumbo, 1493, 1512);
  becomes(jumbo, 1492, 1280);
  becomes(jumbo, 576, 1280);
  becomes({}, 1500, 1500);
  becomes({}, 9000, 1500);
  becomes({}, 1480, 1280);
  becomes({.ipv6 = 1400, .lowest_ipv6 = 1400}, 1500, 1400);
}

// RFC 4443 §2.4 (c): no ICMPv6 error exceeds 1280 bytes. So none is ever too big for the uplink, either.
void add_sizes(std::vector<Vector>& table) {
  const Scene& s = operators96();
  // `size`: of the result, were it not cut.
  const auto result_of = [&](const char* id, std::string text, std::size_t size, bool df, Sum sum, const Mtus& mtus) {
    auto quote = from_peer(s, udp(counting(3000)));
    quote.four.resize(size - 40 - 8 - 20);
    auto header = out4(s);
    header.df = df;
    auto vector = error6(id, std::move(text), s, {3, 3}, quote.four, {1, 4},
                         head(quote.six, std::min<std::size_t>(size, 1280) - 40 - 8), sum);
    vector.input = packet(header, icmp4(3, 3, 0, quote.four, sum));
    table.push_back(with_mtus(std::move(vector), mtus));
  };
  result_of("F9", "result of 1280 bytes", 1280, false, Sum::right, {});
  for (const std::size_t size : {1281U, 1282U, 1287U, 1500U}) {
    result_of("F9", "result of " + std::to_string(size) + " bytes is cut", size, false, Sum::right, {});
  }
  result_of("A17", "icmp error with df and a result of 1520 bytes is cut", 1520, true, Sum::right, {});
  result_of("A17", "icmp error with df above lowest-ipv6-mtu is cut", 1400, true, Sum::right,
            {.ipv6 = 1280, .lowest_ipv6 = 1280});
  result_of("F9", "icmp error without df is cut rather than fragmented", 1400, false, Sum::right,
            {.ipv6 = 1280, .lowest_ipv6 = 1280});
  result_of("D5", "wrong checksum of an icmp error that is cut stays wrong", 1401, false, Sum::wrong, {});
}

void add_surroundings(std::vector<Vector>& table) {
  const Scene& s = operators96();
  const auto quote = from_peer(s, udp(counting(40)));
  const auto change = [&](const char* id, const char* text, auto edit4, auto edit6) {
    auto four = out4(s);
    auto six = out6(s);
    edit4(four);
    edit6(six);
    table.push_back(
        to_ipv6(id, text, s, packet(four, icmp4(3, 3, 0, quote.four)), packet(six, icmp6(1, 4, 0, quote.six))));
  };
  const auto same = [](auto&) {};
  change("F8", "payload length and checksum follow the growth", same, same);
  change("A1", "flow label 0 on an icmp error", same, same);
  change("A2", "tos 0xc0 of an icmp error", [](Ip4& h) { h.tos = 0xc0; }, [](Ip6& h) { h.traffic_class = 0xc0; });
  change("A6", "ttl 255 of an icmp error", [](Ip4& h) { h.ttl = 255; }, [](Ip6& h) { h.hop_limit = 254; });
  change("C1", "options of an icmp error", [](Ip4& h) { h.options = {148, 4, 0, 0}; }, same);
  table.push_back(
      trailed(error6("F15", "bytes behind total length of an icmp error", s, {3, 3}, quote.four, {1, 4}, quote.six)));
  for (const std::uint8_t type : {std::uint8_t{8}, std::uint8_t{0}}) {
    const auto type6 = static_cast<std::uint8_t>(type == 8 ? 128 : 129);
    table.push_back(to_ipv6("E18", "icmp type " + std::to_string(type) + " of code 5", s,
                            packet(out4(s), icmp4(type, 5, 7, counting(20))),
                            packet(out6(s), icmp6(type6, 5, 7, counting(20)))));
  }
}

}  // namespace

void add_icmp_errors_to_ipv6(std::vector<Vector>& table) {
  add_types_and_codes(table);
  add_pointers(table);
  add_told_mtus(table);
  add_plateaus(table);
  add_sizes(table);
  add_surroundings(table);
}

}  // namespace clat::test
