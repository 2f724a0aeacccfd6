// Why something is as it is, as a value: made once, where it is decided. log/ and the other faces put it into words.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/base/error.hpp"

namespace clat::model {

// Why a clatd that runs is replaced by another.
struct Condemned {
  enum class By : std::uint8_t { mute, never_ready, no_answer, full_queue, request };
  By by = By::mute;
  std::string detail = {};               // mute: why nothing more can be heard of it
  std::chrono::milliseconds patience{};  // the others but request: how long it was waited for
  bool operator==(const Condemned&) const = default;
};

// How a clatd ended that nobody had asked to.
struct Exited {
  int status = 0;
  bool operator==(const Exited&) const = default;
};
struct Killed {
  int signal = 0;
  bool operator==(const Killed&) const = default;
};
struct NeverStarted {
  Error error;
  bool operator==(const NeverStarted&) const = default;
};
using Ending = std::variant<Exited, Killed, Condemned, NeverStarted>;

enum class Why : std::uint8_t {
  // what is wished
  stopping,
  removed_from_config,
  not_wanted,
  settings_changed,
  // the uplink
  same_link,       // subject: the interface of the config that stands for it already
  too_many_links,  // subject: how many interfaces there are already
  no_match,        // of a pattern
  no_link,
  link_down,
  no_carrier,
  no_ipv6_address,
  subnet_too_small,     // subject: the subnet of the uplink, which has no room for an address of the CLAT's own
  no_delegated_prefix,  // subject: the interface that ipv6-source names
  source_on_link,       // subject: the mapped prefix, and the interface of which it is a subnet
  native_ipv4,          // the uplink has IPv4 of its own
  no_prefix,            // none was discovered
  no_route,      // subject: the NAT64 prefix; `error`: the kernel's answer, where a rule or route forbids the way
  nat64_silent,  // subject: the address that was pinged
  // the host
  clearing_leftover,  // what an earlier supervisor left
  tun_name_taken,     // subject: the tun
  no_free_ipv4,       // subject: the pool
  no_free_ipv6,       // subject: the subnet
  address_in_use,     // subject: the address
  address_contested,  // subject: the address; a neighbour has it
  firewall,           // subject: the chain that drops what has to be forwarded
  // what clatvisor does
  part_lost,      // subject: the part; it is made again
  no_clatd,       // none is ready; `ending`: of the last one, if one ended
  clatd_refused,  // its arguments
  unconfined,     // clatd, since its filter is lost; `error`: why there is no other
  failure,        // see `error`
};

struct Reason {
  Why why = Why::settings_changed;
  std::string subject = {};
  std::optional<Error> error = {};
  std::optional<Ending> ending = {};

  static Reason of(Error error) { return {Why::failure, {}, std::move(error), {}}; }
  bool operator==(const Reason&) const = default;
};

// The word for it in reason_code=, which does not change with the sentence: "no-route".
std::string_view code(Why why);

// Whether it does not pass by itself: somebody has to act.
bool needs_somebody(Why why);

}  // namespace clat::model
