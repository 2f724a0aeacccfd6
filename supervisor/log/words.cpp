#include "supervisor/log/words.hpp"

#include <concepts>
#include <cstdint>
#include <utility>

#include "supervisor/log/catalogue.hpp"
#include "supervisor/render/dump.hpp"
#include "supervisor/render/words.hpp"

namespace clat::log {

namespace {

using Fields = decltype(Entry::fields);
using namespace model;
using namespace render;

template <std::integral T>
Value number(T it) {
  return static_cast<std::uint64_t>(it);
}

std::string join(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ",") + name;
  return all;
}

// Of the bundled clatd, after sysexits.h. Android's gives other codes.
std::string_view meaning_of(int status) {
  switch (status) {
    case 0: return "done";
    case 64: return "bad arguments";
    case 71: return "a system call failed";
    default: return "unknown";
  }
}

struct DeedWords {
  std::string_view action;
  std::string_view next;
  Severity severity = Severity::error;
};
DeedWords words_of(notice::Deed deed) {
  using notice::Deed;
  switch (deed) {
    case Deed::purge: return {"purge", "it is tried again"};
    case Deed::purge_at_stop: return {"purge", "clatvisor --cleanup"};
    case Deed::purge_at_end: return {"purge", ""};
    case Deed::sweep: return {"sweep", "", Severity::warn};
    case Deed::verify: return {"verify", "the next audit asks again", Severity::warn};
    case Deed::read_kernel: return {"dump", "the next audit tries again"};
    case Deed::watch_netlink: return {"watch netlink", "each audit reads all anew"};
    case Deed::reopen_log: return {"reopen the log", "the old file stays in use"};
  }
  return {};
}

// One overload for each event.
struct Wording {
  Severity severity = Severity::info;
  std::string_view event;
  Fields fields = {};

  void say(std::string key, Value value) { fields.emplace_back(std::move(key), std::move(value)); }

  void operator()(const notice::SupervisorStarted& it) {
    begin(Severity::info, events::kSupervisorStarted);
    fields = {{"version", it.version}, {"pid", number(it.pid)}, {"config", it.config}};
  }
  void operator()(const notice::SupervisorAdopted& it) {
    begin(Severity::info, events::kSupervisorAdopted);
    fields = {{"tun", it.tun}, {"v4", it.v4.text()}, {"v6", it.v6.text()}};
  }
  void operator()(const notice::SupervisorHandover&) {
    begin(Severity::info, events::kSupervisorHandover);
    fields = {{"next", "a successor takes over"}};
  }
  void operator()(const notice::SupervisorStopping& it) {
    begin(Severity::info, events::kSupervisorStopping);
    fields = {{"signal", signal_name(it.signal)}};
  }
  void operator()(const notice::SupervisorStopped&) { begin(Severity::info, events::kSupervisorStopped); }
  void operator()(const notice::RecordIgnored& it) {
    begin(Severity::warn, events::kRecordIgnored);
    fields = {{"reason", it.why}};
  }
  void operator()(const notice::TunMissing& it) {
    begin(Severity::warn, events::kTunMissing);
    fields = {{"tun", it.tun},
              {"next", "if it was moved to another network namespace: ip -n NAME link delete " + it.tun}};
  }
  void operator()(const notice::SysctlRisky& it) {
    begin(Severity::warn, events::kSysctlRisky);
    fields = {{"name", it.name}, {"value", it.value}, {"reason", it.why}};
  }
  void operator()(const notice::NotifyFailed& it) {
    begin(Severity::warn, events::kNotifyFailed);
    fields = {{"reason", it.error.text()}, {"next", "the service manager hears nothing of us until that works"}};
  }

  void operator()(const notice::ControlFailed& it) {
    begin(Severity::warn, events::kControlFailed);
    fields = {{"reason", it.error.text()}, {"next", "clatctl finds nobody until a restart; all else works"}};
  }
  void operator()(const notice::ControlRequested& it) {
    begin(Severity::info, events::kControlRequested);
    fields = {{"request", it.request}, {"uid", number(it.uid)}, {"pid", number(it.pid)}};
  }

