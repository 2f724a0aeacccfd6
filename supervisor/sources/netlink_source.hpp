// The kernel's own word on links, addresses and traffic control, as events that come by themselves.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/base/error.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/model/events.hpp"
#include "supervisor/model/notices.hpp"
#include "supervisor/sources/netlink_monitor.hpp"

namespace clat::sources {

// Reads notifications as they come. Where some were lost it reads everything anew and delivers KernelDumped instead.
class NetlinkSource {
 public:
  using Sink = std::function<void(std::vector<model::Event>)>;
  using NoticeSink = std::function<void(const model::Notice&)>;
  // `loop` outlives the source.
  static Result<std::unique_ptr<NetlinkSource>> open(loop::Loop& loop, Sink sink, NoticeSink tell);
  NetlinkSource(const NetlinkSource&) = delete;  // the watch refers to it
  NetlinkSource& operator=(const NetlinkSource&) = delete;

  // Links and addresses as they are now.
  Result<NetlinkMonitor::Dumped> dump() { return monitor_.dump(); }

 private:
  NetlinkSource(loop::Loop& loop, NetlinkMonitor monitor, Sink sink, NoticeSink tell)
      : loop_(loop), sink_(std::move(sink)), tell_(std::move(tell)), monitor_(std::move(monitor)) {}
  Result<> watch();
  void read();
  void resync(std::vector<model::Event> read_before);
  void reopen();

  loop::Loop& loop_;
  Sink sink_;
  NoticeSink tell_;
  NetlinkMonitor monitor_;
  loop::Watch watch_;  // after the descriptor it watches
};

}  // namespace clat::sources
