#include "supervisor/sources/netlink_source.hpp"

#include <utility>

namespace clat::sources {

Result<std::unique_ptr<NetlinkSource>> NetlinkSource::open(loop::Loop& loop, Sink sink, NoticeSink tell) {
  auto monitor = NetlinkMonitor::open();
  if (!monitor) return std::unexpected(std::move(monitor).error());
  std::unique_ptr<NetlinkSource> source(new NetlinkSource(loop, std::move(*monitor), std::move(sink), std::move(tell)));
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
  tell_({"", model::notice::NetlinkOverrun{drained ? std::nullopt : std::optional(drained.error())}});
  if (!drained) reopen();
  resync(std::move(events));
}

// Something was lost, so what was read is no longer the whole truth.
void NetlinkSource::resync(std::vector<model::Event> read_before) {
  auto dumped = monitor_.dump();
  if (dumped) return sink_({model::KernelDumped{std::move(dumped->kernel), true}});
  tell_({"", model::notice::DeedFailed{model::notice::Deed::read_kernel, dumped.error()}});
  sink_(std::move(read_before));
}

// The old socket would report its error for ever. Without a new one the audits alone keep up with the kernel.
void NetlinkSource::reopen() {
  watch_.end();
  auto monitor = NetlinkMonitor::open();
  if (monitor) monitor_ = std::move(*monitor);
  const auto watching = monitor ? watch() : std::unexpected(std::move(monitor).error());
  if (!watching) tell_({"", model::notice::DeedFailed{model::notice::Deed::watch_netlink, watching.error()}});
}

}  // namespace clat::sources
