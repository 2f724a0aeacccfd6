#include "supervisor/system/sysctl.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <cerrno>

#include "temporary_directory.hpp"

namespace clat::system {
namespace {

using test::contents;
using test::put_contents;
using test::TemporaryDirectory;

TEST(Sysctl, AnInterfaceNameWithDotsIsOnePieceOfThePath) {
  const TemporaryDirectory root;
  put_contents(root / "net/ipv4/conf/eth0.100/rp_filter", "1\n");
  const Sysctl sysctl(root / "");
  const SysctlName name{"net", "ipv4", "conf", "eth0.100", "rp_filter"};
  EXPECT_EQ(sysctl.read(name), "1");
  ASSERT_TRUE(sysctl.write(name, "2"));
  EXPECT_EQ(contents(root / "net/ipv4/conf/eth0.100/rp_filter"), "2");
}

TEST(Sysctl, NoNameLeadsOutOfTheTree) {
  const TemporaryDirectory root;
  put_contents(root / "sys/net/x", "1\n");
  put_contents(root / "secret", "1\n");
  const Sysctl sysctl(root / "sys");
  for (const SysctlName& name : {SysctlName{}, SysctlName{""}, SysctlName{"..", "secret"}, SysctlName{".", "net", "x"},
                                 SysctlName{"net", "../../secret"}, SysctlName{"net", std::string("x\0y", 3)},
                                 SysctlName{std::string(256, 'a')}}) {
    const auto value = sysctl.read(name);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, EINVAL);
    EXPECT_EQ(sysctl.write(name, "1").error().code, EINVAL);
  }
}

TEST(Sysctl, OfAnInterfaceByItsNumber) {
  const TemporaryDirectory root;
  put_contents(root / "net/lo/x", "1\n");
  const Sysctl sysctl(root / "");
  const auto lo = static_cast<int>(::if_nametoindex("lo"));
  EXPECT_EQ(sysctl.read({"net", by_number(lo), "x"}), "1");
  EXPECT_EQ(sysctl.read({"net", by_number(0), "x"}).error().code, ENOENT);
  EXPECT_EQ(sysctl.read({"net", ":lo", "x"}).error().code, ENOENT);
}

TEST(Sysctl, MissingOnesAreNotCreated) {
  const TemporaryDirectory root;
  const Sysctl sysctl(root / "");
  EXPECT_EQ(sysctl.read({"net", "none"}).error().code, ENOENT);
  const auto written = sysctl.write({"none"}, "1");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().text(), "write none: No such file or directory");
}

TEST(Sysctl, AnEndlessValueIsAnError) {
  const TemporaryDirectory root;
  put_contents(root / "long", std::string(256, 'x'));
  EXPECT_EQ(Sysctl(root / "").read({"long"}).error().code, EMSGSIZE);
}

TEST(Sysctl, ForwardingIsOnForAnyValueButZero) {
  const TemporaryDirectory root;
  const Sysctl sysctl(root / "");
  EXPECT_FALSE(sysctl.ipv6_forwarding());
  put_contents(root / "net/ipv6/conf/all/forwarding", "0\n");
  EXPECT_EQ(sysctl.ipv6_forwarding(), false);
  put_contents(root / "net/ipv6/conf/all/forwarding", "1\n");
  EXPECT_EQ(sysctl.ipv6_forwarding(), true);
}

TEST(Sysctl, IgnoringRoutesWithLinkdownIsSeen) {
  const TemporaryDirectory root;
  put_contents(root / "net/ipv4/conf/all/ignore_routes_with_linkdown", "1\n");
  EXPECT_EQ(Sysctl(root / "").ignores_routes_with_linkdown(), true);
}

}  // namespace
}  // namespace clat::system
