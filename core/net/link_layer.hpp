#pragma once

#include <cstdint>

namespace clat {

// What stands in front of the IP header on a link: ARPHRD_ETHER; ARPHRD_NONE, PPP, RAWIP; anything else.
enum class LinkLayer : std::uint8_t { ethernet, raw_ip, other };

}  // namespace clat
