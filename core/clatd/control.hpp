// The control protocol between supervisor and clatd, on fd 4: an AF_UNIX SOCK_SEQPACKET pair, one message a packet.
// Both ends run on one machine and come from one build: fields are in host order, and a message of another size or
// version is an error.
#pragma once

#include <array>
#include <cstdint>

#include "core/xlat/verdict.hpp"

namespace clat::control {

constexpr std::uint32_t kVersion = 2;

enum class Kind : std::uint32_t {
  ready = 1,    // clatd -> supervisor, once: it reads packets. Report::drained says what it found queued and dropped
  request = 2,  // supervisor -> clatd: answer with a report carrying the same cookie
  report = 3,   // clatd -> supervisor
  mtus = 4,     // supervisor -> clatd: the uplink's MTU changed; answered by a report, too
};

struct Request {
  std::uint32_t version = kVersion;
  Kind kind = Kind::request;
  std::uint64_t cookie = 0;
  std::uint32_t mtu = 0, lowest_ipv6_mtu = 0;  // with Kind::mtus: as --mtu and --lowest-ipv6-mtu
};

struct Flow {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  // as read from the tun, without the vnet header
};

// Ready and report share one layout.
struct Report {
  std::uint32_t version = kVersion;
  Kind kind = Kind::report;
  std::uint64_t cookie = 0;
  std::uint64_t drained = 0;
  Flow to_ipv6;  // translated
  Flow to_ipv4;
  std::array<std::uint64_t, xlat::kVerdictCount> verdicts{};  // packets by verdict, xlat::name() names them
  std::uint64_t answers = 0;                                  // ICMP errors of its own
  std::uint64_t answers_limited = 0;                          // those that --icmp-rate kept back
  std::uint64_t write_errors = 0;
};

}  // namespace clat::control
