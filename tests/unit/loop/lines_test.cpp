#include "supervisor/loop/lines.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clat::loop {
namespace {

using Lines = std::vector<std::string>;
using Shown = OutputThrottle::Shown;
using std::chrono::milliseconds;

Lines split(const std::vector<std::string>& chunks, bool end = false) {
  LineSplitter splitter;
  Lines lines;
  const auto collect = [&](std::string line) { lines.push_back(std::move(line)); };
  for (const auto& chunk : chunks) splitter.feed(chunk, collect);
  if (end) splitter.finish(collect);
  return lines;
}

TEST(LineSplitter, JoinsWhatCameInPieces) {
  EXPECT_EQ(split({"on", "e\ntw", "o\n", "\nthree\r\nfour"}), (Lines{"one", "two", "three"}));
}

TEST(LineSplitter, GivesTheRestAtTheEnd) {
  EXPECT_EQ(split({"one\ntwo"}, true), (Lines{"one", "two"}));
  EXPECT_EQ(split({"one\n"}, true), (Lines{"one"}));
}

TEST(LineSplitter, LeavesControlCharactersToTheLog) {
  EXPECT_EQ(split({std::string("\0\x1b[2J\xff\n", 7)}), (Lines{std::string("\0\x1b[2J\xff", 6)}));
}

TEST(LineSplitter, CutsLongLines) {
  const std::string longest(LineSplitter::kMaxLine, 'x');
  const std::string cut = longest.substr(3) + "...";
  EXPECT_EQ(split({longest + "\n"}), (Lines{longest}));
  EXPECT_EQ(split({longest + "y\nnext\n"}), (Lines{cut, "next"}));
  EXPECT_EQ(split({longest, "y", longest + longest, "\nnext\n"}), (Lines{cut, "next"}));
  EXPECT_EQ(split({longest + "y"}, true), (Lines{cut}));
}

TEST(OutputThrottle, CountsWhatItSuppresses) {
  model::TimePoint now{};
  OutputThrottle throttle;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(throttle.offer("a", now), (Shown{"a", 0}));
  for (int i = 0; i < 7; ++i) EXPECT_EQ(throttle.offer("b", now), std::nullopt);
  now += milliseconds(200);
  EXPECT_EQ(throttle.offer("c", now), (Shown{"c", 7}));
  EXPECT_EQ(throttle.last(), std::nullopt);
}

TEST(OutputThrottle, ShowsTheLastLineAtTheEnd) {
  const model::TimePoint now{};
  OutputThrottle throttle;
  for (int i = 0; i < 20; ++i) throttle.offer("a", now);
  for (int i = 0; i < 7; ++i) throttle.offer("b", now);
  throttle.offer("assertion failed", now);
  EXPECT_EQ(throttle.last(), (Shown{"assertion failed", 7}));
  EXPECT_EQ(throttle.last(), std::nullopt);
}

}  // namespace
}  // namespace clat::loop
