// A packet in words, for log lines.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace clat::xlat {

class Description {
 public:
  // Any bytes. "protocol 17 192.0.0.4:40000 > 192.0.2.33:53", IPv6 addresses in brackets, ports as far as they are
  // there.
  explicit Description(std::span<const std::uint8_t> packet);
  [[nodiscard]] std::string_view view() const { return text_.data(); }

 private:
  std::array<char, 128> text_{};
};

}  // namespace clat::xlat
