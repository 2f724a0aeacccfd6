#include "supervisor/system/tun.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "namespace_fixture.hpp"

namespace clat::system {
namespace {

using test::ok;
using test::run;
using TunTest = test::NamespaceTest;

TEST_F(TunTest, IsRawIpWithAVnetHeaderNonBlockingAndPersistent) {
  const auto made = network().make("up0", tun);
  ASSERT_TRUE(ok(made));
  EXPECT_EQ(*made, ifindex("v4-up0"));

  const int fd = tun_fd();
  ifreq request{};
  ASSERT_EQ(::ioctl(fd, TUNGETIFF, &request), 0);
  EXPECT_EQ(static_cast<unsigned short>(request.ifr_flags), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_PERSIST);
  int header = 0;
  ASSERT_EQ(::ioctl(fd, TUNGETVNETHDRSZ, &header), 0);
  EXPECT_EQ(header, 10);
  EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);

  const std::string link = run("ip -d link show v4-up0");
  EXPECT_NE(link.find("alias clatvisor CLAT of up0"), std::string::npos) << link;
  EXPECT_NE(link.find("tun type tun pi off vnet_hdr on persist on"), std::string::npos) << link;
}

TEST_F(TunTest, MakingItTwiceIsOnce) {
  const auto first = network().make("up0", tun);
  const int fd = tun_fd();
  const auto second = network().make("up0", tun);
  ASSERT_TRUE(ok(first) && ok(second));
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(tun_fd(), fd);
}

TEST_F(TunTest, ADeviceOfOthersIsRefusedAndLeft) {
  for (const char* create : {"ip tuntap add v4-up0 mode tun", "ip tuntap add v4-up0 mode tap",
                             "ip link add v4-up0 type bridge && ip link set v4-up0 alias 'clatvisor CLAT of up0'",
                             "ip tuntap add v4-up0 mode tun && ip link set v4-up0 alias 'clatvisor CLAT of up1'"}) {
    run(create);
    const std::string before = snapshot();
    for (const auto& spec : {tun, adopted}) {
      const auto made = network().make("up0", spec);
      ASSERT_FALSE(made) << create;
      EXPECT_EQ(made.error(), (Error{"v4-up0 exists and is not ours", EEXIST})) << create;
      EXPECT_TRUE(ok(network().remove("up0", spec)));
    }
    EXPECT_EQ(tun_fd(), -1);
    EXPECT_EQ(snapshot(), before) << create;
    run("ip link delete v4-up0");
  }
}

TEST_F(TunTest, ASuccessorAdoptsIt) {
  const auto first = network().make("up0", tun);
  ASSERT_TRUE(ok(first));
  ASSERT_TRUE(ok(network().make(setup(*first))));
  const std::string before = run("ip -o address show v4-up0");
  die();
  start();
  const auto second = network().make("up0", adopted);
  ASSERT_TRUE(ok(second));
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(run("ip -o address show v4-up0"), before);
}

TEST_F(TunTest, WithoutARecordWhatWasLeftIsNotAdopted) {
  ASSERT_TRUE(ok(network().make("up0", tun)));
  die();
  start();
  const auto made = network().make("up0", tun);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), (Error{"v4-up0 was left by an earlier clatvisor, without a record", EEXIST}));
}

TEST_F(TunTest, AdoptingWaitsForTheOldHolder) {
  ASSERT_TRUE(ok(network().make("up0", tun)));
  Fd child(::dup(tun_fd()));
  die();
  start();
  const auto early = network().make("up0", adopted);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error(), (Error{"v4-up0 is still held by another process", EBUSY}));
  child.reset();
  EXPECT_TRUE(ok(network().make("up0", adopted)));
}

