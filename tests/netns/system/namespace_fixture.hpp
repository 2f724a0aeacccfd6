// A network namespace of the test's own with a veth pair, up0 the uplink and peer0 its other end, and an open Network.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "supervisor/sources/netlink_monitor.hpp"
#include "supervisor/system/network.hpp"
#include "supervisor/system/state_dir.hpp"

namespace clat::system::test {

// Runs a shell command and gives its output; a failure fails the test.
std::string run(const std::string& command);

// The kernel settles the state of a link ("UP", "LOWERLAYERDOWN") a little after its carrier changes, and tells.
// `monitor` was opened before the change.
void await_link_state(sources::NetlinkMonitor& monitor, const std::string& name, const std::string& state);

inline constexpr std::string_view kGlobal = "2001:db8::1";  // of up0, /64

class NamespaceTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // As a supervisor does that starts: takes the state directory, opens everything.
  void start();
  // As kill -9 does: all descriptors are closed, nothing is taken down.
  void die();
  Network& network() { return *network_; }
  StateDir& state() { return *state_; }

  // As an audit does.
  template <class Spec>
  Result<> verify(const Spec& spec) {
    auto monitor = sources::NetlinkMonitor::open();
    if (!monitor) return std::unexpected(std::move(monitor).error());
    auto dumped = monitor->dump();
    if (!dumped) return std::unexpected(std::move(dumped).error());
    const auto stock = network().take_stock(std::move(dumped->kernel), std::move(dumped->tuns));
    if (!stock) return std::unexpected(stock.error());
    if constexpr (std::is_same_v<Spec, model::TunSpec>)
      return network().verify("up0", spec, *stock);
    else
      return network().verify(spec, *stock);
  }

  static int ifindex(const std::string& name);
  // Everything that a CLAT could leave behind, as text.
  static std::string snapshot();

  const Ipv4Address v4 = *Ipv4Address::parse("192.0.0.4");
  const Ipv6Address v6 = *Ipv6Address::parse("2001:db8::c1a7");
  const model::TunSpec tun{.name = "v4-up0"};
  const model::TunSpec adopted{.name = "v4-up0", .adopt = true};
  // Of the tun of up0; -1: there is none.
  int tun_fd(std::size_t queue = 0) {
    const auto queues = network().tun_queues("up0");
    return queue < queues.size() ? queues[queue] : -1;
  }
  model::SetupSpec setup(int tun_ifindex, std::uint32_t mtu = 1472) const {
    return {.tun = tun_ifindex, .tun_name = "v4-up0", .uplink = "up0", .v4 = v4, .mtu = mtu};
  }
  model::AnnounceSpec announce(int tun_ifindex, model::Leg leg) const {
    return {.uplink = "up0", .uplink_ifindex = ifindex("up0"), .tun = tun_ifindex, .v6 = v6, .leg = leg};
  }
  model::RecordSpec record() const {
    return {.uplink = "up0",
            .uplink_ifindex = ifindex("up0"),
            .tun = "v4-up0",
            .shape = {},
            .leg = model::Leg::fast,
            .metric = {},
            .v4 = v4,
            .v6 = v6,
            .prefix = *Nat64Prefix::parse("64:ff9b::/96")};
  }

 private:
  std::string state_path_;
  std::optional<StateDir> state_;
  std::optional<Network> network_;
};

// With the tun of up0.
class TunOfUp0Test : public NamespaceTest {
 protected:
  void SetUp() override;

  int tun_ = 0;
};

// Success, or the error's text as the failure message.
template <class T>
::testing::AssertionResult ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().text();
}

}  // namespace clat::system::test
