#include "core/xlat/verdict.hpp"

namespace clat::xlat {

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::translated: return "translated";
    case Verdict::held: return "held";
    case Verdict::truncated: return "truncated";
    case Verdict::bad_version: return "bad-version";
    case Verdict::bad_header_length: return "bad-header-length";
    case Verdict::bad_length: return "bad-length";
    case Verdict::bad_header_checksum: return "bad-header-checksum";
    case Verdict::bad_options: return "bad-options";
    case Verdict::bad_extension: return "bad-extension";
    case Verdict::bad_fragment: return "bad-fragment";
    case Verdict::bad_transport: return "bad-transport";
    case Verdict::bad_inner: return "bad-inner";
    case Verdict::bad_offload: return "bad-offload";
    case Verdict::not_from_clat: return "not-from-clat";
    case Verdict::not_to_clat: return "not-to-clat";
    case Verdict::outside_prefix: return "outside-prefix";
    case Verdict::bad_address: return "bad-address";
    case Verdict::private_in_wkp: return "private-in-wkp";
    case Verdict::hairpin: return "hairpin";
    case Verdict::hop_limit_exceeded: return "hop-limit-exceeded";
    case Verdict::source_route: return "source-route";
    case Verdict::routing_header: return "routing-header";
    case Verdict::icmp_type: return "icmp-type";
    case Verdict::icmp_fragment: return "icmp-fragment";
    case Verdict::hidden_extension: return "hidden-extension";
    case Verdict::too_big: return "too-big";
    case Verdict::udp_zero_checksum: return "udp-zero-checksum";
    case Verdict::protocol: return "protocol";
  }
  return "unknown";
}

}  // namespace clat::xlat
