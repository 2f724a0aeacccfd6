#include "core/net/name_server.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clat {
namespace {

struct Case {
  const char* what;
  const char* text;
  std::vector<std::string> servers;
};
void PrintTo(const Case& each, std::ostream* out) { *out << each.what; }

class NameServers : public testing::TestWithParam<Case> {};
TEST_P(NameServers, OfWan0) {
  std::vector<std::string> found;
  for (const auto& each : parse_name_servers(GetParam().text, "wan0")) found.push_back(each.address.text());
  EXPECT_EQ(found, GetParam().servers);
}

INSTANTIATE_TEST_SUITE_P(
    ResolvConf, NameServers,
    testing::Values(
        Case{"nothing", "", {}}, Case{"one", "nameserver 2001:db8::53", {"2001:db8::53"}},
        Case{"in order, each once, whatever else is there",
             "# nameserver ::2\n; nameserver ::3\noptions edns0\n\tnameserver \t2001:db8::54 # near\r\nsearch "
             "nameserver\n"
             "nameserver 2001:db8::53\nnameserver 2001:db8::54\n",
             {"2001:db8::54", "2001:db8::53"}},
        Case{"link-local ones of this device",
             "nameserver fe80::1%wan1\nnameserver fe80::2%wan0\nnameserver fe80::3\n",
             {"fe80::2", "fe80::3"}},
        Case{"no IPv4, which would need the CLAT", "nameserver 192.0.2.53\nnameserver ::ffff:192.0.2.53", {}},
        Case{"those of this host last",
             "nameserver 127.0.0.53\nnameserver ::1\nnameserver 2001:db8::53\n",
             {"2001:db8::53", "::ffff:127.0.0.53", "::1"}},
        Case{"no lies", "nameserver\nnameserver ::\nnameserver ff02::1\nnameserver x\nnameservers 2001:db8::1\n", {}},
        Case{"four",
             "nameserver 2001:db8::1\nnameserver 2001:db8::2\nnameserver 2001:db8::3\nnameserver 2001:db8::4\n"
             "nameserver 2001:db8::5\n",
             {"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"}}));

INSTANTIATE_TEST_SUITE_P(
    Netifd, NameServers,
    testing::Values(
        Case{"the part of this uplink",
             "# Interface lan\nnameserver 2001:db8::1\n# Interface wan0\nnameserver 2001:db8::2\nsearch example\n"
             "# Interface wan1\nnameserver 2001:db8::3\n",
             {"2001:db8::2"}},
        Case{"the last part",
             "# Interface lan\nnameserver 2001:db8::1\n# Interface wan0\nnameserver 2001:db8::2",
             {"2001:db8::2"}},
        Case{"the part is empty", "# Interface wan0\n# Interface wan1\nnameserver 2001:db8::3\n", {}},
        Case{"the beginning of a name is no name",
             "# Interface wan\nnameserver 2001:db8::1\n# Interface wan0\nnameserver 2001:db8::2\n",
             {"2001:db8::2"}},
        Case{"no part has its name: all of them",
             "# Interface wan6\nnameserver 2001:db8::1\n# Interface wwan\nnameserver 2001:db8::2\n",
             {"2001:db8::1", "2001:db8::2"}}));

TEST(NameServer, IsOfThisHost) {
  const auto is_loopback = [](const char* address) { return NameServer{*Ipv6Address::parse(address)}.is_loopback(); };
  EXPECT_TRUE(is_loopback("::1"));
  EXPECT_TRUE(is_loopback("::ffff:127.1.2.3"));
  EXPECT_FALSE(is_loopback("::ffff:128.0.0.1"));
  EXPECT_FALSE(is_loopback("2001:db8::127.0.0.1"));
}

}  // namespace
}  // namespace clat
