#include "core/xlat/coalesce.hpp"

#include <cstring>

#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

namespace {

constexpr std::size_t kUdpHeader = 8;

bool is_trustworthy(const Frame& frame, std::size_t header) {
  const std::uint8_t* const field = frame.data + header + 6;
  const VnetHeader& vnet = frame.vnet;
  if ((vnet.flags & VnetHeader::kNeedsChecksum) == 0) {
    return vnet.flags == VnetHeader::kDataValid && load<std::uint16_t>(field) != 0;
  }
  if (vnet.checksum_start != header || vnet.checksum_offset != 6) return false;
  const Sum sum = pseudo_header_sum(frame.data, frame.size - header, kUdp);
  return fold(sum + complement(load<std::uint16_t>(field))) == 0xffff;
}

// Returns the length of the IP header if the packet may be part of a super-packet, 0 if not.
std::size_t ip_header_of_segment(const Frame& frame, std::size_t most_bytes) {
  if (frame.vnet.flags == 0 || frame.vnet.gso_type != VnetHeader::kGsoNone || frame.size > most_bytes / 2) return 0;
  Layout layout;
  if (read_layout(frame.data, frame.size, layout) != Verdict::translated) return 0;
  const bool is_ipv4 = frame.data[0] >> 4 == 4;
  const std::size_t header = layout.header;
  if (layout.protocol != kUdp || layout.fragment.present || header != (is_ipv4 ? kIpv4Header : kIpv6Header)) return 0;
  // With a payload, and none behind it.
  if (layout.size != frame.size || frame.size <= header + kUdpHeader) return 0;
  if (load_be16(frame.data + header + 4) != frame.size - header) return 0;
  return is_trustworthy(frame, header) ? header : 0;
}

bool equal(const std::uint8_t* a, const std::uint8_t* b, std::size_t from, std::size_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

// All of both headers but lengths and checksums; of IPv4, the Identification is `nth` from the first's, which is what
// the receiver of a super-packet makes it.
bool are_of_one_flow(const std::uint8_t* first, const std::uint8_t* ip, std::size_t nth) {
  if (ip[0] >> 4 == 6) return equal(first, ip, 0, 4) && equal(first, ip, 6, kIpv6Header + 4);
  return equal(first, ip, 0, 2) && load_be16(ip + 4) == static_cast<std::uint16_t>(load_be16(first + 4) + nth) &&
         equal(first, ip, 6, 10) && equal(first, ip, 12, kIpv4Header + 4);
}

}  // namespace

void Coalescer::send(const Frame& frame) {
  const std::size_t header = ip_header_of_segment(frame, kMostBytes);
  if (header != 0 && continues(frame, header)) {
    const std::size_t headers = header + kUdpHeader;
    closed_ = frame.size - headers < payload_;
    append(frame.data + headers, frame.size - headers);
    return;
  }
  flush();
  if (header == 0) {
    next_.send(frame);
    return;
  }
  vnet_ = frame.vnet;
  header_ = header;
  payload_ = frame.size - header - kUdpHeader;
  closed_ = false;
  append(frame.data, frame.size);
}

bool Coalescer::continues(const Frame& frame, std::size_t header) const {
  if (segments_ == 0 || segments_ == kMostSegments || closed_ || header != header_) return false;
  const std::size_t payload = frame.size - header - kUdpHeader;
  return payload <= payload_ && size_ + payload <= kMostBytes &&
         are_of_one_flow(buffer_.data() + kHeadroom, frame.data, segments_);
}

void Coalescer::append(const std::uint8_t* from, std::size_t size) {
  std::memcpy(buffer_.data() + kHeadroom + size_, from, size);
  size_ += size;
  ++segments_;
}

void Coalescer::flush() {
  if (segments_ == 0) return;
  const Frame frame = segments_ == 1 ? Frame{buffer_.data() + kHeadroom, size_, vnet_} : super_packet();
  size_ = segments_ = 0;
  next_.send(frame);
}

Frame Coalescer::super_packet() {
  std::uint8_t* const ip = buffer_.data() + kHeadroom;
  const std::size_t udp_size = size_ - header_;
  if (header_ == kIpv4Header) {
    store_be16(ip + 2, static_cast<std::uint16_t>(size_));
    store<std::uint16_t>(ip + 10, 0);
    store(ip + 10, complement(fold(sum20(ip))));
  } else {
    store_be16(ip + 4, static_cast<std::uint16_t>(udp_size));
  }
  store_be16(ip + header_ + 4, static_cast<std::uint16_t>(udp_size));
  store(ip + header_ + 6, fold(pseudo_header_sum(ip, udp_size, kUdp)));
  return {ip,
          size_,
          {.flags = VnetHeader::kNeedsChecksum,
           .gso_type = VnetHeader::kGsoUdp,
           .header_length = static_cast<std::uint16_t>(header_ + kUdpHeader),
           .gso_size = static_cast<std::uint16_t>(payload_),
           .checksum_start = static_cast<std::uint16_t>(header_),
           .checksum_offset = 6}};
}

}  // namespace clat::xlat
