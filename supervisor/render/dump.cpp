#include "supervisor/render/dump.hpp"

#include <algorithm>
#include <iterator>

#include "supervisor/render/words.hpp"

namespace clat::render {

using namespace model;

namespace {

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
  for (const auto& offer : status.offers) line += offer_words(offer.candidate);
  for (const Part part : status.stands) line += " +" + std::string(name(part));
  return line;
}

}  // namespace

std::vector<std::string> dump(const Status& status) {
  std::vector<std::string> lines{"Trackers: iif[iface] nat64Prefix v6Addr -> v4Addr v4iif[v4iface] [netId]"};
  for (const auto& each : status.interfaces) {
    if (each.prefix && each.v4 && each.v6 && each.tun_ifindex != 0) lines.push_back(tracker(each));
  }
  std::ranges::transform(status.interfaces, std::back_inserter(lines), interface_line);
  return lines;
}

}  // namespace clat::render
