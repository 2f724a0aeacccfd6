// All pumps at work: a single one in the main thread, several in a thread each while the main thread answers the
// supervisor.
//
// No pump needs packets that another has read. The kernel chooses the queue by addresses and ports, and for fragments
// by addresses and protocol alone, so all fragments of a datagram come by one queue. A packet that a pump writes moves
// the opposite flow to that pump's queue; when both ends begin at once, an echo in fragments may be torn apart and
// lost.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/error.hpp"
#include "core/clatd/pump.hpp"
#include "core/clatd/responder.hpp"
#include "core/clatd/shared.hpp"
#include "core/clatd/stop.hpp"

namespace clat::clatd {

class Service {
 public:
  // `end` is called in the thread whose work ended, and does not return.
  using End = void (*)(const Stop& stop);
  Service(std::vector<std::unique_ptr<Pump>> pumps, Shared& shared, int control_fd, End end)
      : pumps_(std::move(pumps)), responder_(control_fd, pumps_, shared), end_(end) {}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Does nothing for a single pump. The threads wait for run(). Afterwards nothing here allocates, and the only system
  // calls are those of the ports, poll() and those on the control socket. The threads use this object until the process
  // ends.
  Result<> start_threads();

  // Throws away the packets that queued up before, sends `ready`, then translates until something ends it.
  Stop run();

 private:
  static void* work(void* job);

  struct Job {
    Service* service;
    Pump* pump;
  };
  std::vector<std::unique_ptr<Pump>> pumps_;
  Responder responder_;
  End end_;
  std::vector<Job> jobs_;
  std::atomic<std::size_t> waiting_ = 0;  // threads
  std::atomic<bool> open_ = false;
};

}  // namespace clat::clatd
