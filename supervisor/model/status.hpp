// How everything is right now, as one value. The dump, health and every other face are renderings of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/facts.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/specs.hpp"

namespace clat::model {

enum class State : std::uint8_t { waiting, starting, up, backoff, failed, stopping };
std::string_view name(State state);

enum class ChildState : std::uint8_t { none, starting, running, stopping, backoff, flapping, failed };
std::string_view name(ChildState state);

// An uplink's clatd.
struct ChildStatus {
  ChildState state = ChildState::none;
  int pid = 0;  // 0: none
  unsigned restarts = 0;
  std::optional<milliseconds> next_start_in = {};
  std::optional<Ending> last_end = {};  // of the last that nobody had asked to end
  // While it flaps: so many ends, within that time.
  std::size_t ends = 0;
  milliseconds ends_within{};
  bool operator==(const ChildStatus&) const = default;
};

struct InterfaceStatus {
  std::string name;
  int ifindex = 0;  // 0: there is no such link
  State state = State::waiting;
  std::optional<milliseconds> up_for = {};
  std::optional<Reason> obstacle = {};  // what stands in the way, or is waited for
  std::optional<Error> failure = {};    // of the first part that could not be made or removed
  milliseconds retry_in{};              // with `failure`
  std::optional<Ipv4Address> v4 = {};
  std::optional<Ipv6Address> v6 = {};
  std::optional<Nat64Prefix> prefix = {};
  std::vector<PrefixCandidate> offers = {};  // that were discovered
  std::string tun;
  int tun_ifindex = 0;            // 0: none
  std::uint32_t net_id = 0;       // Android's
  std::string fast_path = {};     // "tcx", "clsact"; empty: none
  std::vector<Part> stands = {};  // in the order of making
  ChildStatus child = {};
  bool operator==(const InterfaceStatus&) const = default;
};

struct Status {
  std::vector<InterfaceStatus> interfaces;  // by name
  bool operator==(const Status&) const = default;
};

}  // namespace clat::model
