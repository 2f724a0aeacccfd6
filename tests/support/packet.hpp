// Builds packets from readable descriptions. Shares no code with core/: it is what core/ is tested against, so it has
// its own address parsing and its own way of computing checksums.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace clat::test {

using Bytes = std::vector<std::uint8_t>;

// n bytes counting up from `first`.
Bytes counting(std::size_t n, std::uint8_t first = 0);
Bytes operator+(Bytes left, const Bytes& right);
// The first n bytes; all when there are no more.
Bytes head(const Bytes& bytes, std::size_t n);

// What to write into a checksum field. partial: only the folded pseudo-header sum (CHECKSUM_PARTIAL).
enum class Sum { right, wrong, none, partial };

// Something behind an IP header, whose checksum is filled in when the addresses are known.
struct Segment {
  std::uint8_t protocol = 0;
  Bytes bytes;
  std::optional<std::size_t> checksum_at = {};
  Sum sum = Sum::right;
};
struct Ports {
  std::uint16_t source = 40000;
  std::uint16_t destination = 53;
};
Segment udp(const Bytes& payload, Sum sum = Sum::right, Ports ports = {}, std::optional<std::uint16_t> length = {});
Segment tcp(const Bytes& payload, Sum sum = Sum::right, Ports ports = {}, std::uint8_t flags = 0x10);
// With coverage 0, which means all of it (RFC 3828, RFC 4340).
Segment udp_lite(const Bytes& payload, Sum sum = Sum::right);
Segment dccp(const Bytes& payload, Sum sum = Sum::right);
// Type-specific 4 bytes `rest` as a number: identifier << 16 | sequence number for an echo.
Segment icmp4(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& data, Sum sum = Sum::right);
Segment icmp6(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const Bytes& data, Sum sum = Sum::right);
Segment raw(std::uint8_t protocol, const Bytes& bytes);

// RFC 4884 §7: an extension structure with one object of `size` bytes payload, its checksum right.
Bytes extension(std::size_t size);
// RFC 4884 §4: the datagram in front of an extension, with zeros up to a multiple of `word` bytes and to 128.
Bytes padded(Bytes datagram, std::size_t word);

struct Ip4 {
  std::string source, destination;
  std::uint8_t tos = 0;
  std::uint16_t id = 0;
  bool reserved = false, df = false, mf = false;
  std::uint16_t offset = 0;  // bytes
  std::uint8_t ttl = 64;
  Bytes options = {};  // multiple of 4
  // Lies.
  std::optional<std::uint8_t> version_ihl = {};
  std::optional<std::uint16_t> total_length = {};
  std::optional<std::uint16_t> checksum = {};
};
Bytes packet(const Ip4& header, Segment segment);

struct Ip6 {
  std::string source, destination;
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;
  std::uint8_t hop_limit = 64;
  // Extension headers in front of the segment: `chain_first` is the first one's number, `chain` their bytes, whose
  // last Next Header names the segment's protocol.
  std::uint8_t chain_first = 0;
  Bytes chain = {};
  // Lies.
  std::optional<std::uint8_t> version = {};
  std::optional<std::uint16_t> payload_length = {};
};
Bytes packet(const Ip6& header, Segment segment);

// RFC 8200 §4.5.
Bytes fragment_header(std::uint8_t next, std::uint16_t offset, bool more, std::uint32_t id, std::uint8_t reserved = 0);
// The pieces of a packet's segment with its checksum over the whole: bytes [from, from + size).
Segment piece(const Ip4& header, Segment whole, std::size_t from, std::size_t size);
Segment piece(const Ip6& header, Segment whole, std::size_t from, std::size_t size);

std::vector<std::uint8_t> address4(const std::string& text);
std::vector<std::uint8_t> address6(const std::string& text);

// Empty when every checksum of the packet is right (IPv4 header; TCP, UDP, ICMP when it is no fragment and not
// `partial`), else what is wrong. A UDP checksum of 0 is right over IPv4 only.
std::string checksum_fault(std::span<const std::uint8_t> packet, bool partial = false);

// Lines of 16 bytes, for failure messages.
std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace clat::test
