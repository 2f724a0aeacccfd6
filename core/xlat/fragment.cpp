#include "core/xlat/fragment.hpp"

#include <algorithm>
#include <cstring>

#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

void send_fragments(const Frame& packet, std::uint32_t id, std::size_t mtu, Sink& sink) {
  Layout layout;
  if (read_ipv6(packet.data, packet.size, layout) != Verdict::translated) return;
  const Fragment whole = layout.fragment;
  const Halves source = load_halves(packet.data + 8), destination = load_halves(packet.data + 24);
  HeaderFields fields{.traffic_class = static_cast<std::uint8_t>(load_be16(packet.data) >> 4),
                      .protocol = layout.protocol,
                      .hops = packet.data[7],
                      .fragment = {.present = true, .more = false, .offset = 0, .id = whole.present ? whole.id : id}};
  const std::size_t most = (mtu - kIpv6Header - kFragmentHeader) / 8 * 8, payload = packet.size - layout.header;
  for (std::size_t at = 0; at < payload; at += most) {
    const std::size_t size = std::min(most, payload - at);
    fields.fragment.more = whole.more || at + size < payload;
    fields.fragment.offset = static_cast<std::uint16_t>(whole.offset + at / 8);
    std::uint8_t* const transport = packet.data + layout.header + at;
    std::uint8_t* const ip = put_ipv6_header(transport, size, fields, source, destination);
    sink.send({ip, static_cast<std::size_t>(transport - ip) + size});
  }
}

}  // namespace clat::xlat
