// What the long way works with: too much for the 512 bytes of stack, and a number that comes from a map is one about
// which the verifier remembers nothing, so that all ways to a place look alike to it.
#pragma once

#include "bpf/programs/rewrite.bpf.h"

#define MOST_OPTIONS 40  // bytes
#define OPTION_SLOTS 64  // a power of two, as an index must have

// Options or extension headers left out. Offsets count from the IP header on.
struct payload {
  __u32 offset;
  __u32 size;
  __be32 id_be32;
  __u16 fragment;   // as in IPv4: MORE_FRAGMENTS and an offset in units of 8 bytes
  __u8 fragmented;  // is a fragment, or has a Fragment header all the same
  __u8 protocol;
};

struct fragment_header {
  __u8 next;
  __u8 reserved;
  __be16 offset_and_more;
  __be32 id;
};

struct icmp_header {
  __u8 type;
  __u8 code;
  __u16 checksum;
  __be32 rest;
};

// What changes in the transport of a quoted packet, as far as it is quoted.
struct patch {
  __u32 change;       // of the sum
  __u32 checksum_at;  // bytes into the transport; 0: not there, or not to change
  __u16 checksum;
  __u8 type;  // of an echo
  __u8 has_type;
};

// How an error that quotes a packet ends: the quote's last bytes, and the extension that may follow (RFC 4884).
struct tail {
  __u32 behind;     // bytes that follow the quote
  __u32 extension;  // all of them, or 0: they go
  __u32 cut;        // bytes that go off the quote
  __u32 padding;    // zeros that come between it and the extension
};

// A Neighbour Advertisement in its frame.
struct advertisement {
  __u8 pad[2];  // aligns what follows
  struct ethhdr ethernet;
  struct ipv6hdr ip;
  __u8 type;
  __u8 code;
  __u16 checksum;
  __u32 flags;
  __u32 target[4];
  __u8 option;
  __u8 option_length;  // units of 8 bytes
  __u8 link_layer[ETH_ALEN];
};

struct work {
  struct payload payload;
  struct transport transport;
  struct exchange addresses;  // the packet's own, or those of the one that it quotes
  struct payload inner;       // of a packet that an ICMP error quotes
  __u32 quoted;               // bytes of the error up to what the quoted headers are followed by
  struct tail tail;
  struct patch patch;
  union {
    struct {
      struct icmp_header icmp;
      struct ipv6hdr ip;
    } six;
    struct {
      struct icmp_header icmp;
      struct iphdr ip;
      __u8 options[OPTION_SLOTS];
    } four;
  } old;
  union {
    struct {
      struct iphdr ip;
      struct icmp_header icmp;
      struct iphdr inner;
    } four;
    struct {
      struct ipv6hdr ip;
      union {
        struct fragment_header fragment;
        struct {
          struct icmp_header icmp;
          struct ipv6hdr inner;
          struct fragment_header inner_fragment;
        };
      };
    } six;
  } new;
  struct advertisement reply;
  __u32 chunk[128];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct work);
} clat_work SEC(".maps");

// Nothing interrupts a program on its CPU for another one: they run with softirqs off.
inline_always struct work* work_of_this_cpu(void) {
  const __u32 zero = 0;
  return bpf_map_lookup_elem(&clat_work, &zero);
}
// `length`, of 1 to `most` bytes, in a form that every verifier takes for one. `most` is a power of two.
inline_always __u32 bounded(__u32 length, const __u32 most) {
  --length;
  asm volatile("" : "+r"(length));
  return (length & (most - 1)) + 1;
}

inline_always void begin(struct work* work) {
  __builtin_memset(&work->transport, 0, sizeof(work->transport));
  __builtin_memset(&work->patch, 0, sizeof(work->patch));
}
