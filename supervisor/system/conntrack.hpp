// Connection tracking as the kernel tells of it (ctnetlink): messages and requests, and which connections could go past
// the stack. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "core/net/address.hpp"
#include "supervisor/model/shortcut.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::system {

struct FlowTuple {
  Ipv4Address source = {};
  Ipv4Address destination = {};
  std::uint16_t source_port = 0;  // host order
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;
  bool operator==(const FlowTuple&) const = default;
};
struct HashFlowTuple {
  std::size_t operator()(const FlowTuple& tuple) const {
    const auto addresses = std::uint64_t{tuple.source.number()} << 32 | tuple.destination.number();
    const auto ports = std::uint64_t{tuple.source_port} << 24 | std::uint64_t{tuple.destination_port} << 8;
    return std::hash<std::uint64_t>{}(addresses * 0x9e3779b97f4a7c15U ^ (ports | tuple.protocol));
  }
};

// Of IPv4, TCP or UDP.
struct Connection {
  FlowTuple original, reply;
  std::uint32_t status = 0;  // IPS_*
  std::uint32_t mark = 0;
  std::uint16_t zone = 0;
  std::optional<std::chrono::seconds> timeout = {};  // until it is forgotten, without another packet
  std::optional<std::uint8_t> tcp_state = {};        // TCP_CONNTRACK_*
  // Somebody looks into it or changes sequence numbers: a helper, its adjustments, a SYN proxy.
  bool is_altered = false;
  bool operator==(const Connection&) const = default;
};
struct ConnectionSeen {
  bool gone = false;  // it is not tracked any more
  Connection connection;
};
// Nothing: of another kind.
std::optional<ConnectionSeen> parse_connection(const Message& message);

// Its answer is one message.
Request ask_for_connection(const FlowTuple& original);
// All of them. For NetlinkSocket::dump(), or with NLM_F_DUMP.
Request ask_for_connections(std::uint16_t flags);
// Connection tracking of a TCP connection does not mind that it misses packets from now on.
Request be_liberal_to(const FlowTuple& original);

// Whose flow it is, where nothing in the connection speaks against the shortcut; `connection` is as the kernel answered
// when asked. Whether the stack lets its packets through is not said. Towards a CLAT only: what comes from the NAT64's
// side first takes the long way.
const model::ShortcutSpec::Clat* shortcut_for(const model::ShortcutSpec& spec, const Connection& connection);
// The same of what may not be told of it yet.
const model::ShortcutSpec::Clat* may_be_shortcut_for(const model::ShortcutSpec& spec, const Connection& connection);

}  // namespace clat::system
