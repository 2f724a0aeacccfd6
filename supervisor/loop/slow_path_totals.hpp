// The counters of an uplink's clatds, one process after another, as one series that never falls.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/clatd/control.hpp"
#include "supervisor/model/events.hpp"

namespace clat::loop {

class SlowPathTotals {
 public:
  // A report of the process `pid`; its counters began with it.
  void take(int pid, const control::Report& report) {
    if (pid != pid_) {
      before_ = total_;
      pid_ = pid;
    }
    total_ = before_;
    add(total_.to_ipv6, report.to_ipv6);
    add(total_.to_ipv4, report.to_ipv4);
    total_.drained += report.drained;
    total_.answers += report.answers;
    total_.answers_limited += report.answers_limited;
    total_.write_errors += report.write_errors;
    for (std::size_t i = 0; i < xlat::kVerdictCount; ++i) total_.verdicts[i] += report.verdicts[i];
  }

  // Flows and answers always; reasons of drops where there were any.
  void append_to(model::Counters& counters) const {
    counters.emplace_back("slow_to_ipv6_packets", total_.to_ipv6.packets);
    counters.emplace_back("slow_to_ipv6_bytes", total_.to_ipv6.bytes);
    counters.emplace_back("slow_to_ipv4_packets", total_.to_ipv4.packets);
    counters.emplace_back("slow_to_ipv4_bytes", total_.to_ipv4.bytes);
    counters.emplace_back("slow_drained", total_.drained);
    counters.emplace_back("slow_answers", total_.answers);
    counters.emplace_back("slow_answers_limited", total_.answers_limited);
    counters.emplace_back("slow_write_errors", total_.write_errors);
    for (std::size_t i = 0; i < xlat::kVerdictCount; ++i) {
      const auto verdict = static_cast<xlat::Verdict>(i);
      const bool dropped = verdict != xlat::Verdict::translated && verdict != xlat::Verdict::held;
      if (!dropped || total_.verdicts[i] == 0) continue;
      std::string key = "slow_drop_" + std::string(xlat::name(verdict));
      for (char& letter : key) {
        if (letter == '-') letter = '_';
      }
      counters.emplace_back(std::move(key), total_.verdicts[i]);
    }
  }

 private:
  static void add(control::Flow& sum, const control::Flow& flow) {
    sum.packets += flow.packets;
    sum.bytes += flow.bytes;
  }

  int pid_ = 0;
  control::Report before_;
  control::Report total_;
};

}  // namespace clat::loop
