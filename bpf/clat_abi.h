// What the BPF programs and the loader share: C for the one, C++ for the other.
#ifndef CLAT_ABI_H
#define CLAT_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define CLAT_ASSERT_SIZE(type, size) static_assert(sizeof(struct type) == (size), "ABI")
#else
#define CLAT_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), "ABI")
#endif

// Raised with every change of anything in this file; it names the pin directory.
#define CLAT_ABI_VERSION 7

// Two map entries (uplink and tun) and one counter entry for each uplink.
#define CLAT_MAX_UPLINKS 1024
#define CLAT_MAX_RANGES 8
#define CLAT_MAX_SUBNETS 1024
#define CLAT_MAX_SHORTCUTS 32768  // flows

#define CLAT_FLAG_RAW_IP 0x1u              // the uplink has no Ethernet header
#define CLAT_FLAG_ALLOW_PRIVATE_IPV4 0x2u  // behind the prefix (RFC 6052 §3.1)
#define CLAT_FLAG_OWN_QDISC 0x4u           // loader only: we made the clsact of this interface
#define CLAT_FLAG_NEXT_HOP 0x8u            // next_hop_be32 is set; else a route lookup per packet finds it
#define CLAT_FLAG_PACKET_SOCKET 0x10u      // clatd reads the uplink, not the tun
#define CLAT_FLAG_ROUTED 0x20u             // tun only: IPv6 that clatd may send goes to the stack, not to the uplink
#define CLAT_FLAG_SHORTCUT 0x40u           // packets of flows in clat_shortcuts go between LAN and uplink directly
#define CLAT_FLAG_LAN 0x80u                // loader only: a device of the LAN, and nothing else in the entry counts

struct clat_prefix {
  __u32 address_be32[3];  // no RFC 6052 prefix is longer
  __u32 mask_be32[3];
  __u32 length;  // bits
};

// Addresses on our side that have IPv6 addresses of their own (RFC 6877 §6.3).
struct clat_range {
  __u32 v4_be32;
  __u32 v4_mask_be32;
  struct clat_prefix v6;
};

// Map clat_interfaces, keyed by ifindex in host order. The uplink and its tun hold the same but for peer_ifindex and
// the flags of one of them alone.
struct clat_interface {
  __u32 peer_ifindex;
  __u32 uplink_ifindex;  // key into clat_counters
  __u32 v4_be32;         // the CLAT's own addresses
  __u32 v6_be32[4];
  struct clat_prefix prefix;  // of the NAT64
  __u32 uplink_mtu;           // bytes of IPv6
  __u32 largest_ipv6;         // bytes; what may leave: uplink_mtu, or less where the kernel would refuse the packet
  __u32 ipv4_mtu;             // bytes of IPv4; of the other side
  __u32 lowest_ipv6_mtu;      // bytes of IPv6; DF=0 packets above it are clatd's to fragment
  __u32 mark;                 // 0: leave the packet's own
  __u32 next_hop_be32[4];
  __u8 mac[6];  // of the uplink
  __u16 flags;
  __u32 range_count;
  struct clat_range ranges[CLAT_MAX_RANGES];  // the first that fits counts
};
CLAT_ASSERT_SIZE(clat_interface, 104 + 8 * 36);

// Map clat_subnets: IPv4 subnets of this host's other interfaces. Nothing from there comes by a CLAT.
struct clat_subnet {
  __u32 length;  // bits
  __u32 v4_be32;
};
CLAT_ASSERT_SIZE(clat_subnet, 8);

// A flow in one direction, as its packets come in.
struct clat_flow_key {
  __u32 ifindex;  // of the LAN's device, or of the uplink
  __u32 source_be32;
  __u32 destination_be32;
  __u16 source_port_be16;
  __u16 destination_port_be16;
  __u32 protocol;
};
CLAT_ASSERT_SIZE(clat_flow_key, 20);

// Map clat_shortcuts, not pinned: two entries for each flow of the LAN that may go past the stack, one for each
// direction. From the uplink the addresses of the key are those that IPv4 has in the tun.
struct clat_shortcut {
  struct clat_flow_key key;   // its own: the kernel may give the memory of an entry to another one while it is read
  struct clat_flow_key back;  // of the other direction
  __u64 proven_at;            // ns of CLOCK_MONOTONIC: when a packet came through all of the stack last; 0: none did
  __u64 bytes;                // that went past it since then
  __u32 tun;                  // ifindex
  __u32 mtu;                  // towards the LAN only: of its device, bytes
  __u32 next_hop_be32;        // towards the LAN only
  __u32 ended;                // for good: a FIN, RST or SYN was seen
};
CLAT_ASSERT_SIZE(clat_shortcut, 72);

