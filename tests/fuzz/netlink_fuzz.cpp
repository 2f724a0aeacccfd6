// Any datagram: reading ends, and what it is taken for stays within its bounds.
#include <net/if.h>

#include <cstdint>
#include <span>
#include <vector>

#include "bpf/filter_row.hpp"
#include "require.hpp"
#include "supervisor/system/conntrack.hpp"
#include "supervisor/system/lan_route.hpp"
#include "supervisor/system/netlink_message.hpp"
#include "supervisor/system/nft_rules.hpp"
#include "supervisor/system/rtnl_parse.hpp"

using clat::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clat;
  // A block of its own: one byte too far is seen.
  const std::vector<std::uint8_t> datagram(data, data + size);
  model::Kernel kernel;
  system::nft::Ruleset ruleset;
  bpf::FilterRow filters;
  bpf::Ingress ingress;
  system::Bytes rest(datagram);
  while (const auto message = system::next_message(rest)) {
    if (const auto link = system::parse_link(message->payload)) require(link->link.name.size() < IFNAMSIZ);
    if (const auto event = system::parse_event(*message)) system::add_to(kernel, *event);
    (void)system::parse_acknowledgement(*message);
    (void)system::parse_host_route(*message);
    (void)system::parse_default_route(*message);
    (void)system::parse_proxy_neighbour(*message);
    (void)system::parse_way(*message);
    for (const auto& way : system::parse_ways_by_routers(*message)) require(way.way.route.next_hop.has_value());
    (void)system::parse_neighbour(*message);
    (void)system::parse_connection(*message);
    (void)system::parse_lan_route(*message, {});
    if (const auto filter = bpf::parse_filter(std::as_bytes(message->payload))) {
      filters.add(*filter);
      bpf::add_to(ingress, *filter);
      require(!filter->redirect || (filter->takes_all && filter->redirect->device >= 0));
    }
    system::nft::add_chain(ruleset, *message);
    system::nft::add_rule(ruleset, *message);
    system::nft::add_elements(ruleset, *message);
    (void)system::nft::is_plain_set(*message);
  }
  const auto place = filters.place({.ipv4 = true, .ipv6 = true});
  require(!place || (*place >= 1 && *place <= bpf::kOurPref));
  (void)filters.verify(1, {.ipv6 = true});
  (void)system::nft::sets_asked(ruleset);
  (void)system::nft::dropped_by(
      ruleset, {.protocol = 2, .transport = 6, .out = "v4-up0", .connection_state = system::nft::kNew});
  (void)system::nft::dropped_by(ruleset, {.protocol = 10, .in = "v4-up0", .out = "up0", .in_index = 7, .out_index = 2});
  return 0;
}
