// What operators read: the config that packages install, and the sample of errors in the documentation.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "fixture.hpp"

namespace clat::config {
namespace {

TEST(ShippedExample, IsValidAndShowsTwoUplinks) {
  const std::string path = CLATVISOR_CONFIG_DIR "/clatvisor.yaml";
  const auto parsed = load(path, paper_machine());
  ASSERT_TRUE(parsed) << render(path, parsed.error());
  ASSERT_EQ(parsed->interfaces.size(), 2U);
  EXPECT_EQ(parsed->interfaces[0].name, "wan0");
  EXPECT_EQ(parsed->interfaces[0].nat64_prefix->text(), "64:ff9b::/96");
  EXPECT_EQ(parsed->interfaces[1].name, "wwan0");
  EXPECT_EQ(parsed->interfaces[1].nat64_prefix->text(), "2001:db8:64::/96");
}

TEST(Documentation, ShowsRealErrors) {
  const auto parsed = parse(
      "interfaces:\n"
      "  wan0:\n"
      "    nat64-prefx: 64:ff9b::/96\n"
      "    mtu: 1e3\n"
      "  wwan0:\n"
      "    nat64-prefix: 2001:db8:64::1/96\n"
      "    default-route: {metric: 2048}\n"
      "clatd: {stop-timeout: 5}\n",
      paper_machine());
  ASSERT_FALSE(parsed);
  std::ifstream file(CLATVISOR_DOCS_DIR "/config.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string sample = render("clatvisor.yaml", parsed.error());
  EXPECT_NE(page.find("```\n" + sample + "```\n"), std::string::npos) << sample;
}

}  // namespace
}  // namespace clat::config
