#include "core/xlat/echo_fragments.hpp"

#include <algorithm>
#include <cstring>

namespace clat::xlat {

template <class Value>
Value& EchoFragments::Slots<Value>::claim(const Datagram& datagram) {
  Slot* slot = find(datagram);
  if (slot == nullptr) slot = &*std::ranges::min_element(slots_, {}, &Slot::turn);
  slot->turn = ++turns_;
  slot->datagram = datagram;
  return slot->value;
}

template <class Value>
Value* EchoFragments::Slots<Value>::take(const Datagram& datagram) {
  Slot* const slot = find(datagram);
  if (slot == nullptr) return nullptr;
  slot->turn = 0;
  return &slot->value;
}

template <class Value>
auto EchoFragments::Slots<Value>::find(const Datagram& datagram) -> Slot* {
  const auto slot = std::ranges::find_if(slots_, [&](const Slot& s) { return s.turn != 0 && s.datagram == datagram; });
  return slot == slots_.end() ? nullptr : &*slot;
}

EchoFragments::Datagram EchoFragments::datagram_of(const std::uint8_t* ip, const Layout& layout) {
  if (ip[0] >> 4 == 4) return {{0, load_be32(ip + 12)}, {0, load_be32(ip + 16)}, layout.fragment.id, true};
  return {load_halves(ip + 8), load_halves(ip + 24), layout.fragment.id, false};
}

bool EchoFragments::hold(const Datagram& datagram, const Frame& first) {
  if (first.size > kMostBytes) return false;
  Packet& packet = firsts_.claim(datagram);
  packet.size = first.size;
  std::memcpy(packet.bytes.data() + kHeadroom, first.data, first.size);
  return true;
}

void EchoFragments::remember(const Datagram& datagram, std::size_t message_size) {
  message_sizes_.claim(datagram) = message_size;
}

std::optional<Frame> EchoFragments::take_first(const Datagram& datagram) {
  Packet* const packet = firsts_.take(datagram);
  if (packet == nullptr) return std::nullopt;
  return Frame{packet->bytes.data() + kHeadroom, packet->size};
}

std::optional<std::size_t> EchoFragments::take_message_size(const Datagram& datagram) {
  const std::size_t* const size = message_sizes_.take(datagram);
  return size == nullptr ? std::nullopt : std::optional(*size);
}

}  // namespace clat::xlat
