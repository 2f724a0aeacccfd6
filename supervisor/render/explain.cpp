#include "supervisor/render/explain.hpp"

#include <utility>

#include "supervisor/render/fields.hpp"
#include "supervisor/render/words.hpp"

namespace clat::render {

using namespace model;
using Weight = Finding::Weight;

namespace {

// What to do about it; empty where what stands in the way says it already, or nothing is to be done.
std::string advice(const Reason& reason, const InterfaceStatus& status) {
  const auto& name = status.name;
  switch (reason.why) {
    case Why::stopping:
    case Why::removed_from_config:
    case Why::not_wanted:
    case Why::settings_changed:
    case Why::clearing_leftover:
    case Why::address_contested:
    case Why::part_lost: return "Nothing: it goes on by itself.";
    case Why::same_link: return "Take one of the two out of the config.";
    case Why::too_many_links: return "Narrow the pattern.";
    case Why::no_match:
      return "Plug a device in whose name matches (`ip link` lists what there is; one with an entry of its own is not "
             "taken), or correct the pattern.";
    case Why::no_link: return "Plug the device in, or correct its name in the config: `ip link` lists what there is.";
    case Why::link_down: return "`ip link set " + name + " up`, or look at what manages the link.";
    case Why::no_carrier: return "Look at the cable, the modem and the other end.";
    case Why::no_ipv6_address:
      return "Look for router advertisements or the DHCPv6 client (a host that forwards needs accept_ra=2). Where only "
             "a prefix is delegated to this host, name it in ipv6-source.";
    case Why::subnet_too_small:
      return "Name a prefix that is routed to this host in ipv6-source, or such an address in ipv6-address.";
    case Why::no_delegated_prefix: return "Look at what assigns delegated prefixes to " + reason.subject + ".";
    case Why::source_on_link:
      return "Name another prefix in ipv6-source, one that is routed to this host and is no subnet of a link.";
    case Why::native_ipv4:
      return "Nothing: IPv4 works without translation. `when: always` starts the CLAT all the same.";
    case Why::no_prefix:
      return "The routers of " + name +
             " advertise none (RFC 8781), and the DNS knows none (RFC 7050; `clatctl events` shows its last answer as "
             "prefix.unknown). Ask the provider, or name the prefix in nat64-prefix.";
    case Why::no_route:
      return "`ip -6 route get " + reason.subject.substr(0, reason.subject.find('/')) + " oif " + name +
             "` shows the kernel's answer. If IPv6 itself works, a rule, a mark or a source-specific route leads "
             "elsewhere.";
    case Why::nat64_silent:
      return "`ping -I " + status.tun + " " + reason.subject +
             "` shows whether it answers again; then IPv4 goes by this uplink. If it never does, let `probe` name "
             "another address.";
    case Why::tun_name_taken: return "Remove or rename that device, or give this interface another name with `tun`.";
    case Why::no_free_ipv4: return "Make ipv4-pool larger, or give the interface an ipv4-address.";
    case Why::no_free_ipv6: return "Choose another ipv6-source.";
    case Why::address_in_use: return "Choose an address that no interface of this host has.";
    case Why::firewall:
      return "Accept IPv6 that is forwarded between " + name + " and " + status.tun + " in that chain.";
    case Why::no_clatd: return "`clatctl events` shows what clatd said before it ended.";
    case Why::clatd_refused: return "Let clatd: {path: …} and {dialect: …} name one that goes with this clatvisor.";
    case Why::unconfined: return "Give clatvisor BPF (CAP_BPF, a mounted bpffs) or nftables.";
    case Why::failure: return "It is tried again; the log says what was tried.";
  }
  return "";
}

// "IPv4 does not go by clatd alone": what is behind a slow path.
std::optional<Finding> slow_path(const InterfaceStatus& status) {
  if (!status.fast_path.empty() || status.state != State::up) return std::nullopt;
  if (status.fast_path_is_off) {
    return Finding{Weight::slow, "fast-path-off", "clatd alone translates, since the config says fast-path: off.",
                   "`fast-path: auto` lets the kernel translate."};
  }
  if (!status.no_fast_path) return std::nullopt;
  return Finding{Weight::slow, "no-fast-path",
                 "clatd alone translates: the fast path is not to be had (" + status.no_fast_path->text() + ").",
                 "It is tried again by itself. A kernel with BPF, a mounted bpffs and CAP_BPF and CAP_NET_ADMIN are "
                 "needed."};
}

std::optional<Finding> shaping(const InterfaceStatus& status) {
  const auto& shaping = status.shaping;
  if (!shaping.device.empty() && !shaping.other) {
    return Finding{Weight::note, "shaped", "Shaped uplink: " + text(shaping) + ".", ""};
  }
  if (status.state != State::up || shaping.why == Unshaped::by_uplink || text(shaping).empty()) return std::nullopt;
  const bool off = shaping.why == Unshaped::off;
  return Finding{
      Weight::note, "unshaped",
      (shaping.device.empty() ? "Downloads through the CLAT are not shaped: " : "Shaped uplink: ") + text(shaping) +
          ".",
      off ? "`shaping: follow` does." : "Redirect all that comes in by " + status.name + " to an ifb that is up."};
}

std::optional<Finding> what_is_missing(const InterfaceStatus& status) {
  if (status.obstacle) {
    return Finding{Weight::down, std::string(code(status.obstacle->why)), text(*status.obstacle) + ".",
                   advice(*status.obstacle, status)};
  }
  if (status.failure) {
    return Finding{Weight::down, std::string(code(Why::failure)), status.failure->text() + ".",
                   "It is tried again in " + duration_text(status.retry_in) + "."};
  }
  return std::nullopt;
}

std::optional<Finding> child_trouble(const InterfaceStatus& status) {
  const auto& child = status.child;
  const auto weight = status.state == State::up ? Weight::slow : Weight::down;
  if (child.state == ChildState::failed) {
    return Finding{weight, std::string(code(Why::clatd_refused)), "clatd refused its arguments.",
                   advice({Why::clatd_refused}, status)};
  }
  if (child.ends == 0 && child.state != ChildState::backoff) return std::nullopt;
  std::string said =
      child.ends > 0 ? "clatd ended " + std::to_string(child.ends) + " times within " + duration_text(child.ends_within)
                     : std::string("clatd ended");
  if (child.last_end) said += ", the last with " + text(*child.last_end);
  if (child.next_start_in) said += "; the next start is in " + duration_text(*child.next_start_in);
  return Finding{weight, child.ends > 0 ? "clatd-flapping" : "clatd-backoff", said + ".",
                 "`clatctl events` shows what it said. `clatctl restart " + status.name + "` starts it at once."};
}

std::optional<Finding> hook_trouble(const HookStatus& hook) {
  const auto which = (hook.up ? "on-up " : "on-down ") + hook.path;
  if (hook.runs_for)
    return Finding{Weight::note, "hook-runs", which + " runs for " + duration_text(*hook.runs_for) + ".", ""};
  if (!hook.failure) return std::nullopt;
  const auto& failure = *hook.failure;
  return Finding{Weight::note, failure.refused ? "hook-refused" : "hook-failed",
                 which + (failure.refused ? " was not run: " : " failed: ") + text(failure) +
                     (failure.line.empty() ? "." : "; its last words: " + failure.line),
                 "It is run again when the state changes."};
}

Colour colour_of(Weight weight) {
  switch (weight) {
    case Weight::down: return Colour::red;
    case Weight::slow: return Colour::yellow;
    case Weight::note: return Colour::none;
  }
  return Colour::none;
}

void append(std::string& out, const std::vector<Finding>& findings, Paint paint) {
  for (const auto& finding : findings) {
    out += "  " + painted(finding.text, colour_of(finding.weight), paint) + " (" + finding.code + ")\n";
    if (!finding.next.empty()) out += "    " + finding.next + "\n";
  }
}

}  // namespace

std::vector<Finding> findings(const InterfaceStatus& status) {
  std::vector<Finding> all;
  const auto add = [&all](std::optional<Finding> finding) {
    if (finding) all.push_back(std::move(*finding));
  };
  add(what_is_missing(status));
  add(child_trouble(status));
  if (status.hook) add(hook_trouble(*status.hook));
  if (status.state != State::stopping) {
    add(slow_path(status));
    add(shaping(status));
    for (const auto& range : status.ranges) {
      all.push_back({Weight::note, "one-to-one", "Hosts are mapped one to one: " + text(range) + ".", ""});
    }
    if (status.no_bpf_filter) {
      all.push_back({Weight::note, "filter-by-nftables",
                     "clatd is not confined by BPF (" + status.no_bpf_filter->text() + "); nftables does it.",
                     "It is tried again by itself."});
    }
    if (status.probe && status.probe->failures > 0 && !status.obstacle) {
      all.push_back({Weight::note, "probe-failing",
                     "The last " + std::to_string(status.probe->failures) + " pings to " +
                         status.probe->address.text() + " were not answered.",
                     ""});
    }
    if (status.route_is_taken) {
      all.push_back({Weight::note, "route-taken",
                     "Another IPv4 default route has the metric " + std::to_string(status.metric.value_or(0)) +
                         ", so only what binds to " + status.tun + " uses this CLAT.",
                     "Remove that route, or set default-route: {metric: …} lower."});
    }
    if (!status.firewall.drops_lan.empty()) {
      all.push_back({Weight::note, "firewall-lan",
                     "Chain " + status.firewall.drops_lan + " drops what a LAN sends by " + status.tun + ".",
                     "Accept IPv4 that is forwarded to " + status.tun + " there, if a LAN is to be served."});
    }
  }
  return all;
}

std::vector<Finding> findings(const Status& status) {
  if (!status.refused) return {};
  const auto& refused = *status.refused;
  return {{Weight::note, "config-refused",
           "The config file was refused at the last reload, line " + std::to_string(refused.line) + ": " +
               refused.reason + ". The configuration before stays in use.",
           "`clatctl check` shows every error in its place; correct them, then `clatctl reload`."}};
}

std::string explain(const InterfaceStatus& status, Paint paint) {
  const auto all = findings(status);
  std::string out = painted(status.name, Colour::bold, paint) + " is " +
                    painted(name(status.state), render::colour_of(status.state), paint) + " for " +
                    duration_text(status.in_state);
  if (status.state == State::up) out += ", by " + std::string(path(status));
  if (all.empty()) return out + (status.state == State::up ? ": nothing is amiss.\n" : ".\n");
  out += ":\n";
  append(out, all, paint);
  return out;
}

std::string explain(const Status& status, Paint paint) {
  std::string out;
  if (const auto all = findings(status); !all.empty()) {
    out = painted("clatvisor", Colour::bold, paint) + ":\n";
    append(out, all, paint);
  }
  for (const auto& each : status.interfaces) out += explain(each, paint);
  return out;
}

}  // namespace clat::render