  void operator()(const notice::ConfigLoaded& it) {
    begin(Severity::info, events::kConfigLoaded);
    fields = {{"file", it.file}, {"interfaces", number(it.interfaces)}};
    if (!it.changes) return;
    say("added", join(it.changes->added));
    say("changed", join(it.changes->changed));
    say("removed", join(it.changes->removed));
  }
  void operator()(const notice::ConfigRejected& it) {
    begin(Severity::error, events::kConfigRejected);
    fields = {{"file", it.file},     {"line", number(it.line)},     {"col", number(it.column)},
              {"reason", it.reason}, {"errors", number(it.errors)}, {"next", "the running configuration stays"}};
  }

  void operator()(const notice::LinkUp& it) {
    begin(Severity::info, events::kLinkUp);
    fields = {{"ifindex", number(it.ifindex)}, {"mtu", number(it.mtu)}};
  }
  void operator()(const notice::LinkDown& it) {
    begin(Severity::warn, events::kLinkDown);
    fields = {{"reason", it.set_down ? "set down" : "no carrier"}};
  }
  void operator()(const notice::LinkGone& it) {
    begin(Severity::warn, events::kLinkGone);
    fields = {{"ifindex", number(it.ifindex)}};
  }

  void operator()(const notice::Hindered& it) {
    if (!needs_somebody(it.reason.why)) {
      begin(Severity::info, events::kClatWaiting);
      fields = {{"reason", text(it.reason)},
                {"reason_code", std::string(code(it.reason.why))},
                {"next", what_helps(it.reason.why)}};
      return;
    }
    begin(Severity::error, events::kClatFailed);
    say("reason", it.reason.error ? Error{text(it.reason), it.reason.error->code}.text() : text(it.reason));
    say("reason_code", std::string(code(it.reason.why)));
    if (it.reason.why == Why::tun_name_taken) say("errno", "EBUSY");
    say("next", "until it goes away");
  }
  void operator()(const notice::PrefixFound& it) {
    begin(Severity::info, events::kPrefixFound);
    fields = {{"prefix", it.prefix.text()}, {"source", std::string(name(it.source))}};
    if (it.router) say("router", it.router->text());
    if (it.lifetime) say("lifetime", *it.lifetime);
  }
  void operator()(const notice::PrefixLost& it) {
    begin(Severity::warn, events::kPrefixLost);
    fields = {{"prefix", it.prefix.text()}, {"reason", it.expired ? "its lifetime ended" : "withdrawn"}};
  }
  void operator()(const notice::PrefixUnknown& it) {
    begin(Severity::info, events::kPrefixUnknown);
    fields = {{"source", "dns"},
              {"reason", it.error ? it.error->text() : "it knows no NAT64 prefix"},
              {"retry_in", it.retry_in}};
  }
  void operator()(const notice::PrefixesIgnored& it) {
    begin(Severity::warn, events::kPrefixIgnored);
    fields = {{"prefix", it.prefix.text()},
              {"router", it.router.text()},
              {"reason", "too many are advertised on this uplink"},
              {"next", "the prefixes that are known stay; find out who sends so many"}};
  }
  void operator()(const notice::AddressChosen& it) {
    begin(Severity::info, events::kAddressChosen);
    fields = {{"v4", it.v4.text()}, {"v6", it.v6.text()}, {"prefix", it.prefix.text()}};
  }
  void operator()(const notice::AddressRetired& it) {
    begin(Severity::info, events::kAddressRetired);
    fields = {{"v6", it.v6.text()}};
  }
  void operator()(const notice::AddressConflict& it) {
    begin(Severity::warn, events::kAddressConflict);
    const auto why = it.probe ? "a neighbour wants to have it, too" : "a neighbour says that it has it";
    fields = {{"v6", it.v6.text()},
              {"mac", it.mac.text()},
              {"reason", why},
              {"reason_code", std::string(code(Why::address_contested))}};
    if (it.kept)
      say("next", "it is kept, as ipv6-address names it; find that neighbour, or name another");
    else
      say("next", "another is taken");
    if (!it.kept) say("retry_in", milliseconds_text(it.retry_in));
  }
  void operator()(const notice::NeighbourFlood&) {
    begin(Severity::warn, events::kNeighbourFlood);
    fields = {{"reason", "neighbours say too much of the CLAT's address"},
              {"next", "most of it is not heard; find out who sends so many"}};
  }
  void operator()(const notice::NextHopFailed& it) {
    begin(Severity::warn, events::kNextHopFailed);
    fields = {{"router", it.router.text()}};
    if (it.via) say("via", it.via->text());
    say("reason", "it does not answer neighbour discovery");
    say("next", it.via ? "IPv4 goes by the other router; this one is taken again when it answers"
                       : "there is no other on this uplink; IPv4 goes on when it answers");
  }
  void operator()(const notice::NextHopRestored& it) {
    begin(Severity::info, events::kNextHopRestored);
    fields = {{"router", it.router.text()}};
  }
  void operator()(const notice::ClatUp& it) {
    begin(Severity::info, events::kClatUp);
    fields = {{"tun", it.tun},         {"v4", it.v4.text()},
              {"v6", it.v6.text()},    {"prefix", it.prefix.text()},
              {"mtu", number(it.mtu)}, {"path", it.leg == Leg::fast ? it.fast_path : std::string(name(it.leg))}};
  }
  void operator()(const notice::ClatDown& it) {
    begin(Severity::warn, events::kClatDown);
    fields = {{"reason", text(it.reason)}, {"reason_code", std::string(code(it.reason.why))}};
  }
  void operator()(const notice::ClatBlocked& it) {
    begin(Severity::warn, events::kClatBlocked);
    fields = {{"chain", it.chain},
              {"next", it.of_lan ? "IPv4 of the LAN does not get through; accept there what goes out by the tun"
                                 : "accept IPv6 between the uplink and the tun there, both ways"}};
  }
  void operator()(const notice::PartNotMade& it) {
    begin(Severity::error, events::kClatFailed);
    fields = {{"action", std::string(name(it.verb))},
              {"part", std::string(name(it.part))},
              {"reason", it.error.text()},
              {"retry_in", it.retry_in}};
  }
  void operator()(const notice::RouteTaken& it) {
    begin(Severity::warn, events::kRouteTaken);
    fields = {{"metric", number(it.metric)},
              {"reason", "another IPv4 default route has this metric"},
              {"next", "IPv4 works for who binds to the tun; the route is set when the metric is free"}};
  }
  void operator()(const notice::RouteRestored& it) {
    begin(Severity::info, events::kRouteRestored);
    fields = {{"metric", number(it.metric)}};
  }
  void operator()(const notice::ForwardingOff& it) {
    begin(Severity::error, events::kForwardingOff);
    fields = {{"reason", it.error.text()},
              {"next", "sysctl -w net.ipv6.conf.all.forwarding=1; it is tried again"},
              {"retry_in", it.retry_in}};
  }
  void operator()(const notice::PartLost& it) {
    begin(Severity::warn, events::kPartLost);
    fields = {{"part", std::string(name(it.part))}, {"reason", it.error.text()}, {"next", "it is made again"}};
  }

