// A list of the system calls that are allowed, as a classic BPF program over struct seccomp_data.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/error.hpp"

namespace clat::clatd {

class SystemCallFilter {
 public:
  SystemCallFilter();

  // Numbers are those of this architecture, SYS_*.
  void allow(long number);
  // Only with one of these as first argument.
  void allow(long number, std::span<const int> fds);
  // From now on, in every thread of the process, whatever was not allowed kills it. Needs no_new_privs or
  // CAP_SYS_ADMIN.
  Result<> install();

 private:
  void add(std::uint32_t code, std::uint32_t k, std::uint8_t if_true = 0, std::uint8_t if_false = 0);

  std::array<sock_filter, 128> code_{};
  std::uint16_t size_ = 0;
};

}  // namespace clat::clatd
