// What became of a packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace clat::xlat {

enum class Verdict : std::uint8_t {
  translated,
  held,  // first fragment of an echo: goes out when the last has come

  // The packet is not what its headers say.
  truncated,            // shorter than its fixed header
  bad_version,          // neither 4 nor 6
  bad_header_length,    // IHL below 5 or beyond the packet
  bad_length,           // Total or Payload Length beyond the packet, a jumbogram, or a result above 64 KiB
  bad_header_checksum,  // IPv4 header checksum
  bad_options,          // IPv4 options whose lengths do not fit
  bad_extension,        // extension headers that are cut or too many
  bad_fragment,         // ends behind byte 65535 or off a multiple of 8 with more to come, or hides a transport header
  bad_transport,        // transport header cut short, or a lying UDP length
  bad_inner,            // ICMP error whose quote is cut too short, cannot be translated, or was no packet of ours
  bad_offload,          // virtio_net_hdr that does not fit the packet, or the kernel has none that would

  // Its addresses are none we translate.
  not_from_clat,   // IPv4 source is not the CLAT's
  not_to_clat,     // IPv6 destination is not the CLAT's
  outside_prefix,  // IPv6 source is not in the NAT64 prefix
  bad_address,     // peer is multicast, broadcast, loopback, link-local, 0/8
  private_in_wkp,  // private IPv4 address with the Well-Known Prefix (RFC 6052 §3.1)
  hairpin,         // peer is the CLAT's own IPv4 address

  // RFC 7915 says drop.
  hop_limit_exceeded,  // would leave with 0
  source_route,        // IPv4 source route that has not ended (§4.1)
  routing_header,      // IPv6 routing header with segments left (§5.1)
  icmp_type,           // has no counterpart (§4.2, §5.2)
  icmp_fragment,       // first fragment of ICMP that is no echo, or too large to be held (§1.2)
  hidden_extension,    // extension header behind a Fragment Header (§5.1.1)
  too_big,             // for the next MTU, and must not be fragmented (§4.1, §5.1)
  udp_zero_checksum,   // in the first fragment of a datagram whose rest is elsewhere (§4.5)
  protocol,            // means nothing, or something else, in the other family
};

constexpr std::size_t kVerdictCount = static_cast<std::size_t>(Verdict::protocol) + 1;

// "hop-limit-exceeded": stable, used in logs and metrics.
std::string_view name(Verdict verdict);

}  // namespace clat::xlat