  void operator()(const notice::ClatSpawned& it) {
    begin(Severity::info, events::kClatSpawned);
    fields = {{"pid", number(it.pid)}, {"restarts", number(it.restarts)}};
  }
  void operator()(const notice::ClatReady& it) {
    begin(Severity::info, events::kClatReady);
    fields = {{"pid", number(it.pid)}, {"after", it.after}, {"drained", number(it.drained)}};
  }
  void operator()(const notice::ClatReplaced& it) {
    begin(Severity::warn, events::kClatReplaced);
    fields = {{"pid", number(it.pid)}, {"reason", text(it.why)}, {"next", "it is stopped, and started again"}};
  }
  void operator()(const notice::ClatExited& it) {
    begin(it.asked ? Severity::info : Severity::warn, events::kClatExited);
    say("pid", number(it.pid));
    if (const auto* killed = std::get_if<Killed>(&it.end)) {
      say("signal", signal_name(killed->signal));
    } else {
      const int status = std::get<Exited>(it.end).status;
      say("status", number(status));
      say("meaning", std::string(meaning_of(status)));
    }
    say("uptime", it.uptime);
    say("asked", it.asked);
  }
  void operator()(const notice::ClatRefusedArguments&) {
    begin(Severity::error, events::kClatFailed);
    fields = {{"part", std::string(name(Part::child))},
              {"reason", "clatd refused its arguments"},
              {"next", "it is started again with other arguments, or after a reload"}};
  }
  void operator()(const notice::ClatBackoff& it) {
    begin(Severity::info, events::kClatBackoff);
    fields = {{"delay", it.delay},
              {"failures", number(it.failures)},
              {"reason", text(it.end)},
              {"next", "clatd is started again"}};
  }
  void operator()(const notice::ClatFlapping& it) {
    begin(Severity::warn, events::kClatFlapping);
    fields = {{"failures", number(it.ends)},
              {"within", it.within},
              {"reason", text(it.end)},
              {"next", "it is still started again, at most every " + milliseconds_text(it.longest_delay)}};
  }
  // The words of Android's netd, for those who read its log.
  void operator()(const notice::NetdStarting& it, const std::string& iface) {
    netd("starting clatd on " + iface + " v4=" + it.v4.text() + " v6=" + it.v6.text() +
         " pfx96=" + it.prefix.address().text());
  }
  void operator()(const notice::NetdStarted&, const std::string& iface) { netd("clatd started on " + iface); }
  void operator()(const notice::NetdStopping& it, const std::string& iface) {
    netd("Stopping clatd pid=" + std::to_string(it.pid) + " on " + iface);
  }
  void operator()(const notice::NetdStopped&, const std::string& iface) { netd("clatd on " + iface + " stopped"); }
  void operator()(const notice::ChildOutput& it) { output(events::kChildOutput, it); }

