#include "config/scalar.hpp"

#include <gtest/gtest.h>

namespace clat::config {
namespace {

using namespace std::chrono_literals;

template <class T>
std::string outcome(const Result<T>& result) {
  return result ? "ok" : result.error().what;
}

TEST(Duration, CarriesItsUnit) {
  struct {
    std::string_view text;
    milliseconds value;
  } const rows[] = {{"1ms", 1ms}, {"250ms", 250ms}, {"5s", 5s}, {"90s", 90s}, {"2m", 2min}, {"24h", 24h}};
  for (const auto& row : rows) {
    const auto result = duration(row.text, 1ms, 24h);
    ASSERT_TRUE(result) << row.text;
    EXPECT_EQ(*result, row.value) << row.text;
  }
}

TEST(Duration, RefusesEverythingElse) {
  struct {
    std::string_view text, reason;
  } const rows[] = {
      {"5", "'5' needs a unit: ms, s, m or h, like 10ms"},
      {"0", "'0' needs a unit: ms, s, m or h, like 10ms"},
      {"s", "'s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"5 s", "'5 s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"5S", "'5S' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"5d", "'5d' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"5sec", "'5sec' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"1.5s", "'1.5s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"1m30s", "'1m30s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"-5s", "'-5s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"+5s", "'+5s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"1e3ms", "'1e3ms' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"0x5s", "'0x5s' is not a whole number and one of ms, s, m, h, like 500ms"},
      {"05s", "'05s': write it without leading zeros"},
      {"0s", "'0s' is not from 10ms to 1h"},
      {"9ms", "'9ms' is not from 10ms to 1h"},
      {"3601s", "'3601s' is not from 10ms to 1h"},
      {"9223372036854775807h", "'9223372036854775807h' is not from 10ms to 1h"},
      {"99999999999999999999s", "'99999999999999999999s' is not from 10ms to 1h"},
  };
  for (const auto& row : rows) EXPECT_EQ(outcome(duration(row.text, 10ms, 1h)), row.reason);
}

TEST(Duration, IsWrittenInTheLargestWholeUnit) {
  EXPECT_EQ(text_of(0ms), "0s");
  EXPECT_EQ(text_of(1500ms), "1500ms");
  EXPECT_EQ(text_of(90s), "90s");
  EXPECT_EQ(text_of(120s), "2m");
  EXPECT_EQ(text_of(24h), "24h");
}

TEST(WholeNumber, DecimalDigitsWithinBounds) {
  EXPECT_EQ(whole_number("1280", 1280, 65535), 1280U);
  EXPECT_EQ(whole_number("65535", 1280, 65535), 65535U);
  EXPECT_EQ(whole_number("0", 0, 4'294'967'295), 0U);
  EXPECT_EQ(whole_number("4294967295", 0, 4'294'967'295), 4'294'967'295U);
  for (const std::string_view text : {"1279", "65536", "4294967296", "99999999999999999999999999", "", "-1", "+1500",
                                      "1e3", "1500.0", "1_500", "0x600", "1500 ", "~", "yes", "0o3000"}) {
    EXPECT_EQ(outcome(whole_number(text, 1280, 65535, "auto")),
              in_quotes(text) + " is not auto or a whole number from 1280 to 65535");
  }
  EXPECT_EQ(outcome(whole_number("02600", 1280, 65535)), "'02600': write it without leading zeros");
}

TEST(HexOrDecimal, ThirtyTwoBits) {
  EXPECT_EQ(hex_or_decimal("0"), 0U);
  EXPECT_EQ(hex_or_decimal("0x0"), 0U);
  EXPECT_EQ(hex_or_decimal("0xFFFFFFFF"), 0xffffffffU);
  EXPECT_EQ(hex_or_decimal("0X10"), 16U);
  EXPECT_EQ(hex_or_decimal("4294967295"), 0xffffffffU);
  EXPECT_EQ(outcome(hex_or_decimal("0x")), "'0x' is not a hexadecimal number");
  EXPECT_EQ(outcome(hex_or_decimal("0x-1")), "'0x-1' is not a hexadecimal number");
  EXPECT_EQ(outcome(hex_or_decimal("0x100000000")), "'0x100000000' does not fit 32 bits");
  EXPECT_EQ(outcome(hex_or_decimal("ff")), "'ff' is not a whole number from 0 to 4294967295, or hexadecimal like 0x10");
}

TEST(Decimal, DigitsAndAPoint) {
  EXPECT_EQ(decimal("0.2", 0, 1), 0.2);
  EXPECT_EQ(decimal("1", 0, 1), 1.0);
  EXPECT_EQ(decimal("0", 0, 1), 0.0);
  for (const std::string_view text : {"1.1", "-0.1", "1e-1", "inf", "nan", ".5", "1.", "0,5", "", "20%", "0x1"}) {
    EXPECT_EQ(outcome(decimal(text, 0, 1)), in_quotes(text) + " is not a number from 0 to 1");
  }
}

TEST(Rate, PerSecond) {
  EXPECT_EQ(rate_per_second("100/s", 1000), 100U);
  EXPECT_EQ(outcome(rate_per_second("100", 1000)), "'100' needs a unit: write '100/s'");
  EXPECT_EQ(outcome(rate_per_second("100/m", 1000)), "'100/m' is not a rate per second, like 100/s");
  EXPECT_EQ(outcome(rate_per_second("/s", 1000)), "'/s' is not a rate per second, like 100/s");
  EXPECT_EQ(outcome(rate_per_second("010/s", 1000)), "'010/s': write it without leading zeros");
  EXPECT_EQ(outcome(rate_per_second("0/s", 1000)), "'0/s' is not from 1/s to 1000/s");
  EXPECT_EQ(outcome(rate_per_second("99999999999/s", 1000)), "'99999999999/s' is not from 1/s to 1000/s");
}

TEST(Path, IsAbsoluteAndPrintable) {
  EXPECT_EQ(absolute_path("/run/clatvisor"), "/run/clatvisor");
  EXPECT_EQ(outcome(absolute_path("run/clatvisor")), "'run/clatvisor' is not an absolute path");
  EXPECT_EQ(outcome(absolute_path(std::string_view("/a\0b", 4))), "'/a?b' holds control characters");
  EXPECT_EQ(outcome(absolute_path("/" + std::string(4095, 'x'))), "a path is at most 4095 bytes long");
}

}  // namespace
}  // namespace clat::config
