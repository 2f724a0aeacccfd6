// What the clatd program does with packets, and what it says to its supervisor.
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstring>

#include "clatd_fixture.hpp"
#include "tests/support/vector_parts.hpp"

namespace clat::clatd {
namespace {

using test::Bytes;
using xlat::Verdict;
using xlat::VnetHeader;

using Clatd = ClatdProcess;

std::uint64_t count(const control::Report& report, Verdict verdict) {
  return report.verdicts[static_cast<std::size_t>(verdict)];
}

TEST_F(Clatd, DropsWhatWasQueuedBeforeItWasReadyAndSaysHowMuch) {
  const auto& stale = vector_named("A1_version_6_and_flow_label_0");
  const auto& fresh = vector_named("G1_ihl_5_and_total_length");
  for (int i = 0; i < 3; ++i) put(stale.input);
  start();
  const auto ready = receive();
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->kind, control::Kind::ready);
  EXPECT_EQ(ready->version, control::kVersion);
  EXPECT_EQ(ready->drained, 3U);
  put(fresh.input);
  const auto first = take();
  ASSERT_GT(first.size(), sizeof(VnetHeader));
  EXPECT_EQ(first[sizeof(VnetHeader)] >> 4, 4) << "a stale packet was replayed";
}

// Whether the child, as started by usual(), is set as the vector asks.
bool is_usual(const test::Clat& clat) {
  const auto usual = test::neutral().clat();
  return clat.prefix == usual.prefix && clat.v6 == usual.v6 && clat.v4 == usual.v4 && clat.mtus == usual.mtus &&
         clat.ranges.empty() && !clat.allow_private_ipv4 && clat.may_answer;
}

TEST_F(Clatd, TranslatesEveryVectorOfItsConfiguration) {
  start_and_wait_until_ready(usual() + Words{"--icmp-rate", "1000000"});
  control::Report expected;
  std::uint64_t sent = 0;
  const auto send = [&](const test::Vector& v) {
    put(v.input, v.vnet);
    ++sent;
    ++expected.verdicts[static_cast<std::size_t>(v.verdict)];
    if (!v.is_translated()) {
      expected.answers += v.expected.size();
      return;
    }
    auto& flow = v.direction == test::Direction::to_ipv6 ? expected.to_ipv6 : expected.to_ipv4;
    ++flow.packets;
    flow.bytes += v.input.size();
  };
  for (const auto& v : test::vectors()) {
    if (!is_usual(v.clat)) continue;
    send(v);
    for (std::size_t index = 0; index < v.expected.size(); ++index) {
      const auto got = take();
      ASSERT_GT(got.size(), sizeof(VnetHeader)) << test::test_name(v);
      VnetHeader vnet;
      std::memcpy(&vnet, got.data(), sizeof vnet);
      EXPECT_EQ(vnet, v.expected_vnet) << test::test_name(v);
      EXPECT_EQ(test::mismatch(v, std::span(got).subspan(sizeof vnet), index), "") << test::test_name(v);
    }
  }
  // A last packet whose coming out says that all before it were looked at.
  const auto& last = vector_named("A1_version_6_and_flow_label_0");
  send(last);
  ASSERT_EQ(take().size(), sizeof(VnetHeader) + last.expected.at(0).size());
  const auto report = ask({.cookie = 0x1122334455667788});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, control::Kind::report);
  EXPECT_EQ(report->cookie, 0x1122334455667788U);
  EXPECT_GT(sent, 100U);
  EXPECT_EQ(report->to_ipv6.packets, expected.to_ipv6.packets);
  EXPECT_EQ(report->to_ipv6.bytes, expected.to_ipv6.bytes);
  EXPECT_EQ(report->to_ipv4.packets, expected.to_ipv4.packets);
  EXPECT_EQ(report->to_ipv4.bytes, expected.to_ipv4.bytes);
  EXPECT_EQ(report->verdicts, expected.verdicts);
  EXPECT_EQ(report->answers, expected.answers);
  EXPECT_EQ(report->answers_limited, 0U);
  EXPECT_EQ(report->write_errors, 0U);
}

TEST_F(Clatd, CountsAPacketWithoutVnetHeaderAsTruncated) {
  start_and_wait_until_ready();
  ASSERT_EQ(write(tun_.get(), "tiny", 4), 4);
  const auto report = ask_until([](const auto& r) { return count(r, Verdict::truncated) != 0; });
  EXPECT_EQ(count(report, Verdict::truncated), 1U);
}

