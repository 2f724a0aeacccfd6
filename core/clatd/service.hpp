// All pumps at work: a single one in the main thread, several in a thread each while the main thread answers the
// supervisor.
//
// No pump needs what another has read: the kernel chooses the queue by addresses and ports, of fragments by addresses
// and protocol alone, so those of one datagram come by the same. What a pump writes moves the opposite flow to its
// queue; when both ends begin at once, that may tear an echo in fragments, which is then lost.
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

  // Where there are several pumps; the threads then wait for run(). Afterwards nothing here allocates, nor makes a
  // system call but those of its ports, poll() and the control socket's. Their threads use this object until the
  // process ends.
  Result<> start_threads();

  // Throws away what queued up before, says `ready`, then translates until something ends it.
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
