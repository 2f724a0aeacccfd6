#include "core/clatd/drop_log.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/clatd/clock.hpp"
#include "core/clatd/output.hpp"
#include "core/xlat/describe.hpp"

namespace clat::clatd {

void DropLog::note(xlat::Verdict verdict, std::span<const std::uint8_t> packet) {
  if (verdict != xlat::Verdict::udp_zero_checksum && verdict != xlat::Verdict::hidden_extension) return;
  if (!lines_.take(now_ns())) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const std::uint32_t left_out = left_out_.exchange(0, std::memory_order_relaxed);
  const auto reason = xlat::name(verdict);
  const xlat::Description description(packet);
  const auto flow = description.view();
  std::array<char, 200> line;
  const int size = std::snprintf(line.data(), line.size(), "dropped, %.*s: %.*s (%u more since the last such line)",
                                 static_cast<int>(reason.size()), reason.data(), static_cast<int>(flow.size()),
                                 flow.data(), left_out);
  const auto length = std::min(line.size() - 1, static_cast<std::size_t>(std::max(size, 0)));
  if (!mention({line.data(), length})) left_out_.fetch_add(left_out + 1, std::memory_order_relaxed);
}

}  // namespace clat::clatd
