#include "supervisor/render/words.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <utility>

namespace clat::render {

using namespace model;

std::string signal_name(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation != nullptr ? std::string("SIG") + abbreviation : std::to_string(signal);
}

std::string milliseconds_text(std::chrono::milliseconds time) { return std::to_string(time.count()) + "ms"; }

namespace {

std::string words_of_last(const std::optional<Ending>& ending) {
  if (!ending) return "";
  const bool runs = std::holds_alternative<Condemned>(*ending);
  return (runs ? ": " : ": the last one ended with ") + text(*ending);
}

}  // namespace

std::string text(const Reason& reason) {
  switch (reason.why) {
    case Why::stopping: return "stopping";
    case Why::removed_from_config: return "no longer configured";
    case Why::not_wanted: return "not wanted any more";
    case Why::settings_changed: return "its settings changed";
    case Why::same_link: return "it is the same link as " + reason.subject;
    case Why::too_many_links: return "more links match than the " + reason.subject + " that patterns may take";
    case Why::no_match: return "no link matches";
    case Why::no_link: return "no such link";
    case Why::link_down: return "the link is down";
    case Why::no_carrier: return "no carrier";
    case Why::no_ipv6_address: return "no global IPv6 address";
    case Why::subnet_too_small: return reason.subject + " has no room for an address of the CLAT's own";
    case Why::no_delegated_prefix: return "no IPv6 prefix of /64 or shorter on " + reason.subject;
    case Why::source_on_link: return "an ipv6-source must be routed here, but there is a subnet with " + reason.subject;
    case Why::native_ipv4: return "the uplink has IPv4 of its own";
    case Why::no_prefix: return "no NAT64 prefix is known on the uplink";
    case Why::no_route:
      return Error{"no IPv6 route towards " + reason.subject, reason.error ? reason.error->code : 0}.text();
    case Why::nat64_silent: return "no answer from " + reason.subject + " through the NAT64";
    case Why::clearing_leftover: return "what an earlier supervisor left is being cleared away";
    case Why::tun_name_taken: return reason.subject + " exists and is not ours";
    case Why::no_free_ipv4: return "no free IPv4 address in " + reason.subject;
    case Why::no_free_ipv6: return "no free IPv6 address in " + reason.subject;
    case Why::address_in_use: return reason.subject + " is in use on this host";
    case Why::address_contested: return "a neighbour has " + reason.subject;
    case Why::firewall: return "the firewall drops it, chain " + reason.subject;
    case Why::part_lost: return reason.subject + " is made again";
    case Why::no_clatd: return "no clatd is ready" + words_of_last(reason.ending);
    case Why::clatd_refused: return "no clatd is ready: it refused its arguments";
    case Why::unconfined: return "it cannot be confined: " + (reason.error ? reason.error->text() : "");
    case Why::failure: return reason.error ? reason.error->text() : "";
  }
  return "";
}

std::string text(const Condemned& why) {
  switch (why.by) {
    case Condemned::By::mute: return why.detail;
    case Condemned::By::never_ready: return "it read no packets within " + milliseconds_text(why.patience);
    case Condemned::By::no_answer: return "it did not answer within " + milliseconds_text(why.patience);
    case Condemned::By::request: return "a restart was asked for";
    case Condemned::By::full_queue: return "it left packets in the tun for " + milliseconds_text(why.patience);
  }
  return "";
}

namespace {

std::string words(const Exited& end) { return "status " + std::to_string(end.status); }
std::string words(const Killed& end) { return signal_name(end.signal); }
std::string words(const Condemned& end) { return text(end); }
std::string words(const NeverStarted& end) { return end.error.text(); }

}  // namespace

std::string text(Unserved why) {
  switch (why) {
    case Unserved::absent: return "there is no such interface";
    case Unserved::no_ethernet: return "it has no Ethernet header";
    case Unserved::uplink: return "it is an uplink, or the tun of one";
    case Unserved::no_fast_path: return "no CLAT has a fast path";
  }
  return {};
}

std::string text(const Shaping& shaping) {
  const auto other = [&] {
    return "its " + shaping.other->kind + " filter of pref " + std::to_string(shaping.other->pref) +
           " does not see what the fast path takes in";
  };
  if (!shaping.device.empty()) {
    return "downloads follow " + shaping.device + (shaping.other ? "; " + other() : "");
  }
  switch (shaping.why) {
    case Unshaped::no_redirect: return "";
    case Unshaped::off: return "not followed, by the config";
    case Unshaped::by_uplink: return "by the uplink's own filters";
    case Unshaped::other_filter: return shaping.other ? other() : "the uplink's filters redirect nothing";
    case Unshaped::no_ifb: return "what comes in by the uplink is redirected to a device that is no ifb";
    case Unshaped::ifb_down: return "the ifb of the uplink is down or gone";
    case Unshaped::failure: return shaping.error ? shaping.error->text() : "";
  }
  return "";
}

std::string text(const RangeMapping& range) { return range.v4.text() + " in " + range.v6.text(); }

std::string text(const Ending& ending) {
  return std::visit([](const auto& end) { return words(end); }, ending);
}

std::string text(const HookFailure& failure) {
  if (failure.patience) return "it did not end within " + milliseconds_text(*failure.patience);
  return text(failure.end);
}

std::string what_helps(Why why) {
  const std::string by_itself = "starts by itself when that changes";
  if (why == Why::native_ipv4) return by_itself + "; with when: always it stays up";
  if (why == Why::no_prefix) return by_itself + ", or with a nat64-prefix in the config";
  const bool needs_source = why == Why::no_ipv6_address || why == Why::subnet_too_small;
  return by_itself + (needs_source ? ", or with an ipv6-source or ipv6-address that is routed here" : "");
}

std::string duration_text(std::chrono::milliseconds time) {
  using std::chrono::seconds;
  struct Unit {
    std::int64_t seconds;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
  if (time < seconds(1)) return "0." + std::to_string(std::max<std::int64_t>(time.count(), 0) / 100) + "s";
  auto left = std::chrono::duration_cast<seconds>(time).count();
  std::string text;
  int units = 0;
  for (const auto& unit : kUnits) {
    if (units == 2) break;
    const auto number = left / unit.seconds;
    left %= unit.seconds;
    if (number == 0 && units == 0) continue;
    ++units;
    if (number != 0) text += std::to_string(number) + unit.name;
  }
  return text;
}

namespace {

constexpr std::array<const char*, 7> kBinary{"", "K", "M", "G", "T", "P", "E"};

// Of bytes so many that they fit before the point, and which unit that is.
std::pair<double, std::size_t> scaled(std::uint64_t bytes) {
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kBinary.size(); ++unit) value /= 1024;
  return {value, unit};
}

std::string decimal(double value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

}  // namespace

std::string short_bytes(std::uint64_t bytes) {
  const auto [value, unit] = scaled(bytes);
  return decimal(value, unit > 0 && value < 9.95 ? 1 : 0) + kBinary[unit];
}

std::string bytes_text(std::uint64_t bytes) {
  const auto [value, unit] = scaled(bytes);
  if (unit == 0) return std::to_string(bytes) + " B";
  return decimal(value, 2) + " " + kBinary[unit] + "iB";
}

}  // namespace clat::render
