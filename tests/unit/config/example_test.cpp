// The config that packages install.
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace clat::config {
namespace {

TEST(ShippedExample, IsValidAndShowsTwoUplinks) {
  const std::string path = CLATVISOR_CONFIG_DIR "/clatvisor.yaml";
  const auto parsed = load(path, paper_machine());
  ASSERT_TRUE(parsed) << render(path, parsed.error());
  ASSERT_EQ(parsed->interfaces.size(), 2U);
  EXPECT_EQ(parsed->interfaces[0].name, "wan0");
  EXPECT_EQ(parsed->interfaces[0].nat64_prefix.text(), "64:ff9b::/96");
  EXPECT_EQ(parsed->interfaces[1].name, "wwan0");
  EXPECT_EQ(parsed->interfaces[1].nat64_prefix.text(), "2001:db8:64::/96");
}

}  // namespace
}  // namespace clat::config
