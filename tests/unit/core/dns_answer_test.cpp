#include "core/net/dns_answer.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/support/dns.hpp"

namespace clat {
namespace {

using std::chrono::seconds;
using test::aaaa;
using test::Bytes;
using test::cname;
using test::dns_name;
using test::DnsReply;
using test::soa;

Result<AaaaAnswer> parse(const Bytes& message) { return parse_aaaa_answer(message, kIpv4OnlyName); }

Ipv6Address v6(const char* text) { return Ipv6Address::parse(text).value(); }

TEST(DnsAnswer, GivesTheAddressesAndTheLeastTtl) {
  const DnsReply reply{.answers = {aaaa("64:ff9b::c000:aa", 600), aaaa("64:ff9b::c000:ab", 300)}};
  EXPECT_EQ(parse(reply.bytes()),
            (AaaaAnswer{.addresses = {v6("64:ff9b::c000:aa"), v6("64:ff9b::c000:ab")}, .ttl = seconds(300)}));
}

TEST(DnsAnswer, NamesAreTheSameInAnyCase) {
  const DnsReply reply{.name = dns_name("IPv4Only.ARPA"),
                       .answers = {aaaa("64:ff9b::c000:aa", 600, dns_name("ipv4ONLY.arpa"))}};
  EXPECT_EQ(parse(reply.bytes())->addresses.size(), 1U);
}

TEST(DnsAnswer, FollowsAliasesInAnyOrder) {
  const DnsReply reply{.answers = {aaaa("64:ff9b::c000:aa", 600, dns_name("c.example")),
                                   cname("b.example", "c.example", 200), cname("ipv4only.arpa", "b.example", 100)}};
  EXPECT_EQ(parse(reply.bytes()), (AaaaAnswer{.addresses = {v6("64:ff9b::c000:aa")}, .ttl = seconds(100)}));
}

TEST(DnsAnswer, LeavesOutWhatIsOfOthers) {
  const DnsReply reply{
      .answers = {aaaa("2001:db8::c000:aa", 1, dns_name("other.arpa")), aaaa("64:ff9b::c000:aa", 600)}};
  EXPECT_EQ(parse(reply.bytes()), (AaaaAnswer{.addresses = {v6("64:ff9b::c000:aa")}, .ttl = seconds(600)}));
}

TEST(DnsAnswer, ALabelWithADotIsNotTwo) {
  Bytes owner{13};
  for (const char each : kIpv4OnlyName) owner.push_back(static_cast<std::uint8_t>(each));
  owner.push_back(0);
  EXPECT_FALSE(parse(DnsReply{.answers = {aaaa("64:ff9b::c000:aa", 600, owner)}}.bytes()));
}

TEST(DnsAnswer, TakesSixteenAddresses) {
  EXPECT_EQ(parse(DnsReply{.answers = std::vector(100, aaaa("64:ff9b::c000:aa"))}.bytes())->addresses.size(),
            kMostAaaaAddresses);
}

TEST(DnsAnswer, ATtlWithItsFirstBitSetIsZero) {
  EXPECT_EQ(parse(DnsReply{.answers = {aaaa("64:ff9b::c000:aa", 0x80000000)}}.bytes())->ttl, seconds(0));
}

struct Negative {
  const char* what;
  DnsReply reply;
  seconds ttl;
};
void PrintTo(const Negative& each, std::ostream* out) { *out << each.what; }
class NoAddress : public testing::TestWithParam<Negative> {};
TEST_P(NoAddress, IsAnAnswer) { EXPECT_EQ(parse(GetParam().reply.bytes()), (AaaaAnswer{.ttl = GetParam().ttl})); }
INSTANTIATE_TEST_SUITE_P(All, NoAddress,
                         testing::Values(Negative{"no such name",
                                                  {.flags = test::kNoSuchName, .authorities = {soa(900, 3600)}},
                                                  seconds(900)},
                                         Negative{"no such name: the field is less",
                                                  {.flags = test::kNoSuchName, .authorities = {soa(900, 60)}},
                                                  seconds(60)},
                                         Negative{"no data", {.authorities = {soa(900, 3600)}}, seconds(900)},
                                         Negative{"no data, and nobody says for how long", {}, seconds(0)},
                                         Negative{"an alias of nothing",
                                                  {.answers = {cname("ipv4only.arpa", "b.example", 50)},
                                                   .authorities = {soa(900, 3600)}},
                                                  seconds(50)}));

DnsReply aliases(unsigned count) {
  DnsReply reply;
  std::string from(kIpv4OnlyName);
  for (unsigned i = 0; i < count; ++i) {
    const auto to = "a" + std::to_string(i) + ".example";
    reply.answers.push_back(cname(from, to));
    from = to;
  }
  reply.answers.push_back(aaaa("64:ff9b::c000:aa", 600, dns_name(from)));
  return reply;
}

TEST(DnsAnswer, FollowsEightAliases) {
  EXPECT_EQ(parse(aliases(kMostAliases).bytes())->addresses.size(), 1U);
  EXPECT_FALSE(parse(aliases(kMostAliases + 1).bytes()));
}

Bytes with(Bytes message, std::size_t at, std::uint8_t octet) {
  message[at] = octet;
  return message;
}

struct Refused {
  Bytes message;
  const char* error;
};
void PrintTo(const Refused& each, std::ostream* out) { *out << each.error << ", " << each.message.size(); }
class Lie : public testing::TestWithParam<Refused> {};
TEST_P(Lie, IsRefused) {
  const auto parsed = parse(GetParam().message);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().what, GetParam().error);
}

const DnsReply kGood{.answers = {aaaa("64:ff9b::c000:aa")}};
constexpr auto kMalformed = "the answer is malformed, or far too long";
constexpr auto kNoEnd = "the aliases in the answer do not end";
constexpr std::size_t kOwner = 12 + 15 + 4;  // where the first answer begins

Bytes cut(std::size_t by) {
  auto message = kGood.bytes();
  message.resize(message.size() - by);
  return message;
}

INSTANTIATE_TEST_SUITE_P(
    All, Lie,
    testing::Values(
        Refused{{}, "the answer is too short"}, Refused{{0x12, 0x34, 0x81, 0x80}, "the answer is too short"},
        Refused{with(kGood.bytes(), 2, 0x01), "what came is no answer"},
        Refused{with(kGood.bytes(), 2, 0x91), "what came is no answer"},
        Refused{DnsReply{.flags = test::kTruncated}.bytes(), "the answer is cut off"},
        Refused{DnsReply{.flags = test::kServerFailure}.bytes(), "the server reports error 2"},
        Refused{DnsReply{.flags = 0x8185}.bytes(), "the server reports error 5"},
        Refused{DnsReply{.name = dns_name("ipv4only.example")}.bytes(), "the answer is to another question"},
        Refused{DnsReply{.type = 1}.bytes(), "the answer is to another question"},
        Refused{with(kGood.bytes(), 5, 0), "the answer is to another question"},
        Refused{with(kGood.bytes(), 5, 2), "the answer is to another question"},
        Refused{DnsReply{.answers = {aaaa("64:ff9b::c000:aa", 600, dns_name("other.arpa"))}}.bytes(),
                "the answer has addresses of other names alone"},
        Refused{DnsReply{.answers = {cname("ipv4only.arpa", "ipv4only.arpa")}}.bytes(), kNoEnd},
        Refused{DnsReply{.answers = {cname("ipv4only.arpa", "b.c"), cname("b.c", "ipv4only.arpa")}}.bytes(), kNoEnd},
        Refused{cut(1), kMalformed}, Refused{cut(17), kMalformed}, Refused{cut(28), kMalformed},
        Refused{with(kGood.bytes(), 7, 2), kMalformed}, Refused{with(kGood.bytes(), 6, 0xff), kMalformed},
        // A pointer to itself, one forwards, and a label of a kind that does not exist.
        Refused{with(kGood.bytes(), kOwner + 1, kOwner), kMalformed},
        Refused{with(kGood.bytes(), kOwner + 1, kOwner + 2), kMalformed},
        Refused{with(kGood.bytes(), kOwner, 0x80), kMalformed},
        Refused{DnsReply{.answers = std::vector(129, aaaa("64:ff9b::c000:aa"))}.bytes(), kMalformed}));

}  // namespace
}  // namespace clat
