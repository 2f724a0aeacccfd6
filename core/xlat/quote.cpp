#include "core/xlat/quote.hpp"

#include <algorithm>

namespace clat::xlat {

namespace {

// `layout` speaks of the original, whose lengths may lie beyond the quote.
bool read_quoted_ipv4(const Quote& quote, Layout& layout) {
  if (quote.size < kIpv4Header || quote.data[0] >> 4 != 4) return false;
  const std::size_t original = std::max<std::size_t>(quote.size, load_be16(quote.data + 2));
  if (read_ipv4(quote.data, original, layout) != Verdict::translated || layout.header > quote.size) return false;
  return judge_ipv4_options(quote.data, layout.header) == Verdict::translated;
}

bool read_quoted_ipv6(const Quote& quote, Layout& layout) {
  if (quote.size < kIpv6Header || quote.data[0] >> 4 != 6) return false;
  const std::size_t original = kIpv6Header + load_be16(quote.data + 4);
  layout = {.header = kIpv6Header, .size = std::min(original, quote.size), .protocol = quote.data[6]};
  if (read_chain(quote.data, layout) != Verdict::translated) return false;
  layout.size = original;
  return layout.size - layout.header <= 0xffff - kIpv4Header;
}

// An error quotes an echo or a packet that is no ICMP: nobody answers an error with an error.
bool is_translatable(Direction direction, const Transport& transport, std::size_t present) {
  if (!has_counterpart(direction, transport.protocol)) return false;
  if (!is_icmp(transport.protocol) || transport.fragment.part() == Part::later) return true;
  return present > 0 && is_echo(direction, transport.data[0]);
}

bool quote_to_ipv6(const Sides& sides, Quote& quote) {
  Layout layout;
  if (!read_quoted_ipv4(quote, layout)) return false;
  const std::uint32_t peer = load_be32(quote.data + 12), own = load_be32(quote.data + 16);
  const auto own6 = sides.own.find(own);
  if (!own6 || sides.own.find(peer) || sides.peers.judge(peer) != Verdict::translated) return false;
  const Transport transport = transport_of(quote.data, layout);
  const std::size_t behind = quote.size - layout.header, present = std::min(behind, transport.size);
  if (!is_translatable(Direction::to_ipv6, transport, present)) return false;

  const Halves peer6 = sides.peers.embed(peer);
  rewrite_quoted_transport(Direction::to_ipv6, transport, present, {sum(peer) + sum(own), sum(peer6) + sum(*own6)});
  const HeaderFields fields{.traffic_class = quote.data[1],
                            .protocol = counterpart(layout.protocol),
                            .hops = quote.data[8],
                            .fragment = layout.fragment};
  quote.data = put_ipv6_header(transport.data, transport.size, fields, peer6, *own6);
  quote.size = static_cast<std::size_t>(transport.data - quote.data) + behind;
  return true;
}

bool quote_to_ipv4(const Sides& sides, Quote& quote) {
  Layout layout;
  if (!read_quoted_ipv6(quote, layout)) return false;
  const Halves own6 = load_halves(quote.data + 8), peer6 = load_halves(quote.data + 24);
  const auto own = sides.own.find(own6);
  if (!own || !sides.peers.contains(peer6)) return false;
  const std::uint32_t peer = sides.peers.extract(peer6);
  if (sides.own.find(peer) || sides.peers.judge(peer) != Verdict::translated) return false;
  const Transport transport = transport_of(quote.data, layout);
  const std::size_t behind = quote.size - layout.header, present = std::min(behind, transport.size);
  if (!is_translatable(Direction::to_ipv4, transport, present)) return false;

  rewrite_quoted_transport(Direction::to_ipv4, transport, present, {sum(own6) + sum(peer6), sum(*own) + sum(peer)});
  const bool fragment = layout.fragment.present;
  const HeaderFields fields{.traffic_class = static_cast<std::uint8_t>(load_be16(quote.data) >> 4),
                            .protocol = counterpart(layout.protocol),
                            .hops = quote.data[7],
                            .fragment = layout.fragment,
                            .dont_fragment = !fragment && kIpv4Header + transport.size > kMayFragment};
  quote = {put_ipv4_header(transport.data, transport.size, fields, *own, peer), kIpv4Header + behind, fragment};
  return true;
}

}  // namespace

bool rewrite_quote(Direction direction, const Sides& sides, Quote& quote) {
  return direction == Direction::to_ipv6 ? quote_to_ipv6(sides, quote) : quote_to_ipv4(sides, quote);
}

}  // namespace clat::xlat