  void operator()(const notice::HookDone& it) {
    begin(Severity::info, events::kHookDone);
    fields = {{"state", std::string(hook_event(it.up))}, {"path", it.path}, {"took", it.took}};
  }
  void operator()(const notice::HookFailure& it) {
    begin(Severity::warn, it.refused ? events::kHookRefused : events::kHookFailed);
    fields = {{"state", std::string(hook_event(it.up))}, {"path", it.path}, {"reason", text(it)}};
    if (!it.line.empty()) say("line", it.line);
    say("next", "it is run again when the state changes");
  }
  void operator()(const notice::HookOutput& it) { output(events::kHookOutput, it); }

  void operator()(const notice::FilterUnavailable& it) {
    begin(Severity::warn, events::kFilterUnavailable);
    fields = {{"reason", it.error.text()}, {"next", "nftables rules take its place; it is tried again"}};
  }
  void operator()(const notice::FilterRestored& it) {
    begin(Severity::info, events::kFilterRestored);
    fields = {{"means", std::string(name(it.means))}};
  }

  void operator()(const notice::FastpathAttached& it) {
    begin(Severity::info, events::kFastpathAttached);
    fields = {{"kind", it.kind}};
  }
  void operator()(const notice::FastpathRestored& it) {
    begin(Severity::info, events::kFastpathRestored);
    fields = {{"kind", it.kind}};
  }
  void operator()(const notice::FastpathLost& it) {
    begin(Severity::warn, events::kFastpathLost);
    fields = {{"reason", it.error.text()}, {"next", "it is attached again"}};
  }
  void operator()(const notice::FastpathUnavailable& it) {
    begin(Severity::warn, events::kFastpathUnavailable);
    fields = {{"reason", it.error.text()}, {"next", "clatd alone carries the traffic; it is tried again"}};
  }

