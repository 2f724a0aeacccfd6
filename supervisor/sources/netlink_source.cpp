#include "supervisor/sources/netlink_source.hpp"

#include <utility>

#include "supervisor/log/catalogue.hpp"

namespace clat::sources {

Result<std::unique_ptr<NetlinkSource>> NetlinkSource::open(loop::Loop& loop, Sink sink, NoteSink log) {
  auto monitor = NetlinkMonitor::open();
  if (!monitor) return std::unexpected(std::move(monitor).error());
  std::unique_ptr<NetlinkSource> source(new NetlinkSource(loop, std::move(*monitor), std::move(sink), std::move(log)));
  if (auto watching = source->watch(); !watching) return std::unexpected(std::move(watching).error());
  return source;
}

Result<> NetlinkSource::watch() {
  auto watch = loop_.watch(monitor_.fd(), [this](loop::Wake) { read(); });
  if (!watch) return std::unexpected(std::move(watch).error());
  watch_ = std::move(*watch);
  return {};
}

void NetlinkSource::read() {
  std::vector<model::Event> events;
  const auto drained = monitor_.read([&events](model::Event event) { events.push_back(std::move(event)); });
  if (drained && *drained == NetlinkMonitor::Drained::all) return sink_(std::move(events));
  log_(
      {model::Severity::warn,
       events::kNetlinkOverrun,
       "",
       {{"reason", drained ? "the receive buffer overflowed" : drained.error().text()}, {"next", "reading all anew"}}});
  if (!drained) reopen();
  resync(std::move(events));
}

// Something was lost, so what was read is no longer the whole truth.
void NetlinkSource::resync(std::vector<model::Event> read_before) {
  auto kernel = monitor_.dump();
  if (kernel) return sink_({model::KernelDumped{std::move(*kernel), true}});
  log_({model::Severity::error,
        events::kActionFailed,
        "",
        {{"action", "dump"}, {"reason", kernel.error().text()}, {"next", "the next audit tries again"}}});
  sink_(std::move(read_before));
}

// The old socket would report its error for ever. Without a new one the audits alone keep up with the kernel.
void NetlinkSource::reopen() {
  watch_.end();
  auto monitor = NetlinkMonitor::open();
  if (monitor) monitor_ = std::move(*monitor);
  const auto watching = monitor ? watch() : std::unexpected(std::move(monitor).error());
  if (watching) return;
  log_({model::Severity::error,
        events::kActionFailed,
        "",
        {{"action", "watch netlink"}, {"reason", watching.error().text()}, {"next", "each audit reads all anew"}}});
}

}  // namespace clat::sources
