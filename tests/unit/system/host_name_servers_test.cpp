#include "supervisor/sources/host_name_servers.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "temporary_directory.hpp"

namespace clat::sources {
namespace {

using system::test::put_contents;

class HostNameServers : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> servers() const {
    std::vector<std::string> found;
    for (const auto& each : host_name_servers("wan0", folder_ / "")) found.push_back(each.address.text());
    return found;
  }
  void systemd(const std::string& text) const { put_contents(folder_ / "run/systemd/resolve/resolv.conf", text); }
  void netifd(const std::string& text) const { put_contents(folder_ / "tmp/resolv.conf.d/resolv.conf.auto", text); }
  void resolv_conf(const std::string& text) const { put_contents(folder_ / "etc/resolv.conf", text); }

  system::test::TemporaryDirectory folder_;
};
using Strings = std::vector<std::string>;

TEST_F(HostNameServers, NoneWithoutAFile) { EXPECT_EQ(servers(), Strings{}); }

TEST_F(HostNameServers, SystemdGoesFirst) {
  systemd("nameserver 2001:db8::1\n");
  netifd("nameserver 2001:db8::2\n");
  resolv_conf("nameserver 127.0.0.53\n");
  EXPECT_EQ(servers(), Strings{"2001:db8::1"});
}

TEST_F(HostNameServers, NetifdGoesBeforeWhatTheHostUses) {
  systemd("# nothing\n");
  netifd("# Interface wan0\nnameserver 2001:db8::2\n");
  resolv_conf("nameserver 127.0.0.1\n");
  EXPECT_EQ(servers(), Strings{"2001:db8::2"});
}

TEST_F(HostNameServers, ResolvConfIsLast) {
  resolv_conf("nameserver 127.0.0.1\nnameserver 2001:db8::3\n");
  EXPECT_EQ(servers(), (Strings{"2001:db8::3", "::ffff:127.0.0.1"}));
}

TEST_F(HostNameServers, IsNotHeldUpByWhatIsNoFile) {
  std::filesystem::create_directories(folder_ / "etc");
  std::filesystem::create_directories(folder_ / "run/systemd/resolve/resolv.conf");
  ASSERT_EQ(::mkfifo((folder_ / "etc/resolv.conf").c_str(), 0600), 0);
  EXPECT_EQ(servers(), Strings{});
}

TEST_F(HostNameServers, ReadsTheBeginningOfAHugeFile) {
  resolv_conf("nameserver 2001:db8::3\n" + std::string(1 << 20, '#') + "\nnameserver 2001:db8::4\n");
  EXPECT_EQ(servers(), Strings{"2001:db8::3"});
}

}  // namespace
}  // namespace clat::sources