  void operator()(const notice::ShapingFollowed& it) {
    begin(Severity::info, events::kShapingFollowed);
    fields = {{"device", it.device}, {"filter", it.redirect.kind}, {"ctinfo", it.redirect.ctinfo.has_value()}};
  }
  void operator()(const notice::ShapingEnded& it) {
    begin(Severity::info, events::kShapingEnded);
    const auto reason = text(it.now);
    fields = {{"device", it.device}, {"reason", reason.empty() ? "the uplink is not shaped any more" : reason}};
  }
  void operator()(const notice::ShapingIgnored& it) {
    begin(Severity::warn, events::kShapingIgnored);
    fields = {{"reason", text(it.now)}, {"next", "shape on the tun, or redirect all that comes in to an ifb"}};
  }

  void operator()(const notice::ShortcutServed&) { begin(Severity::info, events::kShortcutServed); }
  void operator()(const notice::ShortcutUnavailable& it) {
    begin(Severity::warn, events::kShortcutUnavailable);
    fields = {{"reason", it.why ? text(*it.why) : it.error->text()},
              {"next", "its flows take the way through the stack"}};
  }

  void operator()(const notice::NetlinkOverrun& it) {
    begin(Severity::warn, events::kNetlinkOverrun);
    fields = {{"reason", it.error ? it.error->text() : "the receive buffer overflowed"}, {"next", "reading all anew"}};
  }
  void operator()(const notice::NetlinkResynced&) { begin(Severity::warn, events::kNetlinkResynced); }

  void operator()(const notice::Health& it) {
    begin(Severity::info, events::kHealth);
    const auto& status = it.status;
    say("state", std::string(name(status.state)));
    if (status.obstacle)
      say("reason", text(*status.obstacle));
    else if (status.failure)
      say("reason", status.failure->text());
    say("pid", number(status.child.pid));
    say("uptime", status.up_for.value_or(milliseconds{}));
    say("clatd", std::string(name(status.child.state)));
    if (status.child.last_end) say("last_end", text(*status.child.last_end));
    say("restarts", number(status.child.restarts));
    say("fast_path", status.fast_path.empty() ? "none" : status.fast_path);
    for (const auto& [key, value] : status.counted.now) say(key, number(value));
  }

  void operator()(const notice::DeedFailed& it) {
    const auto words = words_of(it.deed);
    begin(words.severity, events::kActionFailed);
    fields = {{"action", std::string(words.action)}, {"reason", it.error.text()}};
    if (!words.next.empty()) say("next", std::string(words.next));
  }
  void operator()(const notice::ActionFailed& it) {
    begin(Severity::error, events::kActionFailed);
    fields = {
        {"action", std::string(name(it.verb))}, {"part", std::string(name(it.part))}, {"reason", it.error.text()}};
  }
  void operator()(const notice::ActionDone& it) {
    begin(Severity::debug, events::kActionDone);
    fields = {{"action", std::string(name(it.verb))}, {"part", std::string(name(it.part))}};
  }

 private:
  void begin(Severity level, std::string_view name) {
    severity = level;
    event = name;
  }
  void output(std::string_view name, const auto& it) {
    begin(Severity::info, name);
    say("pid", number(it.pid));
    if (it.suppressed != 0) say("suppressed", number(it.suppressed));
    say("line", it.line);
  }
  void netd(std::string line) {
    begin(Severity::info, events::kNetdLine);
    say("line", std::move(line));
  }
};

}  // namespace

std::vector<Entry> words(const model::Notice& notice) {
  if (const auto* all = std::get_if<notice::StateDump>(&notice.what)) {
    std::vector<Entry> entries;
    for (auto& line : dump(all->status)) {
      entries.push_back({Severity::info, events::kStateDump, notice.iface, {{"line", std::move(line)}}});
    }
    return entries;
  }
  Wording wording;
  std::visit(
      [&](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (requires { wording(what, notice.iface); })
          wording(what, notice.iface);
        else if constexpr (!std::is_same_v<What, notice::StateDump>)
          wording(what);
      },
      notice.what);
  return {{wording.severity, wording.event, notice.iface, std::move(wording.fields)}};
}

}  // namespace clat::log
