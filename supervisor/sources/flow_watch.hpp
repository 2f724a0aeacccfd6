// Which flows of the LAN may take the shortcut, kept in step with what the kernel tracks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bpf/clat_abi.h"
#include "bpf/shortcut_flow.hpp"
#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "supervisor/loop/loop.hpp"
#include "supervisor/loop/timer.hpp"
#include "supervisor/model/shortcut.hpp"
#include "supervisor/system/conntrack.hpp"
#include "supervisor/system/netlink_socket.hpp"

namespace clat::sources {

// Where the flows go.
struct FlowTable {
  std::function<Result<>(const bpf::ShortcutFlow&)> put;
  std::function<void(const bpf::ShortcutFlow&)> drop;
  std::function<void()> drop_all;
  std::function<void(model::TimePoint)> answer_until;
};

// Takes a flow in when connection tracking calls it assured, and out when it ends. All of them go, to be looked for
// again, when a route or rule of IPv4 changed, when told to, and when the kernel had more to tell than there was room
// for. While it lives it answers for the table; it does so for no longer than kAnswer ahead.
class FlowWatch {
 public:
  static constexpr std::size_t kMostFlows = CLAT_MAX_SHORTCUTS;
  static constexpr std::chrono::seconds kAnswer{5};
  // Between two readings of all that is tracked.
  static constexpr std::chrono::milliseconds kRest{1000};

  struct Counts {
    std::uint64_t overruns = 0;
    std::uint64_t refused = 0;  // flows that could take the shortcut, but for a failure or a full table
  };

  // `loop` outlives it. The table is emptied first.
  static Result<std::unique_ptr<FlowWatch>> open(loop::Loop& loop, model::ShortcutSpec spec, FlowTable table);
  FlowWatch(const FlowWatch&) = delete;  // watches and timers refer to it
  FlowWatch& operator=(const FlowWatch&) = delete;
  ~FlowWatch();

  // No flow is in the table until all have been looked at again, soon.
  void start_over();
  // Whatever was missed is found, and what is there goes on.
  void look_again();
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t flows(int uplink) const;

 private:
  struct Sockets {
    Fd connections, routes;
    system::NetlinkSocket ask_connections, ask_routes;
  };
  struct Flow {
    bpf::ShortcutFlow flow;
    unsigned reading = 0;  // that saw it last
  };
  FlowWatch(loop::Loop& loop, model::ShortcutSpec spec, FlowTable table, Sockets sockets);
  Result<> watch();

  void hear_connections();
  void hear_routes();
  void read_all();
  void take_reading();
  void end_reading();
  void take(const system::ConnectionSeen& seen);
  void take_in(const system::FlowTuple& original);
  void take_out(const system::FlowTuple& reply);
  Result<> admit(const model::ShortcutSpec::Clat& clat, const system::Connection& connection);
  void answer();

  loop::Loop& loop_;
  model::ShortcutSpec spec_;
  FlowTable table_;
  Sockets sockets_;
  std::vector<std::uint8_t> buffer_;
  std::unordered_map<system::FlowTuple, Flow, system::HashFlowTuple> flows_;  // by their reply
  Counts counts_;
  unsigned reading_ = 0;
  Fd dump_;  // while all is read
  loop::Timer next_reading_;
  loop::Timer next_answer_;
  bool answers_ = false;
  loop::Watch connections_, routes_, dumping_;  // after the descriptors they watch
};

}  // namespace clat::sources
