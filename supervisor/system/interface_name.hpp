#pragma once

#include <string>
#include <string_view>

namespace clat::system {

// The kernel's rules (dev_valid_name): 1 to 15 bytes, not "." or "..", no '/', ':' or white space; and, stricter than
// the kernel, no control characters. Such a name is safe as one piece of a path.
bool valid_interface_name(std::string_view name);

// In this network namespace, at this moment. Empty: there is no such interface.
std::string interface_name(int ifindex);

}  // namespace clat::system
