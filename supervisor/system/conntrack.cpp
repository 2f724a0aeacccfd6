#include "supervisor/system/conntrack.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>

namespace clat::system {

namespace {

// A packet of each direction takes the long way every few seconds, which must be less than half of it.
constexpr std::chrono::seconds kShortestTimeout{11};
constexpr std::uint32_t kOffloaded = 1U << 14 | 1U << 15;  // IPS_OFFLOAD, IPS_HW_OFFLOAD
constexpr std::uint32_t kForbidden =
    IPS_DST_NAT | IPS_SEQ_ADJUST | IPS_DYING | IPS_TEMPLATE | IPS_FIXED_TIMEOUT | IPS_HELPER | kOffloaded;

std::uint32_t host_order(std::uint32_t number) { return ntohl(number); }
std::uint16_t host_order(std::uint16_t number) { return ntohs(number); }

template <class Number>
std::optional<Number> number_in(Bytes attributes, std::uint16_t type) {
  return find_as<Number>(attributes, type).transform([](Number number) { return host_order(number); });
}

std::optional<Ipv4Address> address_in(Bytes attributes, std::uint16_t type) {
  const auto number = number_in<std::uint32_t>(attributes, type);
  return number ? std::optional(Ipv4Address::from_number(*number)) : std::nullopt;
}

std::optional<FlowTuple> tuple_in(Bytes attributes, std::uint16_t type) {
  const auto tuple = find_attribute(attributes, type);
  if (!tuple) return std::nullopt;
  const auto ip = find_attribute(*tuple, CTA_TUPLE_IP);
  const auto proto = find_attribute(*tuple, CTA_TUPLE_PROTO);
  if (!ip || !proto) return std::nullopt;
  const auto source = address_in(*ip, CTA_IP_V4_SRC);
  const auto destination = address_in(*ip, CTA_IP_V4_DST);
  const auto protocol = find_as<std::uint8_t>(*proto, CTA_PROTO_NUM);
  const auto source_port = number_in<std::uint16_t>(*proto, CTA_PROTO_SRC_PORT);
  const auto destination_port = number_in<std::uint16_t>(*proto, CTA_PROTO_DST_PORT);
  if (!source || !destination || !protocol || !source_port || !destination_port) return std::nullopt;
  if (*protocol != IPPROTO_TCP && *protocol != IPPROTO_UDP) return std::nullopt;
  return FlowTuple{*source, *destination, *source_port, *destination_port, *protocol};
}

std::optional<std::uint8_t> tcp_state_in(Bytes attributes) {
  const auto info = find_attribute(attributes, CTA_PROTOINFO);
  const auto tcp = info ? find_attribute(*info, CTA_PROTOINFO_TCP) : std::nullopt;
  return tcp ? find_as<std::uint8_t>(*tcp, CTA_PROTOINFO_TCP_STATE) : std::nullopt;
}

Request request(std::uint16_t message, std::uint16_t flags) {
  const nfgenmsg header{.nfgen_family = AF_INET, .version = NFNETLINK_V0, .res_id = 0};
  return {static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message), flags, header};
}

void put_original(Request& request, const FlowTuple& tuple) {
  request.nest(CTA_TUPLE_ORIG | NLA_F_NESTED, [&] {
    request.nest(CTA_TUPLE_IP | NLA_F_NESTED, [&] {
      request.put(CTA_IP_V4_SRC, htonl(tuple.source.number()));
      request.put(CTA_IP_V4_DST, htonl(tuple.destination.number()));
    });
    request.nest(CTA_TUPLE_PROTO | NLA_F_NESTED, [&] {
      request.put(CTA_PROTO_NUM, tuple.protocol);
      request.put(CTA_PROTO_SRC_PORT, htons(tuple.source_port));
      request.put(CTA_PROTO_DST_PORT, htons(tuple.destination_port));
    });
  });
}

bool is_mapped(const model::ShortcutSpec::Clat& clat, const Ipv4Address& address) {
  return std::ranges::any_of(clat.mapped, [&](const auto& range) { return range.contains(address); });
}

bool is_of(const model::ShortcutSpec::Clat& clat, const Connection& connection) {
  const auto& [original, reply] = std::pair(connection.original, connection.reply);
  if (original.source == clat.v4) return false;  // the router's own
  if (reply.destination == clat.v4) return true;
  return reply.destination == original.source && reply.destination_port == original.source_port &&
         is_mapped(clat, original.source);
}

}  // namespace

