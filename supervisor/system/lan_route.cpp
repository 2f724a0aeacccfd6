#include "supervisor/system/lan_route.hpp"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace clat::system {

std::optional<LanRoute> parse_lan_route(const Message& message, const Ipv4Address& host) {
  const auto header = read_as<rtmsg>(message.payload);
  if (message.type != RTM_NEWROUTE || !header || header->rtm_family != AF_INET || header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  const auto attributes = attributes_after<rtmsg>(message.payload);
  const auto device = find_as<int>(attributes, RTA_OIF);
  for (const auto type : {RTA_VIA, RTA_MULTIPATH, RTA_ENCAP}) {
    if (find_attribute(attributes, type)) return std::nullopt;
  }
  if (!device) return std::nullopt;
  return LanRoute{*device, find_as<Ipv4Address>(attributes, RTA_GATEWAY).value_or(host)};
}

Request ask_way_to_lan(int tun, const Ipv4Address& from, const Ipv4Address& host) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  header.rtm_src_len = 32;
  Request request(RTM_GETROUTE, 0, header);
  request.put(RTA_DST, host.bytes);
  request.put(RTA_SRC, from.bytes);
  request.put(RTA_IIF, tun);
  return request;
}

}  // namespace clat::system