// A proof counts for so long: every CLAT_PROOF_NS a packet of each direction takes the long way, so that firewall,
// routes and connection tracking have their say and keep the flow alive.
#define CLAT_PROOF_NS 5000000000ULL
// From a proof on, so that what is still queued in the stack is not overtaken.
#define CLAT_SETTLE_NS 10000000ULL
// Of a TCP flow, unseen by connection tracking: well below the half of the sequence numbers.
#define CLAT_PROOF_BYTES (1ULL << 30)

enum clat_direction { CLAT_TO_IPV4, CLAT_TO_IPV6, CLAT_DIRECTIONS };
enum clat_protocol { CLAT_TCP, CLAT_UDP, CLAT_ICMP, CLAT_OTHER, CLAT_PROTOCOLS };

// Why a packet goes to clatd.
enum clat_punt {
  CLAT_PUNT_ICMP,
  CLAT_PUNT_PROTOCOL,  // neither TCP nor UDP nor ICMP
  CLAT_PUNT_FRAGMENT,
  CLAT_PUNT_HEADERS,        // IPv4 options, IPv6 extension headers
  CLAT_PUNT_HOP_LIMIT,      // would leave with 0
  CLAT_PUNT_CHECKSUM_ZERO,  // UDP without a checksum
  CLAT_PUNT_TOO_BIG,        // for the uplink's MTU
  CLAT_PUNT_TO_FRAGMENT,    // DF=0 and above lowest_ipv6_mtu
  CLAT_PUNT_ADDRESS,        // an address that is not translated
  CLAT_PUNT_MALFORMED,      // lengths or header checksum lie
  CLAT_PUNT_KERNEL,         // a helper refused: no memory, or a kind of GSO that this kernel cannot convert
  CLAT_PUNTS
};

enum clat_drop {
  CLAT_DROP_SOURCE,       // clatd wrote IPv6 that is not from the CLAT address, or IPv4 from no possible peer
  CLAT_DROP_DESTINATION,  // clatd wrote IPv6 to outside the NAT64 prefix, or IPv4 to another than the CLAT address
  CLAT_DROP_TOO_BIG,      // clatd wrote IPv6 above the uplink's MTU
  CLAT_DROP_OTHER,        // clatd wrote what is neither IPv4 nor IPv6
  CLAT_DROP_KERNEL,       // a helper failed half way
  CLAT_DROP_HEADERS,      // clatd wrote IPv6 with hop-by-hop, routing or destination options
  CLAT_DROP_OUTSIDE,  // for the CLAT address from outside the NAT64 prefix, and no ICMPv6 error about a packet of ours
  CLAT_DROP_CONNECTED,  // IPv4 from a subnet of another interface of this host
  CLAT_DROPS
};

// Powers of two, with room: a masked index is one the verifier takes without CAP_PERFMON.
#define CLAT_PUNT_SLOTS 16
#define CLAT_DROP_SLOTS 8

// Packets are counted as on the wire: a GSO packet counts its segments. Bytes are those of the packet before it is
// translated, from its IP header on, a GSO packet's headers once.
struct clat_flow {
  __u64 packets;
  __u64 bytes;
};

// Map clat_counters, per CPU, keyed by the ifindex of the uplink.
struct clat_counters {
  struct clat_flow fast[CLAT_DIRECTIONS][CLAT_PROTOCOLS];
  struct clat_flow from_clatd;  // IPv6 written by clatd that left the uplink, or went to the stack to be routed
  struct clat_flow shortcut[CLAT_DIRECTIONS];  // between LAN and uplink
  __u64 punts[CLAT_DIRECTIONS][CLAT_PUNT_SLOTS];
  __u64 drops[CLAT_DROP_SLOTS];
  __u64 solicitations_answered;
};
CLAT_ASSERT_SIZE(clat_counters, 8 * (2 * 4 * 2 + 2 + 2 * 2 + 2 * 16 + 8 + 1));

#endif
