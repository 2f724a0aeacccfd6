// The names of all events, in the order of docs/events.md, which says what each means and what to do.
// Operators match on these strings: a released name is never changed or given another meaning.
#pragma once

#include <array>
#include <string_view>

namespace clat::events {

// clatvisor itself
inline constexpr std::string_view kSupervisorStarted = "supervisor.started";
inline constexpr std::string_view kSupervisorAdopted = "supervisor.adopted";
inline constexpr std::string_view kSupervisorHandover = "supervisor.handover";
inline constexpr std::string_view kSupervisorStopping = "supervisor.stopping";
inline constexpr std::string_view kSupervisorStopped = "supervisor.stopped";
inline constexpr std::string_view kRecordIgnored = "record.ignored";
inline constexpr std::string_view kTunMissing = "tun.missing";
inline constexpr std::string_view kSysctlRisky = "sysctl.risky";
inline constexpr std::string_view kNotifyFailed = "notify.failed";
inline constexpr std::string_view kControlFailed = "control.failed";
inline constexpr std::string_view kControlRequested = "control.requested";

// configuration
inline constexpr std::string_view kConfigLoaded = "config.loaded";
inline constexpr std::string_view kConfigRejected = "config.rejected";

// uplinks
inline constexpr std::string_view kLinkUp = "link.up";
inline constexpr std::string_view kLinkDown = "link.down";
inline constexpr std::string_view kLinkGone = "link.gone";

// one CLAT
inline constexpr std::string_view kClatWaiting = "clat.waiting";
inline constexpr std::string_view kPrefixFound = "prefix.found";
inline constexpr std::string_view kPrefixLost = "prefix.lost";
inline constexpr std::string_view kPrefixUnknown = "prefix.unknown";
inline constexpr std::string_view kPrefixIgnored = "prefix.ignored";
inline constexpr std::string_view kAddressChosen = "address.chosen";
inline constexpr std::string_view kAddressRetired = "address.retired";
inline constexpr std::string_view kAddressConflict = "address.conflict";
inline constexpr std::string_view kNeighbourFlood = "neighbour.flood";
inline constexpr std::string_view kNextHopFailed = "nexthop.failed";
inline constexpr std::string_view kNextHopRestored = "nexthop.restored";
inline constexpr std::string_view kClatUp = "clat.up";
inline constexpr std::string_view kClatDown = "clat.down";
inline constexpr std::string_view kClatBlocked = "clat.blocked";
inline constexpr std::string_view kClatFailed = "clat.failed";
inline constexpr std::string_view kForwardingOff = "forwarding.off";
inline constexpr std::string_view kRouteTaken = "route.taken";
inline constexpr std::string_view kRouteRestored = "route.restored";
inline constexpr std::string_view kPartLost = "part.lost";

// its clatd
inline constexpr std::string_view kClatSpawned = "clat.spawned";
inline constexpr std::string_view kClatReady = "clat.ready";
inline constexpr std::string_view kClatReplaced = "clat.replaced";
inline constexpr std::string_view kClatExited = "clat.exited";
inline constexpr std::string_view kClatBackoff = "clat.backoff";
inline constexpr std::string_view kClatFlapping = "clat.flapping";
inline constexpr std::string_view kNetdLine = "netd.line";
inline constexpr std::string_view kChildOutput = "child.output";
// hooks
inline constexpr std::string_view kHookDone = "hook.done";
inline constexpr std::string_view kHookFailed = "hook.failed";
inline constexpr std::string_view kHookRefused = "hook.refused";
inline constexpr std::string_view kHookOutput = "hook.output";

// what confines it
inline constexpr std::string_view kFilterUnavailable = "filter.unavailable";
inline constexpr std::string_view kFilterRestored = "filter.restored";

// its fast path
inline constexpr std::string_view kFastpathAttached = "fastpath.attached";
inline constexpr std::string_view kFastpathLost = "fastpath.lost";
inline constexpr std::string_view kFastpathRestored = "fastpath.restored";
inline constexpr std::string_view kFastpathUnavailable = "fastpath.unavailable";

// its shaping
inline constexpr std::string_view kShapingFollowed = "shaping.followed";
inline constexpr std::string_view kShapingEnded = "shaping.ended";
inline constexpr std::string_view kShapingIgnored = "shaping.ignored";

// the shortcut of the LAN
inline constexpr std::string_view kShortcutServed = "shortcut.served";
inline constexpr std::string_view kShortcutUnavailable = "shortcut.unavailable";

// the kernel's notifications
inline constexpr std::string_view kNetlinkOverrun = "netlink.overrun";
inline constexpr std::string_view kNetlinkResynced = "netlink.resynced";

// numbers, dumps, and the log itself
inline constexpr std::string_view kHealth = "health";
inline constexpr std::string_view kStateDump = "state.dump";
inline constexpr std::string_view kLogDropped = "log.dropped";

// what clatvisor does, step by step
inline constexpr std::string_view kActionFailed = "action.failed";
inline constexpr std::string_view kActionDone = "action.done";

inline constexpr std::array kAll = {
    kSupervisorStarted,
    kSupervisorAdopted,
    kSupervisorHandover,
    kSupervisorStopping,
    kSupervisorStopped,
    kRecordIgnored,
    kTunMissing,
    kSysctlRisky,
    kNotifyFailed,
    kControlFailed,
    kControlRequested,
    kConfigLoaded,
    kConfigRejected,
    kLinkUp,
    kLinkDown,
    kLinkGone,
    kClatWaiting,
    kPrefixFound,
    kPrefixLost,
    kPrefixUnknown,
    kPrefixIgnored,
    kAddressChosen,
    kAddressRetired,
    kAddressConflict,
    kNeighbourFlood,
    kNextHopFailed,
    kNextHopRestored,
    kClatUp,
    kClatDown,
    kClatBlocked,
    kClatFailed,
    kForwardingOff,
    kRouteTaken,
    kRouteRestored,
    kPartLost,
    kClatSpawned,
    kClatReady,
    kClatReplaced,
    kClatExited,
    kClatBackoff,
    kClatFlapping,
    kNetdLine,
    kChildOutput,
    kHookDone,
    kHookFailed,
    kHookRefused,
    kHookOutput,
    kFilterUnavailable,
    kFilterRestored,
    kFastpathAttached,
    kFastpathLost,
    kFastpathRestored,
    kFastpathUnavailable,
    kShapingFollowed,
    kShapingEnded,
    kShapingIgnored,
    kShortcutServed,
    kShortcutUnavailable,
    kNetlinkOverrun,
    kNetlinkResynced,
    kHealth,
    kStateDump,
    kLogDropped,
    kActionFailed,
    kActionDone,
};

}  // namespace clat::events
