// The edge's part in the shortcut: its programs on devices of the LAN, and the watch that says which flows take it.
#include <utility>
#include <vector>

#include "supervisor/edge.hpp"

namespace clat {

namespace {

std::vector<int> devices_of(const model::ShortcutSpec& spec) {
  std::vector<int> devices;
  for (const auto& lan : spec.lans) devices.push_back(lan.ifindex);
  return devices;
}

}  // namespace

std::optional<model::Event> KernelEdge::act(const model::ServeShortcut& action) {
  auto served = serve_shortcut(action.spec);
  if (!served) {
    flow_watch_.reset();
    watch_rules_no_more();
  }
  return model::ShortcutServed{action.spec, std::move(served)};
}

// The table is empty from here on; the programs come last, and go first.
Result<> KernelEdge::serve_shortcut(const model::ShortcutSpec& spec) {
  shortcut_ = spec;
  if (!spec.is_served()) {
    auto gone = fast_path_ ? fast_path_->serve_lan({}) : Result<>();
    flow_watch_.reset();
    watch_rules_no_more();
    return gone;
  }
  auto fast = fast_path();
  if (!fast) return std::unexpected(std::move(fast).error());
  auto watch = sources::FlowWatch::open(loop_, spec, flow_table());
  if (!watch) return std::unexpected(std::move(watch).error());
  flow_watch_ = std::move(*watch);
  if (auto watching = watch_rules(); !watching) return watching;
  return (*fast)->serve_lan(devices_of(spec));
}

sources::FlowTable KernelEdge::flow_table() {
  const auto with_flows = [this](auto use) {
    if (fast_path_) use(fast_path_->shortcuts());
  };
  return {.put = [this](const bpf::ShortcutFlow& flow) -> Result<> {
            if (!fast_path_) return failure("the programs are gone", ENOENT);
            return fast_path_->shortcuts().put(flow);
          },
          .drop = [=](const bpf::ShortcutFlow& flow) { with_flows([&](const auto& flows) { flows.drop(flow); }); },
          .drop_all = [=] { with_flows([](const auto& flows) { flows.drop_all(); }); },
          .answer_until =
              [=](model::TimePoint end) { with_flows([&](const auto& flows) { (void)flows.answer_until(end); }); }};
}

// Of nftables: what firewalls say of flows may be another thing now.
Result<> KernelEdge::watch_rules() {
  if (nft_monitor_) return {};
  auto monitor = sources::NftMonitor::open(loop_, [this](model::Event changed) {
    if (flow_watch_) flow_watch_->start_over();
    sink_(std::move(changed));
  });
  if (!monitor) return std::unexpected(std::move(monitor).error());
  nft_monitor_ = std::move(*monitor);
  return {};
}

// Where no rules are ours, and no flow goes past those of others, nobody listens to what becomes of them.
void KernelEdge::watch_rules_no_more() {
  if (ruled_.empty() && served_.empty() && nft_.empty() && !flow_watch_) nft_monitor_.reset();
}

std::optional<Error> KernelEdge::check_shortcut() {
  if (!fast_path_ || !flow_watch_) return Error{"nobody watches the flows", 0};
  flow_watch_->look_again();
  auto there = fast_path_->verify_lan(devices_of(shortcut_));
  return there ? std::nullopt : std::optional(std::move(there).error());
}

void KernelEdge::count_shortcut(model::HealthCollected& collected) const {
  if (!flow_watch_) return;
  for (const auto& clat : shortcut_.clats) {
    for (auto& [uplink, attachment] : counted_) {
      if (attachment.uplink_ifindex != clat.uplink) continue;
      auto& counters = collected.by_uplink[uplink];
      counters.emplace_back("shortcut_flows", flow_watch_->flows(clat.uplink));
      counters.emplace_back("shortcut_refused", flow_watch_->counts().refused);
      counters.emplace_back("shortcut_overruns", flow_watch_->counts().overruns);
    }
  }
}

}  // namespace clat
