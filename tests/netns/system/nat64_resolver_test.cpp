// Nat64Resolver against DNS servers, honest ones and others, in a namespace beyond two uplinks.
#include "supervisor/sources/nat64_resolver.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/fd.hpp"
#include "namespace_fixture.hpp"
#include "tests/support/dns.hpp"

namespace clat::sources {
namespace {

using clat::test::aaaa;
using clat::test::Bytes;
using clat::test::cname;
using clat::test::dns_name;
using clat::test::DnsReply;
using clat::test::soa;
using model::Nat64Answer;
using model::Nat64Question;
using std::chrono::seconds;
using std::chrono::steady_clock;
using system::test::await_link_state;
using system::test::ok;
using system::test::run;

using Replies = std::vector<Bytes>;

constexpr std::uint16_t kDns = 53;

Ipv6Address v6(std::string_view text) { return Ipv6Address::parse(text).value(); }
Nat64Prefix prefix(std::string_view text) { return Nat64Prefix::parse(text).value(); }

Fd bound_socket(int type, std::uint16_t port) {
  Fd fd(::socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

// Over UDP, in the namespace in which it is made.
class Server {
 public:
  // What is sent back, in this order; `id` is the question's.
  using Script = std::function<Replies(unsigned id)>;
  struct Asked {
    Ipv6Address from, to;
    std::uint16_t port = 0;
    bool operator==(const Asked&) const = default;
  };

  explicit Server(loop::Loop& loop) : socket_(bound_socket(SOCK_DGRAM, kDns)), other_(bound_socket(SOCK_DGRAM, 5353)) {
    const int on = 1;
    EXPECT_EQ(::setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), 0);
    auto watch = loop.watch(socket_.get(), [this](loop::Wake) { read(); });
    EXPECT_TRUE(ok(watch));
    if (watch) watch_ = std::move(*watch);
  }

  Script script = [](unsigned) { return Replies{}; };
  bool from_another_port = false;
  std::vector<Asked> asked;

 private:
  void read() {
    Bytes question(512);
    sockaddr_in6 from{};
    alignas(cmsghdr) std::array<char, 64> control{};
    iovec part{question.data(), question.size()};
    msghdr message{.msg_name = &from,
                   .msg_namelen = sizeof from,
                   .msg_iov = &part,
                   .msg_iovlen = 1,
                   .msg_control = control.data(),
                   .msg_controllen = control.size(),
                   .msg_flags = 0};
    const auto size = ::recvmsg(socket_.get(), &message, 0);
    if (size < 12) return;
    Asked one;
    std::copy_n(from.sin6_addr.s6_addr, 16, one.from.bytes.begin());
    one.port = ntohs(from.sin6_port);
    in6_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof info);
    std::copy_n(info.ipi6_addr.s6_addr, 16, one.to.bytes.begin());
    asked.push_back(one);
    // From the address that was asked.
    message.msg_controllen = CMSG_SPACE(sizeof info);
    for (auto& reply : script(static_cast<unsigned>(question[0] << 8 | question[1]))) {
      part = {reply.data(), reply.size()};
      EXPECT_EQ(::sendmsg((from_another_port ? other_ : socket_).get(), &message, 0),
                static_cast<ssize_t>(reply.size()));
    }
  }

  Fd socket_;
  Fd other_;
  loop::Watch watch_;
};

// Over TCP; it answers one connection's first question, in pieces.
class TcpServer {
 public:
  TcpServer(loop::Loop& loop, std::function<Bytes(unsigned id)> script)
      : loop_(loop), script_(std::move(script)), socket_(bound_socket(SOCK_STREAM, kDns)) {
    EXPECT_EQ(::listen(socket_.get(), 4), 0);
    auto watch = loop.watch(socket_.get(), [this](loop::Wake) { accept(); });
    EXPECT_TRUE(ok(watch));
    if (watch) watch_ = std::move(*watch);
  }

 private:
  void accept() {
    connection_ = Fd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    auto watch = loop_.watch(connection_.get(), [this](loop::Wake) { read(); });
    if (watch) connection_watch_ = std::move(*watch);
  }
  void read() {
    Bytes question(512);
    const auto size = ::read(connection_.get(), question.data(), question.size());
    if (size < 14) return connection_watch_.end();
    const auto reply = script_(static_cast<unsigned>(question[2] << 8 | question[3]));
    Bytes framed;
    clat::test::append_word(framed, static_cast<unsigned>(reply.size()));
    clat::test::append(framed, reply);
    EXPECT_EQ(::write(connection_.get(), framed.data(), 1), 1);
    EXPECT_EQ(::write(connection_.get(), framed.data() + 1, framed.size() - 1),
              static_cast<ssize_t>(framed.size() - 1));
  }

