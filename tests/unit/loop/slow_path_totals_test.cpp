// The counters of an uplink: one series over all its clatds.
#include "supervisor/loop/slow_path_totals.hpp"

#include <gtest/gtest.h>

namespace clat::loop {
namespace {

// Every number another one.
control::Report report_of(std::uint64_t unit) {
  control::Report report;
  report.drained = 1 * unit;
  report.to_ipv6 = {2 * unit, 3 * unit};
  report.to_ipv4 = {4 * unit, 5 * unit};
  report.answers = 6 * unit;
  report.answers_limited = 7 * unit;
  report.write_errors = 8 * unit;
  report.verdicts[static_cast<std::size_t>(xlat::Verdict::translated)] = 9 * unit;
  report.verdicts[static_cast<std::size_t>(xlat::Verdict::too_big)] = 10 * unit;
  return report;
}

model::Counters counters_of(std::uint64_t unit) {
  return {{"slow_to_ipv6_packets", 2 * unit}, {"slow_to_ipv6_bytes", 3 * unit}, {"slow_to_ipv4_packets", 4 * unit},
          {"slow_to_ipv4_bytes", 5 * unit},   {"slow_drained", 1 * unit},       {"slow_answers", 6 * unit},
          {"slow_answers_limited", 7 * unit}, {"slow_write_errors", 8 * unit},  {"slow_drop_too_big", 10 * unit}};
}

model::Counters told_by(const SlowPathTotals& totals) {
  model::Counters counters;
  totals.append_to(counters);
  return counters;
}

TEST(SlowPathTotals, FollowTheReportsOfOneProcess) {
  SlowPathTotals totals;
  totals.take(10, report_of(1));
  totals.take(10, report_of(3));
  EXPECT_EQ(told_by(totals), counters_of(3));
}

TEST(SlowPathTotals, GoOnWithTheNextProcess) {
  SlowPathTotals totals;
  totals.take(10, report_of(3));
  totals.take(11, report_of(1));
  EXPECT_EQ(told_by(totals), counters_of(4));
  totals.take(11, report_of(2));
  totals.take(12, report_of(100));
  EXPECT_EQ(told_by(totals), counters_of(105));
}

TEST(SlowPathTotals, TellOfDropsOnlyWhereThereAreAny) {
  EXPECT_EQ(told_by({}).size(), counters_of(1).size() - 1);
  control::Report report;
  report.verdicts[static_cast<std::size_t>(xlat::Verdict::held)] = 1;  // it waits for the rest of its packet
  SlowPathTotals totals;
  totals.take(10, report);
  EXPECT_EQ(told_by(totals), told_by({}));
}

}  // namespace
}  // namespace clat::loop
