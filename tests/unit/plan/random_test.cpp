// Random lives: whatever happens in whatever order, the order of making holds (FakeEdge checks it at every action),
// and once the world is quiet, what is wanted is there and a stop leaves nothing.
#include <gtest/gtest.h>

#include <csignal>
#include <random>

#include "fake_edge.hpp"

namespace clat::plan::test {
namespace {

using namespace std::chrono_literals;

constexpr int kUplinks = 4;
constexpr std::array kMayFail = {Part::record, Part::tun,       Part::setup, Part::guard,   Part::filter,
                                 Part::child,  Part::fast_path, Part::route, Part::announce};

class RandomLife : public testing::TestWithParam<unsigned> {
 protected:
  unsigned pick(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(dice); }
  std::string some_uplink() { return "up" + std::to_string(pick(kUplinks)); }

  void happen() {
    const unsigned which = pick(kUplinks);
    const std::string name = "up" + std::to_string(which);
    int& ifindex = ifindexes.at(which);
    const std::string v6 = "2001:db8:" + std::to_string(which) + ":" + std::to_string(pick(2)) + "::1";
    switch (pick(20)) {
      case 0:
      case 1: bench.link(name, ifindex, pick(4) != 0, pick(4) != 0, pick(2) != 0 ? 1500 : 1400); break;
      case 2:
        bench.unlink(ifindex);
        ifindex = next_ifindex++;
        break;
      case 3:
      case 4:
        if (bench.app.world().kernel.links.find(ifindex) != nullptr) bench.address(ifindex, v6, pick(4) != 0);
        break;
      case 5: bench.no_address(ifindex, v6); break;
      case 6:
        if (bench.edge.has(name, Part::child)) bench.kill_child(name);
        break;
      case 7: bench.edge.steal_fast_path(name); break;
      case 8: bench.handle(TrafficControlChanged{ifindex}); break;
      case 9: {
        auto config = config_of(1 + pick(kUplinks));
        if (pick(2) != 0) config.interfaces[0].fast_path = config::FastPathMode::off;
        if (pick(3) == 0) config.interfaces[0].nat64_prefix = *Nat64Prefix::parse("2001:db8:64:ffff::/96");
        if (pick(3) == 0) config.interfaces[0].route_metric.reset();
        if (pick(2) != 0) config.interfaces[0].on_up = {"/up", std::to_string(pick(2))};
        if (pick(2) != 0) config.interfaces[0].probe = config::Probe{Ipv4Address{{192, 0, 0, 170}}, 5s};
        if (pick(2) != 0) config.interfaces[0].on_down = {"/down"};
        bench.load(config);
        break;
      }
      case 10: {
        const auto& clats = bench.app.world().clats;
        if (clats.contains(name) && clats.at(name).tun != 0) bench.unlink(clats.at(name).tun);
        break;
      }
      case 11: bench.edge.failing[{name, kMayFail[pick(kMayFail.size())]}] = Error{"injected", ENOBUFS}; break;
      case 12: bench.handle(KernelDumped{bench.app.world().kernel, true}); break;
      case 13: bench.advance(std::chrono::milliseconds(pick(20'000))); break;
      case 14: bench.edge.children_answer = pick(3) != 0; break;
      case 15: {  // an audit is the first to see that the uplink is gone, and its programs with it
        const auto& world = bench.app.world();
        if (!world.clats.contains(name) || !world.clats.at(name).piece(Part::fast_path).stands()) break;
        auto kernel = world.kernel;
        kernel.links.erase(ifindex);
        kernel.ipv6.erase(ifindex);
        bench.edge.steal_fast_path(name);
        const Audit::Check check{name, *world.clats.at(name).piece(Part::fast_path).have};
        bench.handle(Audited{.kernel = kernel, .missing = {{check, Error{"injected", 0}}}});
        ifindex = next_ifindex++;
        break;
      }
      case 17: bench.edge.no_bpf = pick(2) != 0 ? std::optional(Error{"injected", EPERM}) : std::nullopt; break;
      case 19: bench.edge.no_answer = pick(2) != 0 ? std::optional(Error{"no answer", 0}) : std::nullopt; break;
      case 18:
        if (bench.edge.hook_pids.contains("up0")) bench.edge.end_hook("up0", static_cast<int>(pick(2)), 0);
        bench.edge.hooks_end = pick(3) != 0;
        bench.settle();
        break;
      case 16: {
        if (!bench.edge.has(name, Part::child)) break;
        const int pid = bench.edge.pid(name);
        if (pick(2) != 0) {
          bench.handle(ChildMute{name, pid, "injected"});
        } else {
          bench.edge.forget_child(name);
          bench.handle(ChildExited{name, pid, 64, 0});
        }
        break;
      }
    }
    if (pick(3) == 0) bench.edge.failing.clear();
  }

  std::mt19937 dice{GetParam()};
  Bench bench{GetParam()};
  std::array<int, kUplinks> ifindexes{1001, 1002, 1003, 1004};
  int next_ifindex = 1100;
};

TEST_P(RandomLife, EndsAsWantedAndLeavesNothing) {
  bench.load(config_of(kUplinks));
  for (int step = 0; step < 150 && !HasFailure(); ++step) happen();

  bench.edge.failing.clear();
  bench.edge.no_bpf.reset();
  bench.edge.children_answer = true;
  bench.load(config_of(kUplinks));
  for (unsigned i = 0; i < kUplinks; ++i) {
    bench.link("up" + std::to_string(i), ifindexes.at(i));
    bench.address(ifindexes.at(i), "2001:db8:" + std::to_string(i) + "::1");
  }
  bench.advance(10min);
  for (const auto& [name, clat] : bench.app.world().clats) {
    EXPECT_TRUE(clat.up) << name;
    EXPECT_EQ(bench.edge.has(name, Part::fast_path), true) << name;
  }
  const auto before = bench.edge.executed.size();
  bench.load(config_of(kUplinks));
  EXPECT_EQ(bench.edge.executed.size(), before) << "a reload without change planned something";

  bench.handle(StopRequested{SIGTERM});
  EXPECT_TRUE(bench.app.done());
  EXPECT_TRUE(bench.edge.is_empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomLife, testing::Range(0U, 150U));

}  // namespace
}  // namespace clat::plan::test