TEST_F(Clatd, AnswersWhileTheTunIsFlooded) {
  start_and_wait_until_ready();
  bool answered = false;
  for (int round = 0; round < 100'000 && !answered; ++round) {
    flood(vector_named("L9_to_224_0_0_251").input);
    if (round == 3) tell(control::Request{.cookie = 7});
    control::Report report;
    answered = recv(control_.get(), &report, sizeof report, MSG_DONTWAIT) == sizeof report && report.cookie == 7;
  }
  EXPECT_TRUE(answered);
}

// Nobody takes the answers, so the stand-in fills up; clatd must drop rather than wait or stop.
TEST_F(Clatd, SurvivesATunWithoutRoom) {
  start_and_wait_until_ready();
  const auto report = ask_until([this](const auto& r) {
    flood(vector_named("G4_result_1480").input);
    return r.write_errors != 0;
  });
  EXPECT_GT(report.write_errors, 0U) << output();
}

Bytes full_packet() {
  auto header = test::out4(test::neutral());
  header.df = true;
  return test::packet(header, test::udp(test::counting(1400 - 28)));
}

TEST_F(Clatd, KeepsToTheMtuOfItsArguments) {
  start_and_wait_until_ready(usual() + Words{"--mtu", "1419"});
  put(full_packet());
  const auto answer = take();
  ASSERT_GT(answer.size(), sizeof(VnetHeader) + 28);
  const auto* ip = answer.data() + sizeof(VnetHeader);
  EXPECT_EQ(ip[20], 3);
  EXPECT_EQ(ip[21], 4);
  EXPECT_EQ(ip[26] << 8 | ip[27], 1399);
}

TEST_F(Clatd, FollowsItsUplinksMtuAtOnce) {
  start_and_wait_until_ready(usual() + Words{"--mtu", "1420"});
  put(full_packet());
  ASSERT_EQ(take().size(), sizeof(VnetHeader) + 1420);
  const auto told = ask({.kind = control::Kind::mtus, .cookie = 9, .mtu = 1419, .lowest_ipv6_mtu = 1280});
  ASSERT_TRUE(told);
  EXPECT_EQ(told->kind, control::Kind::report);
  EXPECT_EQ(told->cookie, 9U);
  put(full_packet());
  EXPECT_LT(take().size(), 1400U) << "not an ICMP error";
  ASSERT_TRUE(ask({.kind = control::Kind::mtus, .mtu = 1420, .lowest_ipv6_mtu = 1280}));
  put(full_packet());
  EXPECT_EQ(take().size(), sizeof(VnetHeader) + 1420);
}

TEST_F(Clatd, FragmentsToTheLowestMtu) {
  start_and_wait_until_ready(usual() + Words{"--lowest-ipv6-mtu", "1280"});
  put(test::packet(test::out4(test::neutral()), test::udp(test::counting(1400))));
  const std::size_t header = sizeof(VnetHeader) + 40 + 8;
  EXPECT_EQ(take().size(), header + 1232);
  EXPECT_EQ(take().size(), header + 8 + 1400 - 1232);
}

TEST_F(Clatd, RefusesAnMtuThatIpv6CannotHave) {
  start_and_wait_until_ready();
  tell(control::Request{.kind = control::Kind::mtus, .mtu = 1279, .lowest_ipv6_mtu = 1280});
  EXPECT_EQ(finish(), 71);
  EXPECT_EQ(output(), "clatd: control socket: an MTU that IPv6 cannot have\n");
}

Bytes expiring() {
  auto header = test::out4(test::neutral());
  header.ttl = 1;
  return test::packet(header, test::udp(test::counting(9)));
}

TEST_F(Clatd, AnswersWithIcmpErrorsAtTheRateOfItsArguments) {
  start_and_wait_until_ready(usual() + Words{"--icmp-rate", "2"});
  constexpr std::uint64_t kSent = 40;
  for (std::uint64_t n = 0; n < kSent; ++n) put(expiring());
  const auto report = ask_until([](const auto& r) { return count(r, Verdict::hop_limit_exceeded) == kSent; });
  EXPECT_GE(report.answers, 2U);
  EXPECT_GE(report.answers_limited, 1U);
  EXPECT_EQ(report.answers + report.answers_limited, kSent);
  for (std::uint64_t n = 0; n < report.answers; ++n) EXPECT_EQ(take().at(sizeof(VnetHeader) + 20), 11);
}

TEST_F(Clatd, AnswersNobodyAtRateZero) {
  start_and_wait_until_ready(usual() + Words{"--icmp-rate", "0"});
  put(expiring());
  const auto report = ask_until([](const auto& r) { return count(r, Verdict::hop_limit_exceeded) != 0; });
  EXPECT_EQ(report.answers, 0U);
  EXPECT_EQ(report.answers_limited, 1U);
}

