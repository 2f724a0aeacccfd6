// The kernel's word that somebody changed nftables.
#pragma once

#include <memory>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"

namespace clat::sources {

// Delivers NftablesChanged at once, and then no more than one each kRest, however many changes there are; a change is
// never older than that when it is told. Whose change it was, and of what, it does not know.
class NftMonitor {
 public:
  static constexpr std::chrono::milliseconds kRest{50};
  // `loop` outlives the monitor. Needs CAP_NET_ADMIN.
  static Result<std::unique_ptr<NftMonitor>> open(loop::Loop& loop, loop::Sink sink);
  NftMonitor(const NftMonitor&) = delete;  // watch and timer refer to it
  NftMonitor& operator=(const NftMonitor&) = delete;

 private:
  NftMonitor(loop::Loop& loop, Fd fd, loop::Sink sink)
      : loop_(loop), fd_(std::move(fd)), sink_(std::move(sink)), rest_(loop, [this] { (void)watch(); }) {}
  Result<> watch();
  void tell();

  loop::Loop& loop_;
  Fd fd_;
  loop::Sink sink_;
  loop::Timer rest_;
  loop::Watch watch_;  // after the descriptor it watches
};

}  // namespace clat::sources
