// The drops that RFC 7915 wants logged: first fragments of UDP datagrams without checksum (§4.5), and extension headers
// behind a Fragment Header (§5.1.1).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "core/base/token_bucket.hpp"
#include "core/xlat/verdict.hpp"

namespace clat::clatd {

class DropLog {
 public:
  // A line naming addresses and ports, when the verdict asks for one; a few a minute, the next one tells how many were
  // left out.
  void note(xlat::Verdict verdict, std::span<const std::uint8_t> packet);

 private:
  static constexpr std::uint32_t kLinesPerMinute = 4;
  TokenBucket lines_{kLinesPerMinute, std::chrono::minutes(1), kLinesPerMinute};
  std::atomic<std::uint32_t> left_out_ = 0;
};

}  // namespace clat::clatd
