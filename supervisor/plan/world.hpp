// What is: the kernel's facts, what we have made of each CLAT, and what is under way. Plain values, no effects.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "core/net/error.hpp"
#include "supervisor/plan/action.hpp"
#include "supervisor/plan/backoff.hpp"
#include "supervisor/plan/facts.hpp"

namespace clat::plan {

struct Piece {
  std::optional<Spec> have;
  std::optional<Verb> in_flight;  // an action was issued and its result is not here yet
  std::optional<Spec> target;     // of that action
};

struct Addresses {
  Ipv4Address v4;
  Ipv6Address v6;
  bool operator==(const Addresses&) const = default;
};

struct Child {
  int pid = 0;  // 0: none
  bool ready = false;
  TimePoint started{};
  unsigned restarts = 0;  // spawns after the first
  Backoff backoff;
  std::optional<TimePoint> not_before;  // backing off until then
  std::optional<TimePoint> kill_at;     // SIGTERM was sent; SIGKILL follows then
  bool killed = false;
};

struct Failure {
  Part part = Part::record;
  Error error;
  TimePoint retry_at{};
};

// The blackhole of an address that was given up stays for kGuardGrace, so that the kernel answers nobody in its name.
struct RetiredGuard {
  GuardSpec guard;
  TimePoint release_at{};
};
constexpr std::chrono::seconds kGuardGrace{10};

// Why an interface has no IPv4 at the moment; the text is for the log. `failed` needs somebody to act.
struct Obstacle {
  bool failed = false;
  std::string why;
  int code = 0;  // errno, with failed
  bool operator==(const Obstacle&) const = default;
};

enum class State : std::uint8_t { waiting, starting, up, backoff, failed, stopping };
std::string_view name(State state);

struct Clat {
  std::array<Piece, kParts> pieces;
  std::optional<Addresses> addresses;  // kept while the uplink is away, to be taken again in the same /64
  std::optional<Route> route;          // last known, towards the NAT64
  bool reachable = false;              // `route` holds now
  bool ask_route = true;               // something changed that may change it
  bool adopt = false;                  // the parts of `addresses` exist already, left by an earlier supervisor
  int tun = 0;                         // ifindex of our tun, 0: none
  Child child;
  bool was_ready = false;  // some child has been ready since the addresses were chosen
  bool up = false;
  std::optional<TimePoint> up_since;
  std::optional<Obstacle> obstacle;
  std::optional<TimePoint> guard_release_at;  // the address has no use now; its blackhole stays until then
  std::vector<RetiredGuard> retired;

  std::optional<Failure> failure;
  Backoff failures;

  std::string fast_path_kind;  // "tcx", "clsact"; empty: not attached
  bool fast_path_was_lost = false;
  bool verify = false;  // ask the kernel whether the fast path is still attached
  std::optional<Error> fast_path_error;
  TimePoint fast_path_retry_at{};
  Backoff fast_path_backoff;

  Piece& piece(Part part) { return pieces[static_cast<std::size_t>(part)]; }
  [[nodiscard]] const Piece& piece(Part part) const { return pieces[static_cast<std::size_t>(part)]; }
  [[nodiscard]] bool empty() const;  // nothing of it is in the kernel
  // The tun is not there any more. What stood on it is found unwanted by the plan.
  void lose_tun();
};

struct World {
  std::shared_ptr<const config::Config> config;  // none before the first ConfigLoaded
  Kernel kernel;
  bool kernel_known = false;
  std::map<std::string, Clat> clats;  // by uplink
  // What earlier supervisors left, not yet adopted or purged.
  std::map<std::string, RecordSpec> leftovers;
  std::set<std::string> purging;
  // Tuns that we have taken down while notifications about them may still be on their way.
  std::set<int> buried_tuns;
  bool stopping = false;
  bool handover = false;
  Random random;
  TimePoint health_due{};
  std::optional<TimePoint> health_deadline;  // counters were asked for; report without the late ones then
  TimePoint audit_due{};

  [[nodiscard]] const config::Interface* wanted(const std::string& uplink) const;  // none when stopping
  [[nodiscard]] const Link* link(const std::string& name) const;
};

}  // namespace clat::plan