  loop::Loop& loop_;
  std::function<Bytes(unsigned id)> script_;
  Fd socket_;
  Fd connection_;
  loop::Watch watch_;
  loop::Watch connection_watch_;
};

Fd own_namespace() { return Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

// up0 and up1 lead to peer0 and peer1 in the servers' namespace, each with a default route for its own addresses alone.
class ResolverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::alarm(60);  // what never happens fails the test
    auto created = loop::Loop::create([](const model::Event&) {});
    ASSERT_TRUE(ok(created));
    loop_ = std::move(*created);
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << "these tests need root";
    beyond_ = own_namespace();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    here_ = own_namespace();
    auto monitor = NetlinkMonitor::open();
    ASSERT_TRUE(ok(monitor));
    const auto beyond = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(beyond_.get());
    run("ip link set lo up");
    for (const std::string n : {"0", "1"}) {
      run("ip link add up" + n + " type veth peer name peer" + n + " netns " + beyond);
      run("ip address add 2001:db8:" + n + "::1/64 dev up" + n + " nodad");
      run("ip link set up" + n + " addrgenmode none up && ip address add fe80::1/64 dev up" + n + " nodad");
    }
    enter(beyond_);
    auto monitor_beyond = NetlinkMonitor::open();
    ASSERT_TRUE(ok(monitor_beyond));
    run("ip link set lo up && ip address add 2001:db8:53::53/128 dev lo");
    for (const std::string n : {"0", "1"}) {
      run("ip link set peer" + n + " addrgenmode none up && ip address add 2001:db8:" + n + "::53/64 dev peer" + n +
          " nodad && ip address add fe80::53/64 dev peer" + n + " nodad");
    }
    server_.emplace(*loop_);
    for (const std::string n : {"0", "1"}) await_link_state(*monitor_beyond, "peer" + n, "UP");
    enter(here_);
    for (const std::string n : {"0", "1"}) await_link_state(*monitor, "up" + n, "UP");
    for (const std::string n : {"0", "1"}) {
      run("ip -6 route add default from 2001:db8:" + n + "::/64 via fe80::53 dev up" + n);
    }
    resolver_.emplace(*loop_, [this](Nat64Answer answer) {
      answers_.push_back(std::move(answer));
      if (on_answer_) on_answer_();
      if (answers_.size() >= enough_) loop_->stop();
    });
  }
  void TearDown() override { ::alarm(0); }

  static void enter(const Fd& network_namespace) { ASSERT_EQ(::setns(network_namespace.get(), CLONE_NEWNET), 0); }

  [[nodiscard]] static Nat64Question question(const std::string& n = "0",
                                              const std::vector<std::string>& servers = {"2001:db8:53::53"}) {
    Nat64Question asked{.uplink = "up" + n,
                        .ifindex = static_cast<int>(::if_nametoindex(("up" + n).c_str())),
                        .own = v6("2001:db8:" + n + "::1")};
    for (const auto& each : servers) asked.servers.push_back({v6(each)});
    return asked;
  }

  void run_until(std::size_t answers) {
    enough_ = answers;
    if (answers_.size() < enough_) loop_->run();
    EXPECT_EQ(answers_.size(), answers);
  }
  Nat64Answer ask(const Nat64Question& asked) {
    resolver_->ask(asked);
    EXPECT_TRUE(answers_.empty()) << "before a turn of the loop";
    run_until(1);
    return answers_.empty() ? Nat64Answer{} : answers_.front();
  }
  // The server sends this, whatever comes.
  Nat64Answer ask_where(const std::function<DnsReply(unsigned id)>& reply) {
    server_->script = [reply](unsigned id) { return Replies{reply(id).bytes()}; };
    return ask(question());
  }
  static std::string failure_of(const Nat64Answer& answer) { return answer.failure ? answer.failure->text() : "none"; }

  Fd beyond_, here_;
  std::unique_ptr<loop::Loop> loop_;
  std::optional<Server> server_;
  std::optional<Nat64Resolver> resolver_;
  std::vector<Nat64Answer> answers_;
  std::function<void()> on_answer_;

