#include "supervisor/plan/interfaces.hpp"

#include <utility>

namespace clat::plan {

using model::Reason;
using model::Why;

namespace {

Interface renamed(const config::Interface& entry, const std::string& name) {
  Interface interface{entry, entry.name};
  interface.wanted.name = name;
  if (entry.tun == config::tun_name(entry.name)) interface.wanted.tun = config::tun_name(name);
  return interface;
}

}  // namespace

Interfaces interfaces_on(const config::Config& config, const model::Links& links) {
  Interfaces all;
  const auto is_altname = [](const model::Link* link, const config::Interface& entry) {
    return link != nullptr && link->name != entry.name;
  };
  for (const auto& entry : config.interfaces) {
    if (!is_altname(links.find(entry.name), entry)) all.emplace(entry.name, Interface{entry, entry.name});
  }
  for (const auto& entry : config.interfaces) {
    const auto* link = links.find(entry.name);
    if (!is_altname(link, entry)) continue;
    const auto [first, is_first] = all.try_emplace(link->name, renamed(entry, link->name));
    if (!is_first) all.emplace(entry.name, Interface{entry, entry.name, Reason{Why::same_link, first->second.entry}});
  }
  return all;
}

}  // namespace clat::plan
