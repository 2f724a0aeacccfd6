// The packet inside an ICMP error (RFC 7915 §4.3, §5.3): as much of it as there is.
#pragma once

#include "core/xlat/mapping.hpp"
#include "core/xlat/transport.hpp"

namespace clat::xlat {

struct Quote {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;   // bytes quoted, with what may pad them
  bool fragment = false;  // in IPv6, carries a Fragment Header
};

// Translates it in place; its end stays where it is. Hops are not counted. False: it is no packet that we translated,
// or its headers are not all there; then it may have been changed.
bool rewrite_quote(Direction direction, const Sides& sides, Quote& quote);

}  // namespace clat::xlat
