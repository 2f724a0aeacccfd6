// The set-up that Android's clatd did itself from 2019 to 2021 and its supervisor does since, and the part of it that
// is clatd's in both eras.
#pragma once

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/clatd/arguments.hpp"

namespace clat::clatd {

// As handed over with -r and -w.
struct AndroidSockets {
  Fd packet, raw;
};

// Dialect::aosp_2019: opens both, with the CLAT's address joined as anycast, gives the tun its address and MTU, and
// takes it up. Needs CAP_NET_ADMIN and CAP_NET_RAW.
Result<AndroidSockets> set_up_as_android(const Arguments& arguments, std::uint32_t ipv6_mtu);

// Bytes.
Result<std::uint32_t> interface_mtu(const std::string& name);

}  // namespace clat::clatd
