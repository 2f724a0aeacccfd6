#include "supervisor/system/netlink_message.hpp"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <limits>

#include "bytes.hpp"

namespace clat::system {
namespace {

using test::attribute;
using test::Buffer;
using test::bytes_of;
using test::message;
using test::operator+;

nlmsgerr error_header(int code, std::uint32_t request_length = sizeof(nlmsghdr)) {
  nlmsgerr error{};
  error.error = code;
  error.msg.nlmsg_len = request_length;
  return error;
}

std::optional<Acknowledgement> acknowledgement(const Buffer& datagram) {
  Bytes rest(datagram);
  const auto first = next_message(rest);
  return first ? parse_acknowledgement(*first) : std::nullopt;
}

TEST(NextMessage, WalksADatagram) {
  const Buffer datagram = message(RTM_NEWLINK, {1, 2, 3}, NLM_F_MULTI, 7) + message(NLMSG_DONE, {}, 0, 7);
  Bytes rest(datagram);
  const auto first = next_message(rest);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->type, RTM_NEWLINK);
  EXPECT_EQ(first->flags, NLM_F_MULTI);
  EXPECT_EQ(first->sequence, 7u);
  EXPECT_EQ(first->payload.size(), 3u);
  const auto second = next_message(rest);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->type, NLMSG_DONE);
  EXPECT_FALSE(next_message(rest));
}

TEST(NextMessage, StopsAtALengthThatLies) {
  for (const std::uint32_t length : {0u, 15u, 1000u, std::numeric_limits<std::uint32_t>::max()}) {
    Buffer datagram = message(RTM_NEWLINK, {1, 2, 3, 4}) + message(NLMSG_DONE, {});
    std::memcpy(datagram.data(), &length, sizeof length);
    Bytes rest(datagram);
    EXPECT_FALSE(next_message(rest)) << length;
    EXPECT_TRUE(rest.empty()) << length;
  }
}

TEST(NextAttribute, StopsAtALengthThatLies) {
  for (const std::uint16_t length : {0, 3, 9, 0xffff}) {
    Buffer attributes = attribute(1, {1, 2, 3, 4});
    std::memcpy(attributes.data(), &length, sizeof length);
    Bytes rest(attributes);
    EXPECT_FALSE(next_attribute(rest)) << length;
    EXPECT_TRUE(rest.empty()) << length;
  }
}

TEST(NextAttribute, MasksTheFlagsOfTheType) {
  const Buffer attributes = attribute(5 | NLA_F_NESTED, {});
  Bytes rest(attributes);
  EXPECT_EQ(next_attribute(rest)->type, 5);
}

TEST(FindAttribute, TakesTheLastOfAType) {
  const Buffer attributes = attribute(1, {1}) + attribute(2, {9}) + attribute(1, {2});
  EXPECT_EQ(find_as<std::uint8_t>(attributes, 1), 2);
  EXPECT_FALSE(find_attribute(attributes, 3));
}

TEST(FindAttribute, TooShortForItsTypeIsNothing) {
  const Buffer attributes = attribute(1, {1, 2, 3});
  EXPECT_FALSE(find_as<std::uint32_t>(attributes, 1));
}

TEST(ReadText, EndsAtTheNulOrTheEnd) {
  const Buffer with_nul{'a', 'b', 0, 'c'};
  const Buffer without{'a', 'b', 'c'};
  EXPECT_EQ(read_text(with_nul, 15), "ab");
  EXPECT_EQ(read_text(without, 3), "abc");
  EXPECT_FALSE(read_text(without, 2));
}

TEST(Acknowledgement, OfSuccess) {
  const auto ack = acknowledgement(message(NLMSG_ERROR, bytes_of(error_header(0)), NLM_F_CAPPED));
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->code, 0);
}

TEST(Acknowledgement, CarriesErrnoAndText) {
  const Buffer text = attribute(NLMSGERR_ATTR_MSG, bytes_of("Invalid metric"));
  const auto capped =
      acknowledgement(message(NLMSG_ERROR, bytes_of(error_header(-EINVAL, 400)) + text, NLM_F_CAPPED | NLM_F_ACK_TLVS));
  ASSERT_TRUE(capped);
  EXPECT_EQ(capped->code, EINVAL);
  EXPECT_EQ(capped->text, "Invalid metric");

  const Buffer echoed(8, 0xff);
  const auto whole = acknowledgement(
      message(NLMSG_ERROR, bytes_of(error_header(-EINVAL, sizeof(nlmsghdr) + 8)) + echoed + text, NLM_F_ACK_TLVS));
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->text, "Invalid metric");
}

TEST(Acknowledgement, ALyingRequestLengthLosesOnlyTheText) {
  for (const std::uint32_t length : {0u, 5u, 4000u, std::numeric_limits<std::uint32_t>::max()}) {
    const Buffer text = attribute(NLMSGERR_ATTR_MSG, bytes_of("x"));
    const auto ack =
        acknowledgement(message(NLMSG_ERROR, bytes_of(error_header(-EPERM, length)) + text, NLM_F_ACK_TLVS));
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->code, EPERM);
  }
}

TEST(Acknowledgement, NeverTakesGarbageForSuccess) {
  EXPECT_EQ(acknowledgement(message(NLMSG_ERROR, {0, 0}))->code, EPROTO);
  EXPECT_EQ(acknowledgement(message(NLMSG_ERROR, bytes_of(std::numeric_limits<int>::min())))->code, EPROTO);
  EXPECT_EQ(acknowledgement(message(NLMSG_ERROR, bytes_of(17)))->code, 17);
}

TEST(Acknowledgement, TheEndOfADumpMayBeAnError) {
  EXPECT_EQ(acknowledgement(message(NLMSG_DONE, bytes_of(-EINVAL)))->code, EINVAL);
  EXPECT_EQ(acknowledgement(message(NLMSG_DONE, bytes_of(0)))->code, 0);
  EXPECT_FALSE(acknowledgement(message(RTM_NEWLINK, bytes_of(0))));
}

}  // namespace
}  // namespace clat::system
