// DNS messages, as a server writes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/net/address.hpp"
#include "core/net/dns64.hpp"

namespace clat::test {

using Bytes = std::vector<std::uint8_t>;

inline void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }
inline void append_word(Bytes& to, unsigned word) {
  to.push_back(static_cast<std::uint8_t>(word >> 8));
  to.push_back(static_cast<std::uint8_t>(word));
}
inline void append_number(Bytes& to, std::uint32_t number) {
  append_word(to, number >> 16);
  append_word(to, number & 0xffff);
}

// Uncompressed.
inline Bytes dns_name(std::string_view text) {
  Bytes name;
  while (!text.empty()) {
    const auto label = text.substr(0, text.find('.'));
    name.push_back(static_cast<std::uint8_t>(label.size()));
    name.insert(name.end(), label.begin(), label.end());
    text.remove_prefix(std::min(text.size(), label.size() + 1));
  }
  name.push_back(0);
  return name;
}

constexpr unsigned kCname = 5, kSoa = 6, kAaaa = 28;

inline Bytes dns_record(const Bytes& owner, unsigned type, std::uint32_t ttl, const Bytes& data) {
  Bytes record = owner;
  append_word(record, type);
  append_word(record, 1);
  append_number(record, ttl);
  append_word(record, static_cast<unsigned>(data.size()));
  append(record, data);
  return record;
}
// The owner is the name of the question, by a pointer.
inline Bytes aaaa(std::string_view address, std::uint32_t ttl = 600, const Bytes& owner = {0xc0, 12}) {
  const auto parsed = Ipv6Address::parse(address).value();
  return dns_record(owner, kAaaa, ttl, {parsed.bytes.begin(), parsed.bytes.end()});
}
inline Bytes cname(std::string_view from, std::string_view to, std::uint32_t ttl = 600) {
  return dns_record(dns_name(from), kCname, ttl, dns_name(to));
}
inline Bytes soa(std::uint32_t ttl, std::uint32_t minimum) {
  Bytes data = dns_name("ns.arpa");
  append(data, dns_name("hostmaster.arpa"));
  for (const std::uint32_t field : {1U, 2U, 3U, 4U, minimum}) append_number(data, field);
  return dns_record(dns_name("arpa"), kSoa, ttl, data);
}

struct DnsReply {
  unsigned id = 0x1234;
  unsigned flags = 0x8180;  // an answer, recursion desired and available, no error
  Bytes name = dns_name(kIpv4OnlyName);
  unsigned type = kAaaa;
  std::vector<Bytes> answers{};
  std::vector<Bytes> authorities{};

  [[nodiscard]] Bytes bytes() const {
    Bytes message;
    for (const unsigned word :
         {id, flags, 1U, static_cast<unsigned>(answers.size()), static_cast<unsigned>(authorities.size()), 0U}) {
      append_word(message, word);
    }
    append(message, name);
    append_word(message, type);
    append_word(message, 1);
    for (const auto& each : answers) append(message, each);
    for (const auto& each : authorities) append(message, each);
    return message;
  }
};

constexpr unsigned kServerFailure = 0x8182, kNoSuchName = 0x8183, kTruncated = 0x8380;

}  // namespace clat::test
