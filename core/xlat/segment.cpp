#include "core/xlat/segment.hpp"

#include <algorithm>
#include <cstring>

#include "core/xlat/ip_header.hpp"

namespace clat::xlat {

namespace {

constexpr std::uint8_t kFin = 1, kPush = 8, kCongestionWindowReduced = 0x80;

}  // namespace

Segments::Segments(const Frame& frame) : frame_(frame) {
  Layout layout;
  const auto verdict = read_layout(frame.data, frame.size, layout);
  if (verdict != Verdict::translated && verdict != Verdict::routing_header) return;
  const auto gso_tcp = frame.data[0] >> 4 == 4 ? VnetHeader::kGsoTcp4 : VnetHeader::kGsoTcp6;
  Offload offload;
  if (!read_offload(frame, layout.header, layout.size, layout.protocol, gso_tcp, offload)) return;
  frame_.size = layout.size;
  header_ = layout.header;
  headers_ = layout.header + offload.segmented_header;
  protocol_ = layout.protocol;
  if (headers_ > copy_.size() && frame.vnet.gso_type != VnetHeader::kGsoNone) return;
  count_ = offload.segments;
  std::memcpy(copy_.data(), frame.data, std::min(headers_, copy_.size()));
}

bool Segments::next(Frame& segment) {
  if (given_ == count_) return false;
  if (frame_.vnet.gso_type == VnetHeader::kGsoNone) {
    ++given_;
    segment = frame_;
    finish_checksum(segment);
    segment.vnet = {};
    return true;
  }
  const std::size_t at = given_ * frame_.vnet.gso_size;
  const std::size_t payload = std::min<std::size_t>(frame_.size - headers_ - at, frame_.vnet.gso_size);
  segment = {frame_.data + at, headers_ + payload};
  std::memcpy(segment.data, copy_.data(), headers_);
  write_headers(segment, given_ + 1 == count_);
  ++given_;
  return true;
}

void Segments::write_headers(const Frame& segment, bool last) {
  std::uint8_t* const ip = segment.data;
  std::uint8_t* const transport = ip + header_;
  const std::size_t size = segment.size - header_;
  if (ip[0] >> 4 == 4) {
    store_be16(ip + 2, static_cast<std::uint16_t>(segment.size));
    store_be16(ip + 4, static_cast<std::uint16_t>(load_be16(ip + 4) + given_));
    store<std::uint16_t>(ip + 10, 0);
    store(ip + 10, complement(fold(sum_bytes(ip, header_))));
  } else {
    store_be16(ip + 4, static_cast<std::uint16_t>(segment.size - kIpv6Header));
  }
  if (protocol_ == kTcp) {
    store_be32(transport + 4, load_be32(transport + 4) + static_cast<std::uint32_t>(given_ * frame_.vnet.gso_size));
    if (given_ != 0) transport[13] &= static_cast<std::uint8_t>(~kCongestionWindowReduced);
    if (!last) transport[13] &= static_cast<std::uint8_t>(~(kFin | kPush));
  } else {
    store_be16(transport + 4, static_cast<std::uint16_t>(size));
  }
  std::uint8_t* const field = transport + checksum_field(protocol_);
  store<std::uint16_t>(field, 0);
  const Sum sum = pseudo_header_sum(ip, size, protocol_) + sum_bytes(transport, size);
  const auto checksum = complement(fold(sum));
  store<std::uint16_t>(field, checksum == 0 && protocol_ == kUdp ? 0xffff : checksum);
}

}  // namespace clat::xlat
