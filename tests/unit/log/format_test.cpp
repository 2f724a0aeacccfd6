#include "supervisor/log/format.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace clat::log {
namespace {

using clat::log::Entry;
using config::LogFormat;

using std::chrono::milliseconds;

constexpr WallTime kNewYear{std::chrono::seconds(1767225600)};  // 2026-01-01T00:00:00Z

std::string logfmt(const Entry& entry) { return format_line(LogFormat::logfmt, kNewYear, entry); }
std::string json(const Entry& entry) { return format_line(LogFormat::json, kNewYear, entry); }

TEST(Logfmt, BeginsWithTimeLevelEventAndInterface) {
  EXPECT_EQ(logfmt({Severity::info, "clat.up", "up0", {}}),
            "ts=2026-01-01T00:00:00.000Z level=info event=clat.up iface=up0");
}

TEST(Logfmt, LeavesOutTheInterfaceWhereThereIsNone) {
  EXPECT_EQ(logfmt({Severity::warn, "netlink.overrun", "", {{"lost", "1"}}}),
            "ts=2026-01-01T00:00:00.000Z level=warn event=netlink.overrun lost=1");
}

TEST(Logfmt, NamesAllLevels) {
  const std::vector<std::pair<Severity, std::string>> levels = {
      {Severity::debug, "debug"}, {Severity::info, "info"}, {Severity::warn, "warn"}, {Severity::error, "error"}};
  for (const auto& [severity, name] : levels) {
    EXPECT_EQ(logfmt({severity, "health", "", {}}), "ts=2026-01-01T00:00:00.000Z level=" + name + " event=health");
  }
}

TEST(Logfmt, RoundsTimeDownToMilliseconds) {
  const auto at = kNewYear - std::chrono::microseconds(1);
  EXPECT_EQ(format_line(LogFormat::logfmt, at, {Severity::info, "health", "", {}}),
            "ts=2025-12-31T23:59:59.999Z level=info event=health");
}

struct Escape {
  std::string description, value, logfmt, json;
};

// Names the test case.
void PrintTo(const Escape& escape, std::ostream* out) { *out << escape.description; }

class Escapes : public ::testing::TestWithParam<Escape> {};

TEST_P(Escapes, InLogfmt) {
  const std::string head = "ts=2026-01-01T00:00:00.000Z level=info event=child.output line=";
  EXPECT_EQ(logfmt({Severity::info, "child.output", "", {{"line", GetParam().value}}}), head + GetParam().logfmt);
}

TEST_P(Escapes, InJson) {
  const std::string head = R"({"ts":"2026-01-01T00:00:00.000Z","level":"info","event":"child.output","line":)";
  EXPECT_EQ(json({Severity::info, "child.output", "", {{"line", GetParam().value}}}), head + GetParam().json + "}");
}

INSTANTIATE_TEST_SUITE_P(
    Table, Escapes,
    ::testing::Values(Escape{"plain", "64:ff9b::/96", "64:ff9b::/96", R"("64:ff9b::/96")"},
                      Escape{"empty", "", R"("")", R"("")"},  //
                      Escape{"space", "no carrier", R"("no carrier")", R"("no carrier")"},
                      Escape{"equals", "a=b", R"("a=b")", R"("a=b")"},  //
                      Escape{"quote", R"(a"b)", R"("a\"b")", R"("a\"b")"},
                      Escape{"backslash alone is literal", R"(a\b)", R"(a\b)", R"("a\\b")"},
                      Escape{"backslash within quotes", R"(a \n)", R"("a \\n")", R"("a \\n")"},
                      Escape{"newline", "a\nb", R"("a\nb")", R"("a\nb")"},  //
                      Escape{"tab", "a\tb", R"("a\tb")", R"("a\tb")"},
                      Escape{"carriage return", "a\rb", R"("a\x0db")", R"("a\u000db")"},
                      Escape{"NUL", std::string("a\0b", 3), R"("a\x00b")", R"("a\u0000b")"},
                      Escape{"terminal escape", "\x1b[2J", R"("\x1b[2J")", R"("\u001b[2J")"},
                      Escape{"DEL", "\x7f", R"("\x7f")", R"("\u007f")"},  //
                      Escape{"C1 control", "\xc2\x9b", R"("\xc2\x9b")", R"("\u009b")"},
                      Escape{"two bytes of UTF-8", "\u00fc", "\u00fc", "\"\u00fc\""},
                      Escape{"three bytes of UTF-8", "\u20ac", "\u20ac", "\"\u20ac\""},
                      Escape{"four bytes of UTF-8", "\U0001f310", "\U0001f310", "\"\U0001f310\""},
                      Escape{"lone continuation byte", "a\x80", R"("a\x80")", R"("a\ufffd")"},
                      Escape{"cut short", "a\xe2\x82", R"("a\xe2\x82")", R"("a\ufffd\ufffd")"},
                      Escape{"overlong slash", "\xc0\xaf", R"("\xc0\xaf")", R"("\ufffd\ufffd")"},
                      Escape{"overlong in three bytes", "\xe0\x80\xaf", R"("\xe0\x80\xaf")", R"("\ufffd\ufffd\ufffd")"},
                      Escape{"surrogate", "\xed\xa0\x80", R"("\xed\xa0\x80")", R"("\ufffd\ufffd\ufffd")"},
                      Escape{"above U+10FFFF", "\xf4\x90\x80\x80", R"("\xf4\x90\x80\x80")",
                             R"("\ufffd\ufffd\ufffd\ufffd")"},
                      Escape{"broken byte, then text", "\xff=ok", R"("\xff=ok")", R"("\ufffd=ok")"}));

TEST(Line, HoldsNoNewlineAndNoControlWhateverTheValue) {
  std::string every_byte;
  for (int c = 0; c < 256; ++c) every_byte += static_cast<char>(c);
  const Entry entry{Severity::info, "child.output", every_byte, {{every_byte, every_byte}}};
  for (const std::string& line : {logfmt(entry), json(entry)}) {
    for (const char c : line) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << int{c};
  }
}

TEST(Line, CutsALongValueWithAMark) {
  const std::string longest(kMaxValue, 'x');
  EXPECT_EQ(logfmt({Severity::info, "health", "", {{"k", longest}}}),
            "ts=2026-01-01T00:00:00.000Z level=info event=health k=" + longest);
  EXPECT_EQ(logfmt({Severity::info, "health", "", {{"k", std::string(65536, 'x')}}}),
            "ts=2026-01-01T00:00:00.000Z level=info event=health k=" + longest + "...+64512");
}

TEST(Line, DoesNotCutWithinACharacter) {
  const std::string value = std::string(kMaxValue - 1, 'x') + "\u20ac";
  EXPECT_EQ(logfmt({Severity::info, "health", "", {{"k", value}}}),
            "ts=2026-01-01T00:00:00.000Z level=info event=health k=" + std::string(kMaxValue - 1, 'x') + "...+3");
}

TEST(Line, NeverRepeatsAKey) {
  const Entry entry{Severity::info, "health", "up0", {{"level", "1"}, {"pid", "2"}, {"pid", "3"}, {"iface", "4"}}};
  EXPECT_EQ(logfmt(entry),
            "ts=2026-01-01T00:00:00.000Z level=info event=health iface=up0 level_=1 pid=2 pid_=3 iface_=4");
  EXPECT_EQ(json(entry), R"({"ts":"2026-01-01T00:00:00.000Z","level":"info","event":"health","iface":"up0",)"
                         R"("level_":"1","pid":"2","pid_":"3","iface_":"4"})");
}

TEST(Line, InJsonNumbersAreNumbers) {
  const Entry entry{Severity::info,
                    "clat.exited",
                    "",
                    {{"pid", std::uint64_t{7}},
                     {"uptime", milliseconds(1500)},
                     {"lifetime", std::chrono::seconds(1800)},
                     {"asked", true},
                     {"signal", "SIGKILL"}}};
  EXPECT_EQ(logfmt(entry),
            "ts=2026-01-01T00:00:00.000Z level=info event=clat.exited pid=7 uptime=1500ms lifetime=1800s asked=yes "
            "signal=SIGKILL");
  EXPECT_EQ(json(entry), R"({"ts":"2026-01-01T00:00:00.000Z","level":"info","event":"clat.exited",)"
                         R"("pid":7,"uptime":1.500,"lifetime":1800,"asked":true,"signal":"SIGKILL"})");
}

TEST(Line, KeysHoldNothingThatCouldEndThem) {
  EXPECT_EQ(logfmt({Severity::info, "health", "", {{"a b=\"c", "1"}, {"", "2"}, {"hop-limit.exceeded", "3"}}}),
            "ts=2026-01-01T00:00:00.000Z level=info event=health a_b__c=1 _=2 hop-limit.exceeded=3");
}

}  // namespace
}  // namespace clat::log
