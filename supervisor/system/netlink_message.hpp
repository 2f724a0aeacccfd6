// Netlink's framing over plain bytes: messages, attributes, acknowledgements. Nothing here trusts a length, and nothing
// needs alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "core/base/error.hpp"

namespace clat::system {

using Bytes = std::span<const std::uint8_t>;

struct Message {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  Bytes payload;
};

// Takes the first message off `rest`. Nothing at the end, and at the first length that lies (then `rest` is emptied).
std::optional<Message> next_message(Bytes& rest);

struct Attribute {
  std::uint16_t type = 0;  // without the nested and byte-order flags
  Bytes payload;
};

std::optional<Attribute> next_attribute(Bytes& rest);

// The last attribute of this type, as the kernel's own parser takes it.
std::optional<Bytes> find_attribute(Bytes attributes, std::uint16_t type);

// The first sizeof(T) bytes; nothing when there are fewer.
template <class T>
std::optional<T> read_as(Bytes bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
std::optional<T> find_as(Bytes attributes, std::uint16_t type) {
  const auto bytes = find_attribute(attributes, type);
  return bytes ? read_as<T>(*bytes) : std::nullopt;
}

// What follows a fixed header of sizeof(T), which is padded to four bytes.
template <class T>
Bytes attributes_after(Bytes payload) {
  constexpr std::size_t header = (sizeof(T) + 3) & ~std::size_t{3};
  return payload.size() > header ? payload.subspan(header) : Bytes{};
}

// The text of an attribute up to its NUL; nothing when it is longer than `most` bytes.
std::optional<std::string> read_text(Bytes bytes, std::size_t most);

// An NLMSG_ERROR, or the NLMSG_DONE of a dump that failed on its way.
struct Acknowledgement {
  int code = 0;      // errno, 0: done
  std::string text;  // of the extended acknowledgement, may be empty
};
std::optional<Acknowledgement> parse_acknowledgement(const Message& message);

}  // namespace clat::system
