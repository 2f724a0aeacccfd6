#include "core/net/dns64.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clat {
namespace {

std::vector<std::string> prefixes_of(const std::vector<std::string>& addresses) {
  std::vector<Ipv6Address> parsed;
  for (const auto& each : addresses) parsed.push_back(Ipv6Address::parse(each).value());
  std::vector<std::string> found;
  for (const auto& prefix : nat64_prefixes_of(parsed)) found.push_back(prefix.text());
  return found;
}

struct Case {
  const char* what;
  std::vector<std::string> addresses;
  std::vector<std::string> prefixes;
};
void PrintTo(const Case& each, std::ostream* out) { *out << each.what; }

class Dns64 : public testing::TestWithParam<Case> {};
TEST_P(Dns64, FindsThePrefixes) { EXPECT_EQ(prefixes_of(GetParam().addresses), GetParam().prefixes); }

using Strings = std::vector<std::string>;

INSTANTIATE_TEST_SUITE_P(
    Positions, Dns64,
    testing::Values(Case{"/32", {"2001:db8:c000:aa::", "2001:db8:c000:ab::"}, {"2001:db8::/32"}},
                    Case{"/40", {"2001:db8:1c0:0:aa::", "2001:db8:1c0:0:ab::"}, {"2001:db8:100::/40"}},
                    Case{"/48", {"2001:db8:122:c000:0:aa00::"}, {"2001:db8:122::/48"}},
                    Case{"/56", {"2001:db8:122:3c0:0:aa::"}, {"2001:db8:122:300::/56"}},
                    Case{"/64", {"2001:db8:122:344:c0:0:aa00:0"}, {"2001:db8:122:344::/64"}},
                    Case{"/96", {"2001:db8:122:344::192.0.0.170"}, {"2001:db8:122:344::/96"}},
                    Case{"the well-known prefix", {"64:ff9b::c000:aa", "64:ff9b::c000:ab"}, {"64:ff9b::/96"}},
                    Case{"the second address alone", {"64:ff9b::c000:ab"}, {"64:ff9b::/96"}},
                    Case{"a suffix behind it", {"2001:db8:c000:aa:0:1:2:3"}, {"2001:db8::/32"}}));

INSTANTIATE_TEST_SUITE_P(Several, Dns64,
                         testing::Values(Case{"in the order of the addresses, each once",
                                              {"2001:db8:2::c000:aa", "64:ff9b::c000:aa", "2001:db8:2::c000:ab",
                                               "64:ff9b::c000:ab"},
                                              {"2001:db8:2::/96", "64:ff9b::/96"}},
                                         Case{"of several lengths",
                                              {"2001:db8:c000:aa::", "2001:db8:9::c000:aa"},
                                              {"2001:db8::/32", "2001:db8:9::/96"}}));

// RFC 7050 §3: the value is part of the prefix.
INSTANTIATE_TEST_SUITE_P(
    MoreThanOnePlace, Dns64,
    testing::Values(
        Case{"the other address decides",
             {"2001:db8:c000:aa::c000:aa", "2001:db8:c000:aa::c000:ab"},
             {"2001:db8:c000:aa::/96"}},
        Case{"in any order", {"2001:db8:c000:aa::c000:ab", "2001:db8:c000:aa::c000:aa"}, {"2001:db8:c000:aa::/96"}},
        Case{"the other value is part of the prefix",
             {"2001:db8:c000:ab::c000:aa", "2001:db8:c000:ab::c000:ab"},
             {"2001:db8:c000:ab::/96"}},
        Case{"nobody decides", {"2001:db8:c000:aa::c000:aa"}, {}},
        Case{"nobody decides: one prefix has 170, the other 171", {"2001:db8:c000:aa::c000:ab"}, {}},
        Case{"they contradict each other",
             {"2001:db8:c000:aa::c000:aa", "2001:db8:c000:aa::c000:ab", "2001:db8:c000:ab::c000:aa",
              "2001:db8:c000:ab::c000:ab"},
             {}},
        Case{"what is unambiguous stays", {"2001:db8:c000:aa::c000:aa", "64:ff9b::c000:aa"}, {"64:ff9b::/96"}}));

INSTANTIATE_TEST_SUITE_P(
    Lies, Dns64,
    testing::Values(Case{"nothing", {}, {}}, Case{"an address of somebody", {"2001:db8::1", "::1", "::"}, {}},
                    Case{"another IPv4 address", {"64:ff9b::c000:a9", "64:ff9b::c000:ac"}, {}},
                    Case{"between the places", {"2001:db8:0:0:0:c000:aa:0", "2001:db8:c0:0:aa00::"}, {}},
                    Case{"/40 with a u-octet", {"2001:db8:1c0:0:1aa::"}, {}},
                    Case{"/64 with a u-octet", {"2001:db8:122:344:1c0:0:aa00:0"}, {}},
                    Case{"/96 with a u-octet", {"2001:db8:1:2:300::c000:aa"}, {}},
                    Case{"IPv4-mapped", {"::ffff:192.0.0.170"}, {}}, Case{"IPv4-compatible", {"::192.0.0.170"}, {}},
                    Case{"multicast", {"ff0e::c000:aa"}, {}}, Case{"link-local", {"fe80::c000:aa"}, {}},
                    Case{"a lie beside the truth", {"fe80::c000:aa", "64:ff9b::c000:aa"}, {"64:ff9b::/96"}}));

std::vector<std::string> many(unsigned count) {
  std::vector<std::string> addresses;
  for (unsigned i = 1; i <= count; ++i) addresses.push_back("2001:db8:" + std::to_string(i) + "::c000:aa");
  return addresses;
}

TEST(Dns64Bounds, EightPrefixes) {
  const auto found = prefixes_of(many(9));
  ASSERT_EQ(found.size(), kMostDns64Prefixes);
  EXPECT_EQ(found.back(), "2001:db8:8::/96");
}

TEST(Dns64Bounds, SixteenAddresses) {
  std::vector<std::string> addresses(kMostDns64Addresses, "2001:db8::1");
  addresses.back() = "64:ff9b::c000:aa";
  EXPECT_EQ(prefixes_of(addresses), Strings{"64:ff9b::/96"});
  addresses.insert(addresses.begin(), "2001:db8::1");
  EXPECT_EQ(prefixes_of(addresses), Strings{});
}

}  // namespace
}  // namespace clat
