#include "supervisor/render/words.hpp"

#include <gtest/gtest.h>

#include "supervisor/render/json.hpp"
#include "supervisor/render/traffic.hpp"

namespace clat::render {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Words, OfTimeAreTheTwoLargestUnits) {
  EXPECT_EQ(duration_text(milliseconds(-5)), "0.0s");
  EXPECT_EQ(duration_text(milliseconds(0)), "0.0s");
  EXPECT_EQ(duration_text(milliseconds(349)), "0.3s");
  EXPECT_EQ(duration_text(seconds(1)), "1s");
  EXPECT_EQ(duration_text(seconds(61)), "1m1s");
  EXPECT_EQ(duration_text(hours(2)), "2h");
  EXPECT_EQ(duration_text(hours(2) + seconds(3)), "2h");
  EXPECT_EQ(duration_text(hours(76) + minutes(2)), "3d4h");
}

TEST(Words, OfBytes) {
  EXPECT_EQ(short_bytes(0), "0");
  EXPECT_EQ(short_bytes(999), "999");
  EXPECT_EQ(short_bytes(1000), "1.0K");
  EXPECT_EQ(short_bytes(std::uint64_t{10} * 1024), "10K");
  EXPECT_EQ(short_bytes(std::uint64_t{1300} * 1024 * 1024), "1.3G");
  EXPECT_EQ(short_bytes(~std::uint64_t{0}), "16E");
  EXPECT_EQ(bytes_text(12), "12 B");
  EXPECT_EQ(bytes_text(1536), "1.50 KiB");
}

TEST(JsonText, EscapesWhatJsonDoesNotAllow) {
  std::string out;
  append_json(out, "a\"b\\c\n\t\x01\xff\xc3\xa9");
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\t\\u0001\\ufffd\xc3\xa9\"");
}

TEST(JsonText, NumbersAreNumbers) {
  Json json;
  json.begin('{');
  json.member("a", {});
  json.member("b", true);
  json.member("c", std::uint64_t{7});
  json.member("d", milliseconds(1050));
  json.begin("e", '[');
  json.element(std::string("x"));
  json.element(std::string("y"));
  json.end(']');
  json.begin("f", '{');
  json.end('}');
  json.member("g", milliseconds(-1));
  json.end('}');
  EXPECT_EQ(std::move(json).take(), R"({"a":null,"b":true,"c":7,"d":1.050,"e":["x","y"],"f":{},"g":0.000})");
}

TEST(Counter, IsTakenApartByItsName) {
  using Kind = Parsed::Kind;
  const auto expect = [](std::string_view name, Kind kind, bool fast, bool to_ipv6, std::string_view what) {
    const auto parsed = parse_counter(name);
    EXPECT_EQ(parsed.kind, kind) << name;
    EXPECT_EQ(parsed.fast, fast) << name;
    EXPECT_EQ(parsed.to_ipv6, to_ipv6) << name;
    EXPECT_EQ(parsed.what, what) << name;
  };
  expect("fast_to_ipv6_tcp_packets", Kind::packets, true, true, "tcp");
  expect("shortcut_to_ipv4_bytes", Kind::bytes, true, false, "");
  expect("fast_to_ipv4_udp_bytes", Kind::bytes, true, false, "udp");
  expect("slow_to_ipv4_packets", Kind::packets, false, false, "");
  expect("slow_drop_private_ipv4", Kind::drop, false, false, "private_ipv4");
  expect("drop_connected", Kind::drop, true, false, "connected");
  expect("punt_to_ipv6_hop_limit", Kind::punt, true, true, "hop_limit");
  expect("slow_answers", Kind::other, false, false, "slow_answers");
  expect("from_clatd_bytes", Kind::other, false, false, "from_clatd_bytes");
  expect("", Kind::other, false, false, "");
}

}  // namespace
}  // namespace clat::render