TEST_F(TunTest, WithSeveralQueuesEachIsADescriptorOfOneDevice) {
  const model::TunSpec three{.name = "v4-up0", .shape = {.queues = 3}};
  ASSERT_TRUE(ok(network().make("up0", three)));
  ASSERT_EQ(network().tun_queues("up0").size(), 3U);
  for (const int queue : network().tun_queues("up0")) {
    ifreq request{};
    ASSERT_EQ(::ioctl(queue, TUNGETIFF, &request), 0);
    EXPECT_STREQ(request.ifr_name, "v4-up0");
    EXPECT_EQ(static_cast<unsigned short>(request.ifr_flags),
              IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE | IFF_PERSIST);
    EXPECT_NE(::fcntl(queue, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(queue, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_NE(run("ip -d link show v4-up0").find("numqueues 3"), std::string::npos) << run("ip -d link show v4-up0");
}

// The kernel would let two holders share the queues' packets.
TEST_F(TunTest, AdoptingSeveralQueuesWaitsForTheOldHolderOfOne) {
  const model::TunSpec made{.name = "v4-up0", .shape = {.queues = 2}};
  const model::TunSpec found{.name = "v4-up0", .shape = {.queues = 2}, .adopt = true};
  ASSERT_TRUE(ok(network().make("up0", made)));
  Fd child(::dup(tun_fd(1)));
  die();
  start();
  const auto early = network().make("up0", found);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error(), (Error{"v4-up0 is still held by another process", EBUSY}));
  child.reset();
  EXPECT_TRUE(ok(network().make("up0", found)));
  EXPECT_EQ(network().tun_queues("up0").size(), 2U);
}

// Its record was changed for a tun that was not made any more.
TEST_F(TunTest, AdoptingAnotherShapeMakesItAnew) {
  for (const unsigned queues : {2U, 1U}) {
    const model::TunSpec wanted{.name = "v4-up0", .shape = {.queues = queues}, .adopt = true};
    ASSERT_TRUE(ok(network().make("up0", {.name = "v4-up0", .shape = {.queues = 3 - queues}})));
    const int old = ifindex("v4-up0");
    die();
    start();
    const auto made = network().make("up0", wanted);
    ASSERT_TRUE(ok(made));
    EXPECT_NE(*made, old);
    EXPECT_EQ(network().tun_queues("up0").size(), queues);
    ASSERT_TRUE(ok(network().remove("up0", wanted)));
  }
}

TEST_F(TunTest, ForAndroidsClatdHasATunPiAndNoOffloads) {
  ASSERT_TRUE(ok(network().make("up0", {.name = "v4-up0", .shape = {.format = model::TunFormat::packet_info}})));
  ifreq request{};
  ASSERT_EQ(::ioctl(tun_fd(), TUNGETIFF, &request), 0);
  // TUNGETIFF says IFF_NO_PI whether or not; netlink tells the truth.
  EXPECT_EQ(static_cast<unsigned short>(request.ifr_flags) & ~IFF_NO_PI, IFF_TUN | IFF_PERSIST);
  const std::string link = run("ip -d link show v4-up0");
  EXPECT_NE(link.find("tun type tun pi on vnet_hdr off persist on"), std::string::npos) << link;
}

TEST_F(TunTest, AdoptingWhatIsGoneCreatesIt) {
  const auto made = network().make("up0", adopted);
  ASSERT_TRUE(ok(made));
  EXPECT_EQ(*made, ifindex("v4-up0"));
}

TEST_F(TunTest, ADeviceDeletedUnderUsIsNoticedAndMadeAnew) {
  ASSERT_TRUE(ok(network().make("up0", tun)));
  EXPECT_TRUE(ok(verify(tun)));
  run("ip link delete v4-up0");
  EXPECT_EQ(verify(tun).error(), (Error{"v4-up0 is gone", ENODEV}));
  const auto again = network().make("up0", tun);
  ASSERT_TRUE(ok(again));
  EXPECT_EQ(*again, ifindex("v4-up0"));
  EXPECT_TRUE(ok(verify(tun)));
}

TEST_F(TunTest, ARenamedDeviceIsNoticedAndRemoved) {
  ASSERT_TRUE(ok(network().make("up0", tun)));
  run("ip link set v4-up0 name other");
  EXPECT_EQ(verify(tun).error().what, "v4-up0 is now called other");
  ASSERT_TRUE(ok(network().remove("up0", tun)));
  EXPECT_EQ(ifindex("other"), 0);
}

// A namespace of its own for as long as it lives, and a way to run something in it.
class OtherNamespace {
 public:
  OtherNamespace() { run("ip netns add " + name_); }
  ~OtherNamespace() { run("ip netns delete " + name_); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string links() const { return run("ip -n " + name_ + " -o link show type tun"); }

 private:
  std::string name_ = "clatvisor-test-" + std::to_string(::getpid());
};

TEST_F(TunTest, MovedToAnotherNamespaceItGoesWhenItIsRemovedOrMadeAnew) {
  const OtherNamespace other;
  ASSERT_TRUE(ok(network().make("up0", tun)));
  run("ip link set v4-up0 netns " + other.name());
  ASSERT_TRUE(ok(network().remove("up0", tun)));
  EXPECT_EQ(other.links(), "");

  ASSERT_TRUE(ok(network().make("up0", tun)));
  run("ip link set v4-up0 netns " + other.name());
  const auto again = network().make("up0", tun);
  ASSERT_TRUE(ok(again));
  EXPECT_EQ(other.links(), "");
  EXPECT_EQ(*again, ifindex("v4-up0"));
}

TEST_F(TunTest, DeletedItsNumberIsAnothersAndNothingOfOursIsThere) {
  const auto made = network().make("up0", tun);
  ASSERT_TRUE(ok(made));
  run("ip link delete v4-up0 && ip link add other index " + std::to_string(*made) + " type bridge");
  ASSERT_TRUE(ok(network().remove("up0", tun)));
  EXPECT_EQ(ifindex("other"), *made);
}

TEST_F(TunTest, ASuccessorRemovesARenamedOne) {
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make("up0", tun)));
  die();
  run("ip link set v4-up0 name other");
  start();
  ASSERT_TRUE(ok(network().remove("up0", adopted)));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(TunTest, ASuccessorThatAdoptsTakesNoRenamedOneAndLeavesNone) {
  ASSERT_TRUE(ok(network().make("up0", tun)));
  die();
  run("ip link set v4-up0 name other");
  start();
  ASSERT_TRUE(ok(network().make("up0", adopted)));
  EXPECT_NE(ifindex("v4-up0"), 0);
  EXPECT_EQ(ifindex("other"), 0);
}

TEST_F(TunTest, ASuccessorAdoptsOneWithAnotherMarkByItsNumber) {
  const auto first = network().make("up0", tun);
  ASSERT_TRUE(ok(first));
  die();
  run("ip link set v4-up0 alias mine");
  start();
  const auto second = network().make("up0", adopted);
  ASSERT_TRUE(ok(second));
  EXPECT_EQ(*first, *second);
}

TEST_F(TunTest, RemovingNeedsNobodysConsent) {
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make("up0", tun)));
  const Fd child(::dup(tun_fd()));
  ASSERT_TRUE(ok(network().remove("up0", tun)));
  EXPECT_EQ(tun_fd(), -1);
  EXPECT_EQ(snapshot(), before);
  EXPECT_TRUE(ok(network().remove("up0", tun)));
}

TEST_F(TunTest, ASuccessorRemovesWhatItNeverOpened) {
  const std::string before = snapshot();
  ASSERT_TRUE(ok(network().make("up0", tun)));
  die();
  start();
  ASSERT_TRUE(ok(network().remove("up0", adopted)));
  EXPECT_EQ(snapshot(), before);
}

TEST_F(TunTest, OpenedButNotKeptItGoesWithItsDescriptor) {
  {
    const auto opened = open_tun("t0", TunOpening::create, {});
    ASSERT_TRUE(ok(opened));
    EXPECT_EQ(opened->ifindex, ifindex("t0"));
  }
  EXPECT_EQ(ifindex("t0"), 0);
}

TEST_F(TunTest, WhatCannotBeANameIsRefused) {
  EXPECT_EQ(open_tun("tun%d/", TunOpening::create, {}).error().code, EINVAL);
  EXPECT_EQ(open_tun("sixteen--letters", TunOpening::create, {}).error().code, EINVAL);
}

}  // namespace
}  // namespace clat::system