std::optional<ConnectionSeen> parse_connection(const Message& message) {
  const int kind = message.type & 0xff;
  if (message.type >> 8 != NFNL_SUBSYS_CTNETLINK || (kind != IPCTNL_MSG_CT_NEW && kind != IPCTNL_MSG_CT_DELETE)) {
    return std::nullopt;
  }
  const auto header = read_as<nfgenmsg>(message.payload);
  if (!header || header->nfgen_family != AF_INET) return std::nullopt;
  const auto attributes = attributes_after<nfgenmsg>(message.payload);
  const auto original = tuple_in(attributes, CTA_TUPLE_ORIG);
  const auto reply = tuple_in(attributes, CTA_TUPLE_REPLY);
  if (!original || !reply) return std::nullopt;
  ConnectionSeen seen{.gone = kind == IPCTNL_MSG_CT_DELETE, .connection = {.original = *original, .reply = *reply}};
  auto& connection = seen.connection;
  connection.status = number_in<std::uint32_t>(attributes, CTA_STATUS).value_or(0);
  connection.mark = number_in<std::uint32_t>(attributes, CTA_MARK).value_or(0);
  connection.zone = number_in<std::uint16_t>(attributes, CTA_ZONE).value_or(0);
  if (const auto timeout = number_in<std::uint32_t>(attributes, CTA_TIMEOUT)) {
    connection.timeout = std::chrono::seconds(*timeout);
  }
  connection.tcp_state = tcp_state_in(attributes);
  for (const auto type : {CTA_HELP, CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY, CTA_SYNPROXY, CTA_TUPLE_MASTER}) {
    connection.is_altered = connection.is_altered || find_attribute(attributes, type);
  }
  return seen;
}

Request ask_for_connection(const FlowTuple& original) {
  auto asked = request(IPCTNL_MSG_CT_GET, 0);
  put_original(asked, original);
  return asked;
}

Request ask_for_connections(std::uint16_t flags) { return request(IPCTNL_MSG_CT_GET, flags); }

// Without the highest acknowledgement seen it does not judge a RST by that.
Request be_liberal_to(const FlowTuple& original) {
  constexpr nf_ct_tcp_flags kLiberal{.flags = IP_CT_TCP_FLAG_BE_LIBERAL,
                                     .mask = IP_CT_TCP_FLAG_BE_LIBERAL | IP_CT_TCP_FLAG_MAXACK_SET};
  auto change = request(IPCTNL_MSG_CT_NEW, 0);
  put_original(change, original);
  change.nest(CTA_PROTOINFO | NLA_F_NESTED, [&] {
    change.nest(CTA_PROTOINFO_TCP | NLA_F_NESTED, [&] {
      for (const auto type : {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY}) {
        change.put(type, Bytes(reinterpret_cast<const std::uint8_t*>(&kLiberal), sizeof kLiberal));
      }
    });
  });
  return change;
}

const model::ShortcutSpec::Clat* may_be_shortcut_for(const model::ShortcutSpec& spec, const Connection& connection) {
  const auto& [original, reply] = std::pair(connection.original, connection.reply);
  if ((connection.status & IPS_ASSURED) == 0 || (connection.status & kForbidden) != 0) return nullptr;
  if (connection.mark != 0 || connection.zone != 0 || connection.is_altered) return nullptr;
  if (reply.source != original.destination || reply.source_port != original.destination_port) return nullptr;
  if (connection.timeout && *connection.timeout < kShortestTimeout) return nullptr;
  if (connection.tcp_state && *connection.tcp_state != TCP_CONNTRACK_ESTABLISHED) return nullptr;
  const auto clat = std::ranges::find_if(spec.clats, [&](const auto& each) { return is_of(each, connection); });
  return clat == spec.clats.end() ? nullptr : &*clat;
}

const model::ShortcutSpec::Clat* shortcut_for(const model::ShortcutSpec& spec, const Connection& connection) {
  if (!connection.timeout) return nullptr;
  if (connection.original.protocol == IPPROTO_TCP && !connection.tcp_state) return nullptr;
  return may_be_shortcut_for(spec, connection);
}

}  // namespace clat::system
