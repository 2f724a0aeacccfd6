// A program of the operator's that is told when a CLAT comes up and when it goes down.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/prefix.hpp"
#include "supervisor/model/reason.hpp"

namespace clat::model {

// What a hook is told. While the CLAT is down, the values are those that it had before.
struct HookState {
  bool up = false;
  std::string tun = {};
  std::optional<Ipv4Address> v4 = {};
  std::optional<Ipv6Address> v6 = {};
  std::optional<Nat64Prefix> prefix = {};
  std::uint32_t mtu = 0;        // of the tun, bytes; 0: it has not had one
  std::optional<Why> why = {};  // it is down
  bool operator==(const HookState&) const = default;
};

constexpr std::string_view hook_event(bool up) { return up ? "up" : "down"; }

struct HookCall {
  std::vector<std::string> argv;  // argv[0]: an absolute path
  HookState state;
  bool operator==(const HookCall&) const = default;
};

// A hook that did not end with status 0.
struct HookFailure {
  std::string path;
  bool up = false;       // the state that it was told
  bool refused = false;  // not run, since others than root could change it
  Ending end = Exited{};
  std::optional<std::chrono::milliseconds> patience = {};  // it was ended, since it took longer
  std::string line = {};                                   // the last of its output
  bool operator==(const HookFailure&) const = default;
};

}  // namespace clat::model
