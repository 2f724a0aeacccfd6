// What one pump counts, and how it is told to the supervisor.
#pragma once

#include <array>
#include <cstddef>

#include "core/clatd/control.hpp"
#include "core/clatd/counter.hpp"

namespace clat::clatd {

// As in control::Report.
struct Counters {
  struct Flow {
    Counter packets, bytes;
    void add_to(control::Flow& sum) const {
      sum.packets += packets.value();
      sum.bytes += bytes.value();
    }
  };
  Flow to_ipv6, to_ipv4;
  std::array<Counter, xlat::kVerdictCount> verdicts;
  Counter drained, answers, answers_limited, write_errors;

  Counter& of(xlat::Verdict verdict) { return verdicts[static_cast<std::size_t>(verdict)]; }

  void add_to(control::Report& sum) const {
    to_ipv6.add_to(sum.to_ipv6);
    to_ipv4.add_to(sum.to_ipv4);
    for (std::size_t i = 0; i < verdicts.size(); ++i) sum.verdicts[i] += verdicts[i].value();
    sum.drained += drained.value();
    sum.answers += answers.value();
    sum.answers_limited += answers_limited.value();
    sum.write_errors += write_errors.value();
  }
};

}  // namespace clat::clatd
