// Reasons and endings in words, and the lines of a dump.
#include <algorithm>
#include <cstring>

#include "supervisor/log/words.hpp"

namespace clat::log {

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
    case Why::no_link: return "no such link";
    case Why::link_down: return "the link is down";
    case Why::no_carrier: return "no carrier";
    case Why::no_ipv6_address: return "no global IPv6 address";
    case Why::subnet_too_small: return reason.subject + " has no room for an address of the CLAT's own";
    case Why::no_delegated_prefix: return "no IPv6 prefix of /64 or shorter on " + reason.subject;
    case Why::native_ipv4: return "the uplink has IPv4 of its own";
    case Why::no_prefix: return "no NAT64 prefix is known on the uplink";
    case Why::no_route:
      return Error{"no IPv6 route towards " + reason.subject, reason.error ? reason.error->code : 0}.text();
    case Why::clearing_leftover: return "what an earlier supervisor left is being cleared away";
    case Why::tun_name_taken: return reason.subject + " exists and is not ours";
    case Why::no_free_ipv4: return "no free IPv4 address in " + reason.subject;
    case Why::no_free_ipv6: return "no free IPv6 address in " + reason.subject;
    case Why::address_in_use: return reason.subject + " is in use on this host";
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
    case Condemned::By::full_queue: return "it left packets in the tun for " + milliseconds_text(why.patience);
  }
  return "";
}

namespace {

std::string words(const Exited& end) { return "status " + std::to_string(end.status); }
std::string words(const Killed& end) { return signal_name(end.signal); }
std::string words(const Condemned& end) { return text(end); }
std::string words(const NeverStarted& end) { return end.error.text(); }

std::string indexed(int ifindex, const std::string& name) { return std::to_string(ifindex) + "[" + name + "]"; }

// As Android's netd dumps it: iif[iface] nat64Prefix v6Addr -> v4Addr v4iif[v4iface] [netId]
std::string tracker(const InterfaceStatus& status) {
  return "  " + indexed(status.ifindex, status.name) + " " + status.prefix->text() + " " + status.v6->text() + " -> " +
         status.v4->text() + " " + indexed(status.tun_ifindex, status.tun) + " [" + std::to_string(status.net_id) + "]";
}

// " clatd=backoff pid=0 restarts=2 next_start_in=200ms last_end=SIGKILL"
std::string child_words(const ChildStatus& child) {
  std::string line = " clatd=" + std::string(name(child.state));
  line += " pid=" + std::to_string(child.pid) + " restarts=" + std::to_string(child.restarts);
  if (child.next_start_in) line += " next_start_in=" + milliseconds_text(*child.next_start_in);
  if (child.ends > 0) {
    line += " ends=" + std::to_string(child.ends) + " within=" + milliseconds_text(child.ends_within);
  }
  if (child.last_end) line += " last_end=" + text(*child.last_end);
  return line;
}

// " offer=64:ff9b::/96 source=ra router=fe80::1 lifetime=1800s", of each that was discovered.
std::string offer_words(const PrefixCandidate& offer) {
  std::string line = " offer=" + offer.prefix.text() + " source=" + std::string(name(offer.source));
  if (offer.router) line += " router=" + offer.router->text();
  if (offer.lifetime) line += " lifetime=" + std::to_string(offer.lifetime->count()) + "s";
  return line;
}

std::string interface_line(const InterfaceStatus& status) {
  std::string line = status.name + ": state=" + std::string(name(status.state)) + child_words(status.child);
  line += " fast_path=" + (status.fast_path.empty() ? std::string("none") : status.fast_path);
  if (status.obstacle) line += " waiting_for=" + text(*status.obstacle);
  if (status.failure) line += " failure=" + status.failure->text() + " retry_in=" + milliseconds_text(status.retry_in);
  for (const auto& offer : status.offers) line += offer_words(offer);
  for (const Part part : status.stands) line += " +" + std::string(name(part));
  return line;
}

}  // namespace

std::string text(const Ending& ending) {
  return std::visit([](const auto& end) { return words(end); }, ending);
}

std::vector<std::string> dump(const Status& status) {
  std::vector<std::string> lines{"Trackers: iif[iface] nat64Prefix v6Addr -> v4Addr v4iif[v4iface] [netId]"};
  for (const auto& each : status.interfaces) {
    if (each.prefix && each.v4 && each.v6 && each.tun_ifindex != 0) lines.push_back(tracker(each));
  }
  std::ranges::transform(status.interfaces, std::back_inserter(lines), interface_line);
  return lines;
}

}  // namespace clat::log
