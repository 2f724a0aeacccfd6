#include "namespace_fixture.hpp"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace clat::system::test {

std::string run(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) {
    ADD_FAILURE() << "popen";
    return {};
  }
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  EXPECT_EQ(status, 0) << command << "\n" << output;
  return output;
}

namespace {

void await(sources::NetlinkMonitor& monitor, const std::string& command, const std::string& said) {
  pollfd waiting{.fd = monitor.fd(), .events = POLLIN, .revents = 0};
  while (run(command).find(said) == std::string::npos) {
    ASSERT_EQ(::poll(&waiting, 1, 10'000), 1) << command << " does not say " << said;
    ASSERT_TRUE(ok(monitor.read([](const model::Event&) {})));
  }
}

}  // namespace

void await_link_state(sources::NetlinkMonitor& monitor, const std::string& name, const std::string& state) {
  await(monitor, "ip link show " + name, "state " + state + " ");
}

void NamespaceTest::SetUp() {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << "these tests need root";
  auto monitor = sources::NetlinkMonitor::open();
  ASSERT_TRUE(ok(monitor));
  // Static addresses only, so that a snapshot does not depend on the moment.
  run("ip link set lo up && ip link add up0 type veth peer name peer0 && ip link set up0 addrgenmode none &&"
      "ip link set peer0 addrgenmode none && ip link set up0 up && ip link set peer0 up &&"
      "ip address add " +
      std::string(kGlobal) + "/64 dev up0 nodad");
  await_link_state(*monitor, "up0", "UP");
  await_link_state(*monitor, "peer0", "UP");
  // The kernel adds it a moment after the address.
  await(*monitor, "ip -6 route show table local", "local " + std::string(kGlobal) + " ");
  std::string pattern = (std::filesystem::temp_directory_path() / "clatvisor-netns-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  state_path_ = pattern;
  start();
}

void TunOfUp0Test::SetUp() {
  NamespaceTest::SetUp();
  const auto made = network().make("up0", tun);
  ASSERT_TRUE(ok(made));
  tun_ = *made;
}

void NamespaceTest::TearDown() {
  die();
  if (!state_path_.empty()) std::filesystem::remove_all(state_path_);
}

void NamespaceTest::start() {
  auto state = StateDir::open(state_path_);
  ASSERT_TRUE(ok(state));
  state_.emplace(std::move(*state));
  auto network = Network::open(*state_);
  ASSERT_TRUE(ok(network));
  network_.emplace(std::move(*network));
}

void NamespaceTest::die() {
  network_.reset();
  state_.reset();
}

int NamespaceTest::ifindex(const std::string& name) { return static_cast<int>(::if_nametoindex(name.c_str())); }

std::string NamespaceTest::snapshot() {
  return run(
      "ip -d link; ip address; ip route show table all; ip -6 route show table all; ip -6 neighbour show proxy;"
      "ip -6 maddress | grep -v '^[0-9]'; cat /proc/sys/net/ipv6/conf/all/proxy_ndp "
      "/proc/sys/net/ipv6/conf/all/forwarding"
      " /proc/sys/net/ipv6/neigh/up0/proxy_delay /proc/sys/net/ipv4/conf/up0/rp_filter");
}

}  // namespace clat::system::test
