#include "supervisor/model/actions.hpp"
#include "supervisor/model/reason.hpp"
#include "supervisor/model/status.hpp"

namespace clat::model {

std::string_view name(Part part) {
  switch (part) {
    case Part::record: return "record";
    case Part::tun: return "tun";
    case Part::setup: return "setup";
    case Part::guard: return "guard";
    case Part::filter: return "filter";
    case Part::fast_path: return "fast-path";
    case Part::shaping: return "shaping";
    case Part::announce: return "announce";
    case Part::child: return "child";
    case Part::lan: return "lan";
    case Part::route: return "route";
    case Part::listen: return "listen";
  }
  return "?";
}

std::string_view name(FilterMeans means) {
  switch (means) {
    case FilterMeans::bpf: return "bpf";
    case FilterMeans::nftables: return "nftables";
  }
  return "?";
}

std::string_view name(Leg leg) {
  switch (leg) {
    case Leg::fast: return "fast";
    case Leg::routed: return "routed";
    case Leg::anycast: return "anycast";
  }
  return "?";
}

std::string_view name(Verb verb) {
  switch (verb) {
    case Verb::make: return "make";
    case Verb::change: return "change";
    case Verb::remove: return "remove";
    case Verb::kill: return "kill";
    case Verb::verify: return "verify";
  }
  return "?";
}

std::string_view name(State state) {
  switch (state) {
    case State::waiting: return "waiting";
    case State::starting: return "starting";
    case State::up: return "up";
    case State::backoff: return "backoff";
    case State::failed: return "failed";
    case State::stopping: return "stopping";
  }
  return "?";
}

std::string_view name(ChildState state) {
  switch (state) {
    case ChildState::none: return "none";
    case ChildState::starting: return "starting";
    case ChildState::running: return "running";
    case ChildState::stopping: return "stopping";
    case ChildState::backoff: return "backoff";
    case ChildState::flapping: return "flapping";
    case ChildState::failed: return "failed";
  }
  return "?";
}

std::string_view code(Why why) {
  switch (why) {
    case Why::stopping: return "stopping";
    case Why::removed_from_config: return "removed";
    case Why::not_wanted: return "not-wanted";
    case Why::settings_changed: return "settings-changed";
    case Why::same_link: return "same-link";
    case Why::too_many_links: return "too-many-links";
    case Why::no_match: return "no-match";
    case Why::no_link: return "no-link";
    case Why::link_down: return "link-down";
    case Why::no_carrier: return "no-carrier";
    case Why::no_ipv6_address: return "no-address";
    case Why::subnet_too_small: return "subnet-too-small";
    case Why::no_delegated_prefix: return "no-delegated-prefix";
    case Why::source_on_link: return "source-on-link";
    case Why::native_ipv4: return "native-ipv4";
    case Why::no_prefix: return "no-prefix";
    case Why::no_route: return "no-route";
    case Why::nat64_silent: return "probe";
    case Why::clearing_leftover: return "clearing-leftover";
    case Why::tun_name_taken: return "tun-name-taken";
    case Why::no_free_ipv4: return "pool-exhausted";
    case Why::no_free_ipv6: return "subnet-exhausted";
    case Why::address_in_use: return "address-in-use";
    case Why::address_contested: return "address-conflict";
    case Why::firewall: return "firewall";
    case Why::part_lost: return "part-lost";
    case Why::no_clatd: return "no-clatd";
    case Why::clatd_refused: return "clatd-refused";
    case Why::unconfined: return "unconfined";
    case Why::failure: return "failure";
  }
  return "?";
}

std::string_view name(Unshaped why) {
  switch (why) {
    case Unshaped::no_redirect: return "none";
    case Unshaped::off: return "off";
    case Unshaped::by_uplink: return "by-uplink";
    case Unshaped::other_filter: return "other-filter";
    case Unshaped::no_ifb: return "no-ifb";
    case Unshaped::ifb_down: return "ifb-down";
    case Unshaped::failure: return "failure";
  }
  return "?";
}

bool needs_somebody(Why why) {
  switch (why) {
    case Why::same_link:
    case Why::too_many_links:
    case Why::tun_name_taken:
    case Why::no_free_ipv4:
    case Why::no_free_ipv6:
    case Why::address_in_use: return true;
    case Why::stopping:
    case Why::removed_from_config:
    case Why::not_wanted:
    case Why::settings_changed:
    case Why::no_match:
    case Why::no_link:
    case Why::link_down:
    case Why::no_carrier:
    case Why::no_ipv6_address:
    case Why::subnet_too_small:
    case Why::no_delegated_prefix:
    case Why::source_on_link:
    case Why::native_ipv4:
    case Why::no_prefix:
    case Why::no_route:
    case Why::nat64_silent:
    case Why::clearing_leftover:
    case Why::address_contested:
    case Why::firewall:
    case Why::part_lost:
    case Why::no_clatd:
    case Why::clatd_refused:
    case Why::unconfined:
    case Why::failure: return false;
  }
  return false;
}

std::string_view name(PrefixSource source) {
  switch (source) {
    case PrefixSource::config: return "config";
    case PrefixSource::ra: return "ra";
    case PrefixSource::dns: return "dns";
    case PrefixSource::record: return "record";
  }
  return "?";
}

}  // namespace clat::model
