#include "config/text.hpp"

#include <gtest/gtest.h>

namespace clat::config {
namespace {

TEST(Text, DecodesShortestFormUtf8Only) {
  struct {
    std::string_view text;
    char32_t code;
    std::size_t bytes;
    bool valid;
  } const rows[] = {
      {"a", 'a', 1, true},
      {"\xc3\xa4", 0xe4, 2, true},
      {"\xe2\x82\xac", 0x20ac, 3, true},
      {"\xf0\x9f\x8c\x8d", 0x1f30d, 4, true},
      {"\xc3", 0xc3, 1, false},              // cut off
      {"\xc3(", 0xc3, 1, false},             // no continuation
      {"\x80", 0x80, 1, false},              // a continuation alone
      {"\xc0\xaf", 0xc0, 1, false},          // overlong
      {"\xe0\x80\xaf", 0xe0, 1, false},      //
      {"\xed\xa0\x80", 0xed, 1, false},      // a surrogate
      {"\xf4\x90\x80\x80", 0xf4, 1, false},  // above U+10FFFF
      {"\xff", 0xff, 1, false},
  };
  for (const auto& row : rows) {
    const auto character = decode_utf8(row.text);
    EXPECT_EQ(character.code, row.code) << row.text;
    EXPECT_EQ(character.bytes, row.bytes) << row.text;
    EXPECT_EQ(character.valid, row.valid) << row.text;
  }
}

TEST(Text, QuotedIsHarmlessAndShort) {
  EXPECT_EQ(in_quotes("wan0"), "'wan0'");
  EXPECT_EQ(in_quotes(""), "''");
  EXPECT_EQ(in_quotes(std::string_view("a\0b\n\x1b[31m", 9)), "'a?b??[31m'");
  EXPECT_EQ(in_quotes("caf\xc3\xa9 \xff"), "'caf\xc3\xa9 ?'");
  EXPECT_EQ(in_quotes("a\xe2\x80\xae"
                      "b"),
            "'a?b'");  // right-to-left override
  EXPECT_EQ(in_quotes("\xc2\x9b"
                      "1m"),
            "'?1m'");  // C1 control sequence introducer
  EXPECT_EQ(in_quotes(std::string(48, 'x')), "'" + std::string(48, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(49, 'x')), "'" + std::string(48, 'x') + "...'");
}

TEST(Text, ExcerptKeepsOneColumnPerCharacter) {
  const auto [line, caret] = excerpt("\ta:\xc3\xa4\xff\x07 b", 7);
  EXPECT_EQ(line, " a:\xc3\xa4?? b");
  EXPECT_EQ(caret, 6U);
}

TEST(Text, ExcerptIsClippedAroundThePlace) {
  const std::string line = std::string(200, 'a') + "X" + std::string(200, 'b');
  struct {
    unsigned column;
    std::string text;
    unsigned caret;
  } const rows[] = {
      {1, std::string(117, 'a') + "...", 0},
      {201, "..." + std::string(57, 'a') + "X" + std::string(56, 'b') + "...", 60},
      {401, "..." + std::string(117, 'b'), 119},
      {402, "..." + std::string(117, 'b'), 120},  // just behind the end
      {9999, "..." + std::string(117, 'b'), 120},
  };
  for (const auto& row : rows) {
    const auto [text, caret] = excerpt(line, row.column);
    EXPECT_EQ(text, row.text) << row.column;
    EXPECT_EQ(caret, row.caret) << row.column;
  }
  EXPECT_EQ(excerpt(std::string(120, 'a'), 120).line, std::string(120, 'a'));
}

TEST(Text, LinesEndWithLfCrOrBoth) {
  constexpr std::string_view kText = "one\ntwo\r\nthree\rfour";
  EXPECT_EQ(line_of(kText, 1), "one");
  EXPECT_EQ(line_of(kText, 2), "two");
  EXPECT_EQ(line_of(kText, 3), "three");
  EXPECT_EQ(line_of(kText, 4), "four");
  EXPECT_EQ(line_of(kText, 5), "");
  EXPECT_EQ(line_of("", 1), "");
}

}  // namespace
}  // namespace clat::config