TEST_F(Clatd, TranslatesRangesAndPrivateAddressesWhenTold) {
  const auto& scene = test::neutral();
  start_and_wait_until_ready(usual() + Words{"--map", "192.168.1.0/24=2001:db8:1:c1a7::/96", "--allow-private-ipv4"});
  put(test::packet(test::Ip4{.source = "192.168.1.9", .destination = "10.1.2.3"}, test::udp(test::counting(9))));
  const auto out = take();
  ASSERT_EQ(out.size(), sizeof(VnetHeader) + 40 + 8 + 9);
  const auto source = test::address6("2001:db8:1:c1a7::c0a8:109"),
             destination = test::address6(scene.prefix + "a01:203");
  EXPECT_TRUE(std::equal(source.begin(), source.end(), out.begin() + sizeof(VnetHeader) + 8));
  EXPECT_TRUE(std::equal(destination.begin(), destination.end(), out.begin() + sizeof(VnetHeader) + 24));
}

TEST_F(Clatd, NamesWhatItDropsForItsMissingChecksum) {
  start_and_wait_until_ready();
  const auto& vector = vector_named("B8_first_fragment_of_udp_without_checksum");
  for (int n = 0; n < 9; ++n) put(vector.input);
  ask_until([](const auto& r) { return count(r, Verdict::udp_zero_checksum) == 9; });
  const auto first = line();
  EXPECT_TRUE(first.starts_with("clatd: dropped, udp-zero-checksum: ")) << first;
  EXPECT_NE(first.find(test::neutral().v4 + ":40000"), std::string::npos) << first;
  signal(SIGTERM);
  const auto rest = output();
  EXPECT_LT(std::ranges::count(rest, '\n'), 8) << rest;
}

TEST_F(Clatd, ExitsWhenTheSupervisorIsGone) {
  start_and_wait_until_ready();
  control_.reset();
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(Clatd, ExitsOnSigterm) {
  start_and_wait_until_ready();
  signal(SIGTERM);
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "");
}

TEST_F(Clatd, LeavesTheTerminalsSignalsToItsSupervisor) {
  start_and_wait_until_ready();
  for (const int number : {SIGINT, SIGHUP, SIGQUIT}) signal(number);
  EXPECT_TRUE(ask());
}

TEST_F(Clatd, SaysThatTheTunIsGone) {
  start_and_wait_until_ready();
  tun_.reset();
  EXPECT_EQ(finish(), 71);
  EXPECT_TRUE(output().starts_with("clatd: the tun device is gone"));
}

struct Lie {
  const char* name;
  control::Request request;
  std::size_t size = sizeof(control::Request);
};
class ClatdRefuses : public ClatdProcess, public testing::WithParamInterface<Lie> {};

TEST_P(ClatdRefuses, InOneLineAndEnds) {
  start_and_wait_until_ready();
  std::array<std::byte, 2 * sizeof(control::Request)> message{};
  std::memcpy(message.data(), &GetParam().request, sizeof(control::Request));
  ASSERT_EQ(::send(control_.get(), message.data(), GetParam().size, 0), static_cast<ssize_t>(GetParam().size));
  EXPECT_EQ(finish(), 71);
  EXPECT_EQ(output(), "clatd: control socket: not a request of this version\n");
}

INSTANTIATE_TEST_SUITE_P(Table, ClatdRefuses,
                         testing::Values(Lie{"another_version", {.version = control::kVersion + 1}},
                                         Lie{"a_report", {.kind = control::Kind::report}},
                                         Lie{"a_ready", {.kind = control::Kind::ready}},
                                         Lie{"no_such_kind", {.kind = static_cast<control::Kind>(99)}},
                                         Lie{"too_short", {}, sizeof(control::Request) - 1},
                                         Lie{"too_long", {}, sizeof(control::Request) + 1}),
                         [](const auto& lie) { return lie.param.name; });

TEST_F(Clatd, SaysWhatIsWrongWithItsArguments) {
  start({"clatd-test", "-i", "test", "-4", "192.0.0"});
  EXPECT_EQ(finish(), 64);
  EXPECT_EQ(output(), "clatd: -4: not an IPv4 address\n");
}

TEST_F(Clatd, SaysThatADescriptorIsNotOpen) {
  start(usual() + Words{"--queues", "2"});
  EXPECT_EQ(finish(), 71);
  EXPECT_EQ(output(), "clatd: file descriptor 5: Bad file descriptor\n");
}

TEST_F(Clatd, HelpsAndTellsItsVersion) {
  start({"clatd", "--version"});
  EXPECT_EQ(finish(), 0);
  EXPECT_EQ(output(), "clatd " CLATVISOR_VERSION "\n");
}

}  // namespace
}  // namespace clat::clatd
