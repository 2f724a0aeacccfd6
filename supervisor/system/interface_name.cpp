#include "supervisor/system/interface_name.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>

namespace clat::system {

bool valid_interface_name(std::string_view name) {
  if (name.empty() || name.size() >= IF_NAMESIZE || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7f || byte == 0xa0 || c == '/' || c == ':';
  });
}

std::string interface_name(int ifindex) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(static_cast<unsigned>(ifindex), name.data()) == nullptr ? "" : name.data();
}

}  // namespace clat::system
