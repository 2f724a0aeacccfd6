#include "supervisor/system/interface_name.hpp"

#include <gtest/gtest.h>

namespace clat::system {
namespace {

TEST(InterfaceName, FollowsTheKernelsRules) {
  for (const char* name : {"a", "wan0", "v4-wan0", "eth0.100", "...", "wg-ü", "fifteen-letters"}) {
    EXPECT_TRUE(valid_interface_name(name)) << name;
  }
  for (const char* name :
       {"", ".", "..", "a/b", "../x", "eth0:1", "a b", "a\tb", "a\nb", "a\x7f", "a\x01", "sixteen--letters"}) {
    EXPECT_FALSE(valid_interface_name(name)) << name;
  }
  EXPECT_FALSE(valid_interface_name(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace clat::system
