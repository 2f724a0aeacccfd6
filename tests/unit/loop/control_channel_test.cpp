#include "supervisor/loop/control_channel.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace clat::loop {
namespace {

using control::Kind;
using control::Report;
using control::Request;

std::span<const std::byte> bytes(const Report& report) { return std::as_bytes(std::span(&report, 1)); }

TEST(DecodeReport, TakesReadyAndReport) {
  for (const Kind kind : {Kind::ready, Kind::report}) {
    Report report;
    report.kind = kind;
    report.drained = 7;
    const auto decoded = decode_report(bytes(report));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->kind, kind);
    EXPECT_EQ(decoded->drained, 7U);
  }
}

TEST(DecodeReport, RefusesEveryOtherSize) {
  const std::vector<std::byte> buffer(sizeof(Report) * 2);
  for (std::size_t size = 0; size < buffer.size(); ++size) {
    const auto decoded = decode_report(std::span(buffer).first(size));
    ASSERT_FALSE(decoded) << size;
    const auto expected = size == sizeof(Report) ? "control message of version 0 instead of 2"
                                                 : "control message of " + std::to_string(size) + " bytes instead of " +
                                                       std::to_string(sizeof(Report));
    EXPECT_EQ(decoded.error().text(), expected);
  }
}

TEST(DecodeReport, RefusesOtherVersionsAndKinds) {
  Report report;
  report.version = 3;
  EXPECT_EQ(decode_report(bytes(report)).error().text(), "control message of version 3 instead of 2");
  report.version = 2;
  for (const std::uint32_t kind : {0U, 2U, 4U, 0xffffffffU}) {
    std::memcpy(&report.kind, &kind, sizeof kind);
    const auto decoded = decode_report(bytes(report));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().text(), "control message of kind " + std::to_string(kind));
  }
}

class Channel : public ::testing::Test {
 protected:
  Channel() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    channel_ = ControlChannel(Fd(ends[0]));
    child_ = Fd(ends[1]);
  }

  void send(Kind kind, std::uint64_t cookie = 0) const {
    Report report;
    report.kind = kind;
    report.cookie = cookie;
    ASSERT_EQ(::send(child_.get(), &report, sizeof report, 0), static_cast<ssize_t>(sizeof report));
  }
  [[nodiscard]] std::uint64_t received_cookie() const {
    Request request;
    EXPECT_EQ(::recv(child_.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
    return request.cookie;
  }
  bool read() {
    return channel_.read({
        .ready = [this](const Report&) { heard_.emplace_back("ready"); },
        .answer = [this](const Report* report) { heard_.emplace_back(report == nullptr ? "none" : "report"); },
        .violation = [this](const Error& error) { heard_.push_back(error.text()); },
    });
  }

  using Heard = std::vector<std::string>;
  ControlChannel channel_;
  Fd child_;
  Heard heard_;
};

TEST_F(Channel, TellsReadyAndAnswers) {
  send(Kind::ready);
  EXPECT_TRUE(read());
  ASSERT_TRUE(channel_.request());
  EXPECT_TRUE(channel_.waiting());
  send(Kind::report, received_cookie());
  EXPECT_TRUE(read());
  EXPECT_FALSE(channel_.waiting());
  EXPECT_EQ(heard_, (Heard{"ready", "report"}));
}

TEST_F(Channel, AsksOnceUntilAnswered) {
  ASSERT_TRUE(channel_.request());
  ASSERT_TRUE(channel_.request());
  const auto cookie = received_cookie();
  EXPECT_EQ(::recv(child_.get(), nullptr, 0, 0), -1);
  send(Kind::report, cookie);
  EXPECT_TRUE(read());
  ASSERT_TRUE(channel_.request());
  EXPECT_NE(received_cookie(), cookie);
}

TEST_F(Channel, TellsMtusAlsoWhileAnAnswerIsDue) {
  ASSERT_TRUE(channel_.request());
  ASSERT_TRUE(channel_.tell_mtus(1400, 1280));
  const auto cookie = received_cookie();
  Request request;
  ASSERT_EQ(::recv(child_.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
  EXPECT_EQ(request.kind, Kind::mtus);
  EXPECT_EQ(request.mtu, 1400U);
  EXPECT_EQ(request.lowest_ipv6_mtu, 1280U);
  send(Kind::report, cookie);
  EXPECT_TRUE(read());
  EXPECT_TRUE(channel_.waiting());
  send(Kind::report, request.cookie);
  EXPECT_TRUE(read());
  EXPECT_FALSE(channel_.waiting());
  EXPECT_EQ(heard_, (Heard{"report", "report"}));
}

TEST_F(Channel, TakesAnAnswerThatSkipsOneButNoneTwice) {
  ASSERT_TRUE(channel_.tell_mtus(1400, 1280));
  ASSERT_TRUE(channel_.tell_mtus(1500, 1280));
  static_cast<void>(received_cookie());
  const auto second = received_cookie();
  send(Kind::report, second);
  EXPECT_TRUE(read());
  EXPECT_FALSE(channel_.waiting());
  send(Kind::report, second - 1);
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_, (Heard{"report", "a report that nobody asked for"}));
}

TEST_F(Channel, ClosesOnASecondReady) {
  send(Kind::ready);
  send(Kind::ready);
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_, (Heard{"ready", "ready for the second time"}));
}

TEST_F(Channel, ClosesOnAReportThatNobodyAskedFor) {
  send(Kind::report, 0);
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_, (Heard{"a report that nobody asked for"}));
}

TEST_F(Channel, ClosesOnAWrongCookieAndGivesUpTheAnswer) {
  ASSERT_TRUE(channel_.request());
  send(Kind::report, received_cookie() + 1);
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_, (Heard{"a report that nobody asked for", "none"}));
  EXPECT_FALSE(channel_.waiting());
  EXPECT_EQ(channel_.request().error().code, EPIPE);
}

TEST_F(Channel, ReadsNothingAfterAViolation) {
  ASSERT_EQ(::send(child_.get(), "x", 1, 0), 1);
  send(Kind::ready);
  EXPECT_FALSE(read());
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_.size(), 1U);
}

TEST_F(Channel, GivesUpTheAnswerWhenTheChildCloses) {
  ASSERT_TRUE(channel_.request());
  child_.reset();  // with the request unread: ECONNRESET comes first
  EXPECT_FALSE(read());
  EXPECT_EQ(heard_, (Heard{"none"}));
}

TEST_F(Channel, ReadsABatchAtATime) {
  // Each is answered within the read, so that the next is one that was asked for.
  ASSERT_TRUE(channel_.request());
  for (std::uint64_t cookie = 1; cookie <= 2 * ControlChannel::kBatch; ++cookie) send(Kind::report, cookie);
  int answers = 0;
  EXPECT_TRUE(channel_.read({
      .ready = [](const Report&) {},
      .answer =
          [&](const Report*) {
            ++answers;
            static_cast<void>(channel_.request());
          },
      .violation = [](const Error& error) { ADD_FAILURE() << error.text(); },
  }));
  EXPECT_EQ(answers, ControlChannel::kBatch);
}

TEST_F(Channel, ToAChildThatDoesNotReadFillsUpWithoutWaiting) {
  std::uint64_t cookie = 0;
  Result<> asked;
  for (; cookie < 100000; ++cookie) {
    asked = channel_.request();
    if (!asked) break;
    send(Kind::report, cookie + 1);
    ASSERT_TRUE(read());
  }
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, EAGAIN);
  EXPECT_FALSE(channel_.waiting());
}

}  // namespace
}  // namespace clat::loop
