// Netlink messages built byte by byte, right or wrong.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace clat::system::test {

using Buffer = std::vector<std::uint8_t>;

template <class T>
Buffer bytes_of(const T& value) {
  Buffer bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline Buffer bytes_of(const char* text) {
  const std::string with_nul(text);
  return {with_nul.c_str(), with_nul.c_str() + with_nul.size() + 1};
}

inline Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Buffer pad(Buffer bytes) {
  bytes.resize((bytes.size() + 3) & ~std::size_t{3});
  return bytes;
}

inline Buffer attribute(std::uint16_t type, const Buffer& payload) {
  const nlattr header{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), .nla_type = type};
  return pad(bytes_of(header) + payload);
}

inline Buffer message(std::uint16_t type, const Buffer& payload, std::uint16_t flags = 0, std::uint32_t sequence = 0) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  return pad(bytes_of(header) + payload);
}

}  // namespace clat::system::test