 private:
  std::size_t enough_ = 1;
};

Replies honest(unsigned id) {
  return {DnsReply{.id = id, .answers = {aaaa("64:ff9b::c000:aa"), aaaa("64:ff9b::c000:ab")}}.bytes()};
}

constexpr auto kTimeout = "ask the DNS for ipv4only.arpa: Timeout while contacting DNS servers";

TEST_F(ResolverTest, FindsThePrefix) {
  server_->script = honest;
  EXPECT_EQ(ask(question()), (Nat64Answer{.uplink = "up0", .prefixes = {prefix("64:ff9b::/96")}, .ttl = seconds(600)}));
}

TEST_F(ResolverTest, FindsSeveralPrefixes) {
  const auto answer = ask_where([](unsigned id) {
    return DnsReply{.id = id, .answers = {aaaa("2001:db8:64::c000:aa", 60), aaaa("2001:db8:c000:aa::", 90)}};
  });
  EXPECT_EQ(answer, (Nat64Answer{.uplink = "up0",
                                 .prefixes = {prefix("2001:db8:64::/96"), prefix("2001:db8::/32")},
                                 .ttl = seconds(60)}));
}

TEST_F(ResolverTest, NoSuchNameIsAFact) {
  const auto answer = ask_where(
      [](unsigned id) { return DnsReply{.id = id, .flags = test::kNoSuchName, .authorities = {soa(900, 3600)}}; });
  EXPECT_EQ(answer, (Nat64Answer{.uplink = "up0", .ttl = seconds(900)}));
}

TEST_F(ResolverTest, NoAddressIsAFact) {
  EXPECT_EQ(ask_where([](unsigned id) { return DnsReply{.id = id}; }),
            (Nat64Answer{.uplink = "up0", .ttl = Nat64Resolver::kShortestTtl}));
}

TEST_F(ResolverTest, TtlsHaveBounds) {
  EXPECT_EQ(ask_where([](unsigned id) { return DnsReply{.id = id, .answers = {aaaa("64:ff9b::c000:aa", 0)}}; }).ttl,
            Nat64Resolver::kShortestTtl);
  answers_.clear();
  EXPECT_EQ(
      ask_where([](unsigned id) { return DnsReply{.id = id, .answers = {aaaa("64:ff9b::c000:aa", 1'000'000)}}; }).ttl,
      Nat64Resolver::kLongestTtl);
}

// Each uplink's own: a route alone would send both one way, and without a source there is none.
TEST_F(ResolverTest, AsksOverItsUplinkFromItsAddress) {
  server_->script = honest;
  resolver_->ask(question("0"));
  resolver_->ask(question("1"));
  run_until(2);
  ASSERT_EQ(server_->asked.size(), 2U);
  EXPECT_EQ(server_->asked[0].from, v6("2001:db8:0::1"));
  EXPECT_EQ(server_->asked[1].from, v6("2001:db8:1::1"));
  EXPECT_EQ(answers_[0].prefixes, std::vector{prefix("64:ff9b::/96")});
  EXPECT_EQ(answers_[1].prefixes, std::vector{prefix("64:ff9b::/96")});
}

TEST_F(ResolverTest, TheDeviceDecidesWhereTheRoutesSayOtherwise) {
  server_->script = honest;
  run("ip -6 route add 2001:db8:53::53 via fe80::53 dev up1 && ip -6 route add 2001:db8:53::53 via fe80::53 dev up0 "
      "metric 5000");
  enter(beyond_);
  run("ip link set peer1 down");
  enter(here_);
  EXPECT_EQ(ask(question("0")).prefixes, std::vector{prefix("64:ff9b::/96")});
}

TEST_F(ResolverTest, AsksALinkLocalServerOnItsLink) {
  server_->script = honest;
  resolver_->ask(question("1", {"fe80::53"}));
  run_until(1);
  ASSERT_EQ(server_->asked.size(), 1U);
  EXPECT_EQ(server_->asked[0].from, v6("2001:db8:1::1"));
  EXPECT_EQ(server_->asked[0].to, v6("fe80::53"));
  EXPECT_EQ(answers_[0].prefixes.size(), 1U);
}

TEST_F(ResolverTest, AServerOnThisHostIsAskedUnbound) {
  server_.emplace(*loop_);  // in this namespace
  server_->script = honest;
  EXPECT_EQ(ask(question("0", {"::ffff:127.0.0.53"})).prefixes.size(), 1U);
  EXPECT_EQ(server_->asked.at(0).from, v6("::ffff:127.0.0.1"));
  answers_.clear();
  EXPECT_EQ(ask(question("0", {"::1"})).prefixes.size(), 1U);
  EXPECT_EQ(server_->asked.at(1).from, v6("::1"));
}

TEST_F(ResolverTest, EachQuestionHasAnotherIdAndPort) {
  std::set<unsigned> ids;
  std::set<unsigned> ports;
  server_->script = [&](unsigned id) {
    ids.insert(id);
    return honest(id);
  };
  constexpr std::size_t kMany = 20;
  for (std::size_t i = 0; i < kMany; ++i) {
    answers_.clear();
    ask(question());
    ports.insert(server_->asked.back().port);
  }
  EXPECT_GT(ids.size(), kMany - 3);
  EXPECT_GT(ports.size(), kMany - 3);
}

TEST_F(ResolverTest, AFailureOfTheServersSaysNothing) {
  const auto answer = ask_where([](unsigned id) { return DnsReply{.id = id, .flags = test::kServerFailure}; });
  EXPECT_EQ(failure_of(answer), "ask the DNS for ipv4only.arpa: the server reports error 2");
  EXPECT_TRUE(answer.prefixes.empty());
}

TEST_F(ResolverTest, TheNextServerIsAskedWhereOneFails) {
  server_->script = [&](unsigned id) {
    if (server_->asked.back().to == v6("2001:db8:0::53")) {
      return Replies{DnsReply{.id = id, .flags = test::kServerFailure}.bytes()};
    }
    return honest(id);
  };
  EXPECT_EQ(ask(question("0", {"2001:db8:0::53", "2001:db8:53::53"})).prefixes.size(), 1U);
  EXPECT_EQ(server_->asked.size(), 2U);
}

TEST_F(ResolverTest, ASilentServerIsAskedTwice) {
  const auto begin = steady_clock::now();
  EXPECT_EQ(failure_of(ask(question())), kTimeout);
  EXPECT_EQ(server_->asked.size(), 2U);
  EXPECT_GE(steady_clock::now() - begin, DnsQuery::kFirstPatience * 3 - std::chrono::milliseconds(100));
}

TEST_F(ResolverTest, APortWithNobodyIsSeenAtOnce) {
  server_.reset();
  const auto begin = steady_clock::now();
  EXPECT_EQ(failure_of(ask(question())), "ask the DNS for ipv4only.arpa: Could not contact DNS servers");
  EXPECT_LT(steady_clock::now() - begin, DnsQuery::kFirstPatience);
}

TEST_F(ResolverTest, AnAddressThatIsGoneIsSaid) {
  run("ip address delete 2001:db8:0::1/64 dev up0");
  EXPECT_EQ(failure_of(ask(question())),
            "ask the DNS for ipv4only.arpa: ask over up0 from 2001:db8::1: Cannot assign requested address");
}

TEST_F(ResolverTest, ALinkThatIsGoneIsSaid) {
  const auto asked = question();
  run("ip link delete up0");
  EXPECT_EQ(failure_of(ask(asked)), "ask the DNS for ipv4only.arpa: ask over up0 from 2001:db8::1: No such device");
}

TEST_F(ResolverTest, NoServerIsSaid) {
  EXPECT_EQ(failure_of(ask(question("0", {}))), "ask the DNS for ipv4only.arpa: no DNS server is known");
}

// What comes from elsewhere or is to another question is as if it had not come; the truth behind it counts.
struct Forgery {
  const char* what;
  std::function<DnsReply(unsigned id)> lie;
};
void PrintTo(const Forgery& each, std::ostream* out) { *out << each.what; }
class Forged : public ResolverTest, public ::testing::WithParamInterface<Forgery> {};
TEST_P(Forged, IsPassedOver) {
  server_->script = [](unsigned id) {
    auto replies = std::vector(100, GetParam().lie(id).bytes());
    replies.push_back(honest(id).front());
    return replies;
  };
  EXPECT_EQ(ask(question()).prefixes, std::vector{prefix("64:ff9b::/96")});
  EXPECT_EQ(server_->asked.size(), 1U);
}
const Replies kLie{aaaa("2001:db8:bad::c000:aa")};
INSTANTIATE_TEST_SUITE_P(
    All, Forged,
    ::testing::Values(
        Forgery{"wrong id", [](unsigned id) { return DnsReply{.id = id ^ 1, .answers = kLie}; }},
        Forgery{"wrong name",
                [](unsigned id) { return DnsReply{.id = id, .name = dns_name("ipv4only.example"), .answers = kLie}; }},
        Forgery{"wrong type", [](unsigned id) { return DnsReply{.id = id, .type = 1, .answers = kLie}; }}));

TEST_F(ResolverTest, WhatComesFromAnotherPortIsPassedOver) {
  server_->script = honest;
  server_->from_another_port = true;
  EXPECT_EQ(failure_of(ask(question())), kTimeout);
}

TEST_F(ResolverTest, AnEmptyDatagramDoesNoHarm) {
  server_->script = [](unsigned id) { return Replies{Bytes{}, honest(id).front()}; };
  const auto answer = ask(question());
  EXPECT_TRUE(answer.failure || answer.prefixes.size() == 1);
}

// An answer to the question that does not keep to the rules says nothing.
struct Nonsense {
  const char* what;
  std::function<DnsReply(unsigned id)> reply;
  const char* failure;
};
void PrintTo(const Nonsense& each, std::ostream* out) { *out << each.what; }
class Senseless : public ResolverTest, public ::testing::WithParamInterface<Nonsense> {};
TEST_P(Senseless, SaysNothing) {
  const auto answer = ask_where(GetParam().reply);
  EXPECT_EQ(failure_of(answer), "ask the DNS for ipv4only.arpa: " + std::string(GetParam().failure));
  EXPECT_TRUE(answer.prefixes.empty());
}
INSTANTIATE_TEST_SUITE_P(
    All, Senseless,
    ::testing::Values(
        Nonsense{"aliases in a circle",
                 [](unsigned id) {
                   return DnsReply{.id = id, .answers = {cname("ipv4only.arpa", "b.c"), cname("b.c", "ipv4only.arpa")}};
                 },
                 "the aliases in the answer do not end"},
        Nonsense{
            "records of another name",
            [](unsigned id) { return DnsReply{.id = id, .answers = {aaaa("64:ff9b::c000:aa", 600, dns_name("b.c"))}}; },
            "the answer has addresses of other names alone"},
        Nonsense{"no NAT64 behind it", [](unsigned id) { return DnsReply{.id = id, .answers = {aaaa("2001:db8::1")}}; },
                 "no NAT64 prefix is in 2001:db8::1"},
        Nonsense{"bogus positions",
                 [](unsigned id) {
                   return DnsReply{.id = id, .answers = {aaaa("fe80::c000:aa"), aaaa("::ffff:192.0.0.170")}};
                 },
                 "no NAT64 prefix is in fe80::c000:aa"}));

TEST_F(ResolverTest, AHugeAnswerIsCapped) {
  server_->script = [](unsigned id) { return Replies{DnsReply{.id = id, .flags = test::kTruncated}.bytes()}; };
  enter(beyond_);
  const TcpServer tcp(*loop_, [](unsigned id) {
    DnsReply reply{.id = id};
    for (unsigned i = 1; i <= 100; ++i) reply.answers.push_back(aaaa("2001:db8:" + std::to_string(i) + "::c000:aa"));
    return reply.bytes();
  });
  enter(here_);
  EXPECT_EQ(ask(question()).prefixes.size(), kMostDns64Prefixes);
}

TEST_F(ResolverTest, AnAnswerThatIsCutOffIsAskedForByTcp) {
  server_->script = [](unsigned id) { return Replies{DnsReply{.id = id, .flags = test::kTruncated}.bytes()}; };
  enter(beyond_);
  const TcpServer tcp(*loop_, [](unsigned id) { return honest(id).front(); });
  enter(here_);
  EXPECT_EQ(ask(question()), (Nat64Answer{.uplink = "up0", .prefixes = {prefix("64:ff9b::/96")}, .ttl = seconds(600)}));
}

TEST_F(ResolverTest, AnAnswerThatIsCutOffSaysNothingWithoutTcp) {
  const auto answer = ask_where([](unsigned id) { return DnsReply{.id = id, .flags = test::kTruncated}; });
  EXPECT_TRUE(answer.failure);
  EXPECT_TRUE(answer.prefixes.empty());
}

TEST_F(ResolverTest, CancelledAnswersNothing) {
  server_->script = honest;
  resolver_->ask(question("0"));
  resolver_->ask(question("1"));
  resolver_->cancel("up0");
  resolver_->cancel("up7");
  run_until(1);
  EXPECT_EQ(answers_.front().uplink, "up1");
}

TEST_F(ResolverTest, ANewQuestionReplacesTheOld) {
  server_->script = honest;
  resolver_->ask(question("0", {"2001:db8:0::99"}));  // where nobody is
  EXPECT_EQ(ask(question("0")).prefixes.size(), 1U);
}

TEST_F(ResolverTest, TheSinkMayAskAndCancel) {
  server_->script = honest;
  on_answer_ = [&] {
    if (answers_.size() == 1) resolver_->ask(question("0"));
    resolver_->cancel("up1");
  };
  resolver_->ask(question("0"));
  resolver_->ask(question("1", {"2001:db8:0::99"}));
  run_until(2);
  EXPECT_EQ(answers_[1].uplink, "up0");
}

TEST_F(ResolverTest, EndsWithQuestionsOpen) {
  resolver_->ask(question("0"));
  resolver_->ask(question("1"));
  resolver_.reset();
  EXPECT_TRUE(answers_.empty());
}

}  // namespace
}  // namespace clat::sources
