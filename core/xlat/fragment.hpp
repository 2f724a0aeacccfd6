// Fragments of IPv6 packets (RFC 8200 §4.5).
#pragma once

#include "core/xlat/frame.hpp"

namespace clat::xlat {

// Sends a packet in pieces of at most `mtu` bytes, each written over those before it. The packet has no extension
// header, or a Fragment Header alone; its checksums are finished, and it is larger than `mtu`. `id` is the
// Identification of a packet that is no fragment yet.
void send_fragments(const Frame& packet, std::uint32_t id, std::size_t mtu, Sink& sink);

}  // namespace clat::xlat
