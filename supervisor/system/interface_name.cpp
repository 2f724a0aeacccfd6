#include "supervisor/system/interface_name.hpp"

#include <linux/if.h>

#include <algorithm>

namespace clat::system {

bool valid_interface_name(std::string_view name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || byte == 0xa0 || c == '/' || c == ':';
  });
}

}  // namespace clat::system
