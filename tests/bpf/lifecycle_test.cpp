// Attach, verify, update, adopt, detach, purge: what is in the kernel after each, with TCX and with clsact.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "tests/bpf/lab.hpp"
#include "tests/bpf/packet_io.hpp"
#include "tests/bpf/programs.hpp"

namespace clat::test {
namespace {

constexpr int kPatience = 5000;  // ms

class LifecycleTest : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] bool tcx() const { return GetParam(); }
  BothParts open() { return BothParts(folder_.open(tcx())); }
  BothParts attached() {
    auto fast_path = open();
    if (auto done = fast_path.attach(lab_.attachment()); !done) throw std::runtime_error(done.error().text());
    return fast_path;
  }
  [[nodiscard]] std::string pin(const char* hook) const {
    return folder_.pins() + "/link-" + std::to_string(lab_.uplink()) + "-" + hook;
  }
  // Programs of ours on the three hooks: tun ingress, tun egress, uplink ingress.
  [[nodiscard]] std::vector<std::size_t> on_hooks() const {
    if (tcx()) {
      return {our_tcx_programs(lab_.tun(), true), our_tcx_programs(lab_.tun(), false),
              our_tcx_programs(lab_.uplink(), true)};
    }
    return {our_filters(kTun, "ingress"), our_filters(kTun, "egress"), our_filters(kUplink, "ingress")};
  }
  // Takes one program off its hook, as somebody else might.
  void take_off(const char* hook, const char* interface, const char* direction) const {
    if (tcx()) {
      const Fd link(bpf_obj_get(pin(hook).c_str()));
      ASSERT_EQ(bpf_link_detach(link.get()), 0);
    } else {
      shell(std::string("tc filter del dev ") + interface + " " + direction);
    }
  }
  // The uplink goes, and another gets its number.
  static void give_number_to_up1(int ifindex) {
    shell(std::string("ip link del ") + kUplink);
    shell("ip link add up1 index " + std::to_string(ifindex) + " type veth peer name peer1");
  }
  [[nodiscard]] bool has_clsact(const char* interface) const {
    return output_of(std::string("tc qdisc show dev ") + interface).find("clsact") != std::string::npos;
  }
  // Whether a UDP packet of the CLAT leaves the uplink translated.
  bool translates() {
    if (!peer_) {
      shell(std::string("ip -6 neigh replace fe80::2 lladdr ") + kPeerMac + " nud permanent dev " + kUplink);
      shell(std::string("ip -6 route replace default via fe80::2 dev ") + kUplink);
      lab_.on_peer([this] { peer_.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN); });
    }
    const Wire tun(kTun, ETH_P_IP, 0);
    while (peer_->receive()) {
    }
    const auto sent = packet(Ip4{.source = "192.0.0.4", .destination = "192.0.2.33"}, udp(counting(20)));
    EXPECT_EQ(tun.send({{}, sent}), 0);
    const auto wanted = address6("64:ff9b::c000:221");
    for (;;) {
      // What is not translated is in the tun's queue by now, and nothing is on its way.
      if (auto punted = read_tun(lab_.tun_fd())) {
        if (punted->bytes == sent) return false;
        continue;
      }
      const auto packet = peer_->receive(kPatience);
      if (!packet) return false;
      if (std::equal(wanted.begin(), wanted.end(), packet->bytes.begin() + 24)) return true;
    }
  }
  // Native IPv6 from the peer, as far as the stack.
  void native_packet() {
    const Wire stack(kUplink, ETH_P_IPV6, ETH_HLEN);
    const auto sent = packet(Ip6{.source = "2001:db8:ffff::2", .destination = "2001:db8:ffff::1"}, udp(counting(20)));
    lab_.on_peer([&] {
      const Wire wire(kPeerLink, ETH_P_IPV6, ETH_HLEN);
      ASSERT_EQ(wire.send({{}, ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6) + sent}), 0);
    });
    for (auto packet = stack.receive(kPatience);; packet = stack.receive(kPatience)) {
      ASSERT_TRUE(packet) << "native IPv6 did not pass";
      if (packet->bytes == sent) return;
    }
  }

  // What becomes of a packet to 192.0.2.33 on its way out.
  static Bytes translated(const bpf::Attachment& by) {
    const auto peer = by.prefix.embed(*Ipv4Address::parse("192.0.2.33"));
    return packet(Ip6{.source = by.v6.text(), .destination = peer.text(), .hop_limit = 63}, udp(counting(20)));
  }
  void no_packet_stays_behind(unsigned rounds, const char* what, const std::vector<Bytes>& results,
                              const std::function<void()>& work);

  BpfFolder folder_;
  Lab lab_;

 private:
  std::optional<Wire> peer_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, LifecycleTest, testing::Bool(),
                         [](const auto& kind) { return std::string(kind.param ? "Tcx" : "Clsact"); });

const std::vector<std::size_t> kAll{1, 1, 1};
const std::vector<std::size_t> kNone{0, 0, 0};

TEST_P(LifecycleTest, AttachesEachProgramOnce) {
  auto fast_path = open();
  EXPECT_EQ(on_hooks(), kNone);
  for (int i = 0; i < 3; ++i) {
    const auto kind = fast_path.attach(lab_.attachment());
    ASSERT_TRUE(kind) << kind.error().text();
    EXPECT_EQ(*kind, tcx() ? bpf::AttachKind::tcx : bpf::AttachKind::clsact);
    EXPECT_EQ(on_hooks(), kAll);
    EXPECT_TRUE(fast_path.verify(lab_.attachment()).has_value());
    EXPECT_TRUE(translates());
  }
}

TEST_P(LifecycleTest, DetachLeavesNothing) {
  const auto files = open_files();
  {
    auto fast_path = attached();
    for (int i = 0; i < 2; ++i) {
      const auto gone = fast_path.detach(lab_.attachment());
      EXPECT_TRUE(gone) << gone.error().text();
      EXPECT_EQ(on_hooks(), kNone);
      EXPECT_FALSE(fast_path.verify(lab_.attachment()).has_value());
      EXPECT_FALSE(fast_path.counters(lab_.attachment()).has_value());
    }
    EXPECT_FALSE(translates());
    EXPECT_FALSE(has_clsact(kUplink));
    EXPECT_FALSE(has_clsact(kTun));
    EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
  }
  const auto objects = objects_of(folder_.bpf_dir());
  EXPECT_EQ(objects.maps.size(), 2U);
  const auto purged = BothParts::purge(folder_.bpf_dir());
  EXPECT_TRUE(purged) << purged.error().text();
  EXPECT_FALSE(std::filesystem::exists(folder_.bpf_dir()));
  EXPECT_TRUE(have_gone(objects));
  EXPECT_LE(open_files(), files + 1);  // the peer's packet socket
}

// What is done again and again while packets go through: each of them leaves as one of `results`.
void LifecycleTest::no_packet_stays_behind(unsigned rounds, const char* what, const std::vector<Bytes>& results,
                                           const std::function<void()>& work) {
  const Wire tun(kTun, ETH_P_IP, 0);
  std::optional<Wire> peer;
  lab_.on_peer([&] { peer.emplace(kPeerLink, ETH_P_IPV6, ETH_HLEN); });
  const auto sent = packet(Ip4{.source = "192.0.0.4", .destination = "192.0.2.33"}, udp(counting(20)));
  std::atomic<bool> done = false;
  std::thread working([&] {
    for (unsigned round = 0; round < rounds; ++round) work();
    done = true;
  });
  unsigned packets = 0, arrived = 0;
  const auto collect = [&](int wait) {
    while (const auto packet = peer->receive(wait)) {
      if (packet->bytes.size() != sent.size() + 20) continue;
      EXPECT_NE(std::ranges::find(results, packet->bytes), results.end()) << hex(packet->bytes);
      if (++arrived == packets) return;
    }
  };
  while (!done) {
    EXPECT_EQ(tun.send({{}, sent}), 0);
    ++packets;
    // No more on the way than the receiver's buffer holds.
    collect(packets - arrived < 64 ? 0 : kPatience);
  }
  working.join();
  collect(kPatience);
  EXPECT_EQ(arrived, packets);
  EXPECT_FALSE(read_tun(lab_.tun_fd())) << "went to clatd";
  EXPECT_GT(packets, rounds);
  std::printf("%u packets during %u %s\n", packets, rounds, what);
}

// Programs loaded anew take the place of those that are attached.
TEST_P(LifecycleTest, AnUpgradeLeavesNoPacketUntranslated) {
  {
    const auto first = attached();
    ASSERT_TRUE(translates());
  }
  no_packet_stays_behind(test_rounds(10), "upgrades", {translated(lab_.attachment())}, [this] {
    auto next = open();
    EXPECT_TRUE(next.attach(lab_.attachment()).has_value());
  });
  EXPECT_EQ(on_hooks(), kAll);
}

// A program always finds an entry, the old one or the new one, and nothing of the other in it.
TEST_P(LifecycleTest, AnUpdateLeavesNoPacketUntranslated) {
  auto fast_path = attached();
  ASSERT_TRUE(translates());
  auto now = lab_.attachment(), next = now;
  next.v6 = *Ipv6Address::parse("2001:db8:ffff:ffff:5555:aaaa:5555:aaaa");
  next.prefix = *Nat64Prefix::parse("2001:db8:64:64:64:64::/96");
  no_packet_stays_behind(test_rounds(100), "updates", {translated(now), translated(next)}, [&] {
    std::swap(now, next);
    EXPECT_TRUE(fast_path.update(now).has_value());
  });
}

// Map entries, counters, pins: what a foreign hand may take away, or write over, and attaching brings back.
TEST_P(LifecycleTest, NoticesWhatBecameOfTheMaps) {
  auto fast_path = attached();
  const auto pins = folder_.pins();
  const auto map = [&](const char* pin) { return Fd(bpf_obj_get((pins + pin).c_str())); };
  const auto uplink = static_cast<std::uint32_t>(lab_.uplink()), tun = static_cast<std::uint32_t>(lab_.tun());
  const struct {
    const char* what;
    std::function<bool()> hand;
  } losses[] = {
      {"entry of the uplink", [&] { return bpf_map_delete_elem(map("/interfaces").get(), &uplink) == 0; }},
      {"entry of the tun", [&] { return bpf_map_delete_elem(map("/interfaces").get(), &tun) == 0; }},
      {"counters", [&] { return bpf_map_delete_elem(map("/counters").get(), &uplink) == 0; }},
      {"pin of the interfaces", [&] { return std::filesystem::remove(pins + "/interfaces"); }},
      {"pin of the counters", [&] { return std::filesystem::remove(pins + "/counters"); }},
      {"another map in place of the counters",
       [&] {
         const auto other = map("/interfaces");
         return std::filesystem::remove(pins + "/counters") &&
                bpf_obj_pin(other.get(), (pins + "/counters").c_str()) == 0;
       }},
      {"a value written over",
       [&] {
         const auto entries = map("/interfaces");
         clat_interface entry{};
         return bpf_map_lookup_elem(entries.get(), &tun, &entry) == 0 && ++entry.v4_be32 != 0 &&
                bpf_map_update_elem(entries.get(), &tun, &entry, BPF_EXIST) == 0;
       }},
  };
  for (const auto& [what, hand] : losses) {
    SCOPED_TRACE(what);
    ASSERT_TRUE(hand());
    const auto is_whole = [&] { return fast_path.verify_pins() && fast_path.verify(lab_.attachment()); };
    EXPECT_FALSE(is_whole());
    ASSERT_TRUE(fast_path.attach(lab_.attachment()).has_value());
    EXPECT_TRUE(is_whole());
    EXPECT_TRUE(translates());
  }
}

TEST_P(LifecycleTest, UpdateChangesWhatIsAttached) {
  auto fast_path = attached();
  auto changed = lab_.attachment();
  changed.v4 = *Ipv4Address::parse("192.0.0.5");  // another one's packets are not ours to translate
  ASSERT_TRUE(fast_path.update(changed).has_value());
  EXPECT_FALSE(translates());
  ASSERT_TRUE(fast_path.update(lab_.attachment()).has_value());
  EXPECT_TRUE(translates());
  EXPECT_EQ(on_hooks(), kAll);
}

TEST_P(LifecycleTest, UpdateOfWhatIsNotAttachedFails) {
  auto fast_path = open();
  EXPECT_FALSE(fast_path.update(lab_.attachment()).has_value());
  EXPECT_FALSE(fast_path.verify(lab_.attachment()).has_value());
}

TEST_P(LifecycleTest, OutlivesItsProcessAndIsAdopted) {
  {
    attached();
  }
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(translates());
  const auto link = tcx() ? link_id_of_pin(pin("tun-egress")) : 0;
  {
    auto successor = open();
    EXPECT_TRUE(translates());
    const auto kind = successor.attach(lab_.attachment());
    ASSERT_TRUE(kind) << kind.error().text();
    EXPECT_EQ(on_hooks(), kAll);
    EXPECT_TRUE(successor.verify(lab_.attachment()).has_value());
    EXPECT_EQ(tcx() ? link_id_of_pin(pin("tun-egress")) : 0, link);
    const auto counters = successor.counters(lab_.attachment());
    ASSERT_TRUE(counters);
    EXPECT_EQ(counter(*counters, "fast_to_ipv6_udp_packets"), 2U);
    ASSERT_TRUE(successor.detach(lab_.attachment()).has_value());
    EXPECT_EQ(on_hooks(), kNone);
    EXPECT_FALSE(has_clsact(kUplink));
  }
}

TEST_P(LifecycleTest, VerifyNamesTheProgramThatIsGoneAndAttachRestoresIt) {
  auto fast_path = attached();
  const struct {
    const char *hook, *interface, *direction;
  } cases[] = {
      {"tun-ingress", kTun, "ingress"}, {"tun-egress", kTun, "egress"}, {"uplink-ingress", kUplink, "ingress"}};
  for (const auto& [hook, interface, direction] : cases) {
    take_off(hook, interface, direction);
    const auto verified = fast_path.verify(lab_.attachment());
    ASSERT_FALSE(verified);
    EXPECT_TRUE(verified.error().text().starts_with(std::string(hook) + ": ")) << verified.error().text();
    ASSERT_TRUE(fast_path.attach(lab_.attachment()).has_value());
    EXPECT_TRUE(fast_path.verify(lab_.attachment()).has_value());
    EXPECT_EQ(on_hooks(), kAll);
  }
}

TEST_P(LifecycleTest, VerifyNoticesAnUnpinnedLinkOrARemovedQdisc) {
  auto fast_path = attached();
  if (tcx()) {
    ASSERT_EQ(unlink(pin("uplink-ingress").c_str()), 0);
    ASSERT_TRUE(eventually([this] { return our_tcx_programs(lab_.uplink(), true) == 0; }));
  } else {
    shell(std::string("tc qdisc del dev ") + kUplink + " clsact");
  }
  EXPECT_FALSE(fast_path.verify(lab_.attachment()).has_value());
  ASSERT_TRUE(fast_path.attach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kAll);
}

TEST_P(LifecycleTest, InterfaceDeletedWhileAttached) {
  auto fast_path = attached();
  shell(std::string("ip link del ") + kUplink);
  EXPECT_FALSE(fast_path.verify(lab_.attachment()).has_value());
  EXPECT_FALSE(fast_path.attach(lab_.attachment()).has_value());
  const auto gone = fast_path.detach(lab_.attachment());
  EXPECT_TRUE(gone) << gone.error().text();
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
  if (tcx()) {
    EXPECT_EQ(our_tcx_programs(lab_.tun(), true), 0U);
  } else {
    EXPECT_EQ(our_filters(kTun, "ingress"), 0U);
    EXPECT_FALSE(has_clsact(kTun));
  }
}

TEST_P(LifecycleTest, AllOrNothing) {
  auto fast_path = open();
  auto wrong = lab_.attachment();
  wrong.uplink_ifindex = 12345;  // the uplink comes last
  testing::internal::CaptureStderr();
  const auto kind = fast_path.attach(wrong);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(kind);
  EXPECT_TRUE(kind.error().text().starts_with("attach to up0: uplink-ingress: ")) << kind.error().text();
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kTun));
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
  EXPECT_FALSE(fast_path.counters(wrong).has_value());
}

TEST_P(LifecycleTest, RefusesOtherLinkLayers) {
  auto fast_path = open();
  auto other = lab_.attachment();
  other.layer = LinkLayer::other;
  const auto kind = fast_path.attach(other);
  ASSERT_FALSE(kind);
  EXPECT_NE(kind.error().text().find("neither Ethernet nor raw IP"), std::string::npos) << kind.error().text();
  EXPECT_EQ(on_hooks(), kNone);
}

TEST_P(LifecycleTest, ForeignProgramsKeepWorking) {
  ForeignProgram tcx_first, filter_first, filter_second;
  tcx_first.attach_tcx(lab_.uplink());
  filter_first.attach_clsact(lab_.uplink());
  auto fast_path = attached();
  filter_second.attach_clsact(lab_.uplink());
  const auto all_saw = [&](std::uint64_t packets) {
    native_packet();
    EXPECT_GE(tcx_first.seen(), packets);
    EXPECT_GE(filter_first.seen(), packets);
    EXPECT_GE(filter_second.seen(), packets);
  };
  all_saw(1);
  ASSERT_TRUE(fast_path.attach(lab_.attachment()).has_value());
  all_saw(2);
  ASSERT_TRUE(fast_path.detach(lab_.attachment()).has_value());
  all_saw(3);
  EXPECT_TRUE(has_clsact(kUplink));
  EXPECT_FALSE(has_clsact(kTun));
}

// Traffic shapers use it in the place of clsact.
TEST_P(LifecycleTest, AnIngressQdiscOfSomebodyElseStays) {
  shell(std::string("tc qdisc add dev ") + kUplink + " ingress");
  auto fast_path = attached();
  EXPECT_EQ(on_hooks(), kAll);
  ASSERT_TRUE(fast_path.detach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_NE(output_of(std::string("tc qdisc show dev ") + kUplink).find("qdisc ingress"), std::string::npos);
}

TEST_P(LifecycleTest, AQdiscThatWasEmptyAndNotOursStays) {
  shell(std::string("tc qdisc add dev ") + kUplink + " clsact");
  auto fast_path = attached();
  ASSERT_TRUE(fast_path.detach(lab_.attachment()).has_value());
  EXPECT_TRUE(has_clsact(kUplink));
}

TEST_P(LifecycleTest, TakesOverFromAnotherAbiVersion) {
  {
    attached();
  }
  const auto other = folder_.pins(0);
  ASSERT_EQ(rename(folder_.pins().c_str(), other.c_str()), 0);
  const auto old =
      tcx() ? link_id_of_pin(other + "/" + std::filesystem::path(pin("uplink-ingress")).filename().string()) : 0;
  auto successor = open();
  EXPECT_EQ(on_hooks(), kAll);
  ASSERT_TRUE(successor.attach(lab_.attachment()).has_value());
  EXPECT_EQ(tcx() ? link_id_of_pin(pin("uplink-ingress")) : 0, old) << "links are updated, not made anew";
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(successor.verify(lab_.attachment()).has_value());
  EXPECT_TRUE(translates());
  EXPECT_FALSE(std::filesystem::exists(other));
}

TEST_P(LifecycleTest, DetachesWhatAnotherAbiVersionAttached) {
  {
    attached();
  }
  const auto other = folder_.pins(CLAT_ABI_VERSION + 1);
  ASSERT_EQ(rename(folder_.pins().c_str(), other.c_str()), 0);
  auto successor = open();
  ASSERT_TRUE(successor.detach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(std::filesystem::exists(other));
}

TEST_P(LifecycleTest, ChangesFromOneKindToTheOther) {
  {
    attached();
  }
  auto opened = BothParts::open(folder_.bpf_dir(), !tcx());
  ASSERT_TRUE(opened);
  ASSERT_TRUE(opened->attach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kNone) << "of the first kind";
  EXPECT_TRUE(translates());
  ASSERT_TRUE(opened->detach(lab_.attachment()).has_value());
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
  EXPECT_EQ(our_filters(kUplink, "ingress"), 0U);
}

TEST_P(LifecycleTest, PurgeTakesEverythingAway) {
  {
    attached();
  }
  const auto objects = objects_of(folder_.bpf_dir());
  EXPECT_EQ(objects.programs.size(), 3U);
  EXPECT_EQ(objects.links.size(), tcx() ? 3U : 0U);
  for (int i = 0; i < 2; ++i) {
    const auto purged = BothParts::purge(folder_.bpf_dir());
    EXPECT_TRUE(purged) << purged.error().text();
    EXPECT_EQ(on_hooks(), kNone);
    EXPECT_FALSE(has_clsact(kUplink));
    EXPECT_FALSE(std::filesystem::exists(folder_.bpf_dir()));
    EXPECT_TRUE(have_gone(objects));
  }
}

TEST_P(LifecycleTest, UplinksShareProgramsAndMaps) {
  auto fast_path = open();
  const auto alone = objects_of(folder_.bpf_dir());
  std::vector<bpf::Attachment> attachments;
  std::vector<Fd> tuns;
  for (int i = 0; i < 20; ++i) {
    const auto name = "w" + std::to_string(i);
    shell("ip link add " + name + " type veth peer name p" + std::to_string(i));
    tuns.push_back(make_tun("t" + std::to_string(i)));
    auto one = lab_.attachment();
    one.uplink = name;
    one.uplink_ifindex = ifindex_of(name);
    one.tun_ifindex = ifindex_of("t" + std::to_string(i));
    ASSERT_TRUE(fast_path.attach(one).has_value());
    attachments.push_back(one);
  }
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).programs == alone.programs);
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).maps == alone.maps);
  for (const auto& one : attachments) EXPECT_TRUE(fast_path.verify(one).has_value());
  ASSERT_TRUE(fast_path.detach(attachments[3]).has_value());
  for (const auto& one : attachments) EXPECT_EQ(fast_path.verify(one).has_value(), &one != &attachments[3]);
  for (const auto& one : attachments) EXPECT_TRUE(fast_path.detach(one).has_value());
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
}

TEST_P(LifecycleTest, NeedsFewCapabilities) {
  const auto child = fork();
  if (child == 0) {
    if (!keep_only_the_needed_capabilities()) _exit(2);
    auto opened = BothParts::open(folder_.bpf_dir(), tcx());
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().text().c_str());
      _exit(3);
    }
    for (int i = 0; i < 2; ++i) {
      if (auto done = opened->attach(lab_.attachment()); !done) {
        std::fprintf(stderr, "%s\n", done.error().text().c_str());
        _exit(4);
      }
      if (!opened->verify(lab_.attachment())) _exit(5);
    }
    if (!opened->counters(lab_.attachment())) _exit(6);
    if (!opened->detach(lab_.attachment())) _exit(7);
    if (!opened->attach(lab_.attachment())) _exit(8);
    {
      const auto closed = std::move(*opened);
    }
    _exit(BothParts::purge(folder_.bpf_dir()) ? 0 : 9);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kUplink));
}

TEST_P(LifecycleTest, ForgetsByIfindex) {
  {
    attached();
  }
  auto successor = open();
  ASSERT_TRUE(successor.forget(lab_.uplink()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kUplink));
  EXPECT_FALSE(has_clsact(kTun));
  EXPECT_FALSE(successor.counters(lab_.attachment()).has_value());
  EXPECT_TRUE(successor.forget(lab_.uplink()).has_value());
}

// The map entry of the uplink is gone, or was never written.
TEST_P(LifecycleTest, ForgetsWithoutTheUplinksEntry) {
  {
    attached();
  }
  const Fd map(bpf_obj_get((folder_.pins() + "/interfaces").c_str()));
  const auto key = static_cast<std::uint32_t>(lab_.uplink());
  ASSERT_EQ(bpf_map_delete_elem(map.get(), &key), 0);
  auto successor = open();
  ASSERT_TRUE(successor.forget(lab_.uplink()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kTun));
  const auto tun = static_cast<std::uint32_t>(lab_.tun());
  clat_interface entry{};
  EXPECT_NE(bpf_map_lookup_elem(map.get(), &tun, &entry), 0);
}

// Of a supervisor that was killed.
TEST_P(LifecycleTest, AnotherTunTakesTheFirstOnesPlace) {
  (void)attached();
  auto fast_path = open();
  const Fd map(bpf_obj_get((folder_.pins() + "/interfaces").c_str()));
  shell("ip tuntap add dev v4-other mode tun && ip link set v4-other up");
  auto other = lab_.attachment();
  other.tun_ifindex = static_cast<int>(if_nametoindex("v4-other"));
  const auto done = fast_path.attach(other);
  ASSERT_TRUE(done) << done.error().text();
  clat_interface entry{};
  auto key = static_cast<std::uint32_t>(lab_.tun());
  EXPECT_NE(bpf_map_lookup_elem(map.get(), &key, &entry), 0);
  key = static_cast<std::uint32_t>(other.tun_ifindex);
  EXPECT_EQ(bpf_map_lookup_elem(map.get(), &key, &entry), 0);
  EXPECT_TRUE(fast_path.verify(other));
  ASSERT_TRUE(fast_path.detach(other));
  EXPECT_NE(bpf_map_lookup_elem(map.get(), &key, &entry), 0);
}

// The number of the first one's uplink was given to another one's, while its clatd may run still.
TEST_P(LifecycleTest, AnotherUplinkOfTheSameNumberWaitsForTheFirstOnesEnd) {
  auto fast_path = attached();
  const auto first = lab_.attachment();
  give_number_to_up1(first.uplink_ifindex);
  const Fd tun = make_tun("v4-up1");
  auto second = first;
  second.uplink = "up1";
  second.tun_ifindex = ifindex_of("v4-up1");
  EXPECT_EQ(fast_path.attach(second).error().code, EAGAIN);
  EXPECT_TRUE(fast_path.each().verify(bpf::Filter{.by = first})) << "it is confined";
  EXPECT_TRUE(fast_path.detach(first));
  const auto done = fast_path.attach(second);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_TRUE(fast_path.verify(second));
}

TEST_P(LifecycleTest, DetachSparesAnotherUplinkOfTheSameNumber) {
  auto fast_path = attached();
  const auto first = lab_.attachment();
  give_number_to_up1(first.uplink_ifindex);
  shell(std::string("ip link del ") + kTun);
  const Fd tun = make_tun("v4-up1");
  auto second = first;
  second.uplink = "up1";
  second.tun_ifindex = ifindex_of("v4-up1");
  const auto done = fast_path.attach(second);
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_TRUE(fast_path.detach(first));
  EXPECT_TRUE(fast_path.forget(first.uplink_ifindex)) << "what an earlier supervisor had there";
  const auto whole = fast_path.verify(second);
  EXPECT_TRUE(whole) << whole.error().text();
  EXPECT_TRUE(fast_path.detach(second));
  EXPECT_FALSE(has_clsact("up1"));
  EXPECT_EQ(tcx() ? our_tcx_programs(second.uplink_ifindex, true) : our_filters("up1", "ingress"), 0U);
}

TEST_P(LifecycleTest, DetachSparesTheFilterOfAnotherUplinkOfTheSameNumber) {
  auto fast_path = attached();
  const auto first = lab_.attachment();
  give_number_to_up1(first.uplink_ifindex);
  shell(std::string("ip link del ") + kTun);
  const Fd tun = make_tun("v4-up1");
  bpf::Filter second{.by = first};
  second.by.tun_ifindex = ifindex_of("v4-up1");
  ASSERT_TRUE(fast_path.each().attach(second));
  EXPECT_TRUE(fast_path.detach(first));
  const auto whole = fast_path.each().verify(second);
  EXPECT_TRUE(whole) << whole.error().text();
  EXPECT_TRUE(fast_path.each().detach(second));
  EXPECT_EQ(tcx() ? our_tcx_programs(second.by.tun_ifindex, true) : our_filters("v4-up1", "ingress"), 0U);
}

TEST_P(LifecycleTest, DetachSparesAnotherTunOfTheSameNumber) {
  auto fast_path = attached();
  const auto first = lab_.attachment();
  shell(std::string("ip link del ") + kTun);
  shell("ip link add v4-up1 index " + std::to_string(first.tun_ifindex) + " type veth peer name elsewhere");
  shell("ip link add up1 type veth peer name peer1");
  auto second = first;
  second.uplink = "up1";
  second.uplink_ifindex = ifindex_of("up1");
  const auto done = fast_path.attach(second);
  EXPECT_TRUE(done) << done.error().text();
  EXPECT_TRUE(fast_path.detach(first));
  const auto whole = fast_path.verify(second);
  EXPECT_TRUE(whole) << whole.error().text();
}

TEST_P(LifecycleTest, OneAtATime) {
  std::optional<BothParts> first(attached());
  // A program that is started meanwhile does not inherit the lock.
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  FILE* const child = popen(("echo >/proc/self/fd/" + std::to_string(ready[1]) + "; exec cat").c_str(), "we");
  ASSERT_NE(child, nullptr);
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto busy = [](const auto& result) { return !result && result.error().code == EBUSY; };
  EXPECT_TRUE(busy(BothParts::open(folder_.bpf_dir(), tcx())));
  EXPECT_TRUE(busy(BothParts::purge(folder_.bpf_dir())));
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(first->verify(lab_.attachment()).has_value());
  first.reset();
  EXPECT_TRUE(open().attach(lab_.attachment()).has_value());
  EXPECT_TRUE(BothParts::purge(folder_.bpf_dir()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  pclose(child);
  close(ready[0]);
}

TEST_P(LifecycleTest, NorBesideAnotherAbiVersion) {
  {
    attached();
  }
  for (const unsigned version : {0U, 7U}) {
    std::filesystem::create_directories(folder_.pins(version));
    {
      const Fd other(::open(folder_.pins(version).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      ASSERT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), 0);
      const auto opened = BothParts::open(folder_.bpf_dir(), tcx());
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, EBUSY) << opened.error().text();
    }
    EXPECT_TRUE(open().attach(lab_.attachment()).has_value());
  }
}

TEST_P(LifecycleTest, AKilledOneIsAdopted) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const auto child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto opened = BothParts::open(folder_.bpf_dir(), tcx());
    if (!opened || !opened->attach(lab_.attachment()) || write(ready[1], "1", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  const auto refused = BothParts::open(folder_.bpf_dir(), tcx());
  EXPECT_TRUE(!refused && refused.error().code == EBUSY);
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(on_hooks(), kAll);
  const auto link = tcx() ? link_id_of_pin(pin("tun-egress")) : 0;
  auto successor = open();
  ASSERT_TRUE(successor.attach(lab_.attachment()).has_value());
  EXPECT_EQ(tcx() ? link_id_of_pin(pin("tun-egress")) : 0, link);
  EXPECT_EQ(on_hooks(), kAll);
}

// Interfaces have the same numbers in both.
TEST_P(LifecycleTest, NetworkNamespacesShareABpfDir) {
  std::optional<BothParts> here(attached());
  const auto pins_here = folder_.pins();
  {
    const Lab other;
    ASSERT_EQ(other.uplink(), lab_.uplink());
    ASSERT_EQ(other.tun(), lab_.tun());
    ASSERT_NE(folder_.pins(), pins_here);
    EXPECT_EQ(on_hooks(), kNone);
    {
      auto there = open();
      ASSERT_TRUE(there.attach(other.attachment()).has_value());
      EXPECT_EQ(on_hooks(), kAll);
      EXPECT_TRUE(there.verify(other.attachment()).has_value());
      EXPECT_FALSE(here->verify(lab_.attachment()).has_value()) << "this is the other namespace";
    }
    EXPECT_TRUE(BothParts::purge(folder_.bpf_dir()).has_value());
    EXPECT_EQ(on_hooks(), kNone);
    EXPECT_FALSE(std::filesystem::exists(folder_.pins()));
    EXPECT_TRUE(std::filesystem::exists(pins_here)) << "a live one's";
    // Left behind by one that was killed, and then by its namespace.
    ASSERT_TRUE(open().attach(other.attachment()).has_value());
  }
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(here->verify(lab_.attachment()).has_value());
  EXPECT_TRUE(translates());
  here.reset();
  EXPECT_TRUE(eventually([this] {
    const auto purged = BothParts::purge(folder_.bpf_dir());
    return purged && !std::filesystem::exists(folder_.bpf_dir());
  })) << "those of the namespace that is gone included";
  EXPECT_EQ(on_hooks(), kNone);
}

TEST_P(LifecycleTest, ANamespaceWhoseSupervisorIsAwayKeepsItsLinks) {
  {
    attached();
  }
  const auto pins_here = folder_.pins();
  {
    const Lab other;
    EXPECT_TRUE(BothParts::purge(folder_.bpf_dir()).has_value());
    EXPECT_EQ(std::filesystem::exists(pins_here), tcx()) << "filters cannot be told from those of a dead one";
  }
  EXPECT_EQ(on_hooks(), kAll);
  // What runs without its pins is taken over all the same.
  ASSERT_TRUE(open().attach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(translates());
}

// As when clat_abi.h is changed and CLAT_ABI_VERSION is not raised.
TEST_P(LifecycleTest, MapsThatDoNotFitGoWithAllThatRunsOnThem) {
  for (const auto* name : {"/interfaces", "/counters"}) {
    {
      attached();
    }
    const auto path = folder_.pins() + name;
    ASSERT_EQ(unlink(path.c_str()), 0);
    const Fd map(bpf_map_create(BPF_MAP_TYPE_HASH, "strange", 4, 8, 16, nullptr));
    for (const auto ifindex : {lab_.uplink(), lab_.tun()}) {
      const auto key = static_cast<std::uint32_t>(ifindex);
      const std::uint64_t value = 0;
      ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &value, BPF_ANY), 0);
    }
    ASSERT_EQ(bpf_obj_pin(map.get(), path.c_str()), 0);
    testing::internal::CaptureStderr();
    auto healed = BothParts::open(folder_.bpf_dir(), tcx());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    ASSERT_TRUE(healed) << healed.error().text();
    EXPECT_EQ(on_hooks(), kNone);
    ASSERT_TRUE(healed->attach(lab_.attachment()).has_value());
    EXPECT_EQ(on_hooks(), kAll);
    EXPECT_TRUE(translates());
  }
}

class FilterTest : public LifecycleTest {
 protected:
  const std::vector<std::size_t> kFilterOnly{1, 0, 0};
  const bpf::Filter filter_{.routed = true, .by = lab_.attachment()};
  bpf::FastPath open_each() { return folder_.open(tcx()); }
};
INSTANTIATE_TEST_SUITE_P(Kinds, FilterTest, testing::Bool(),
                         [](const auto& kind) { return std::string(kind.param ? "Tcx" : "Clsact"); });

TEST_P(FilterTest, StandsByItselfAndLeavesNothing) {
  auto programs = open_each();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(programs.attach(filter_).has_value());
    EXPECT_EQ(on_hooks(), kFilterOnly);
    EXPECT_TRUE(programs.verify(filter_).has_value());
    EXPECT_TRUE(programs.counters(filter_.by).has_value());
    EXPECT_FALSE(programs.verify(filter_.by).has_value()) << "there is no fast path";
  }
  ASSERT_TRUE(programs.detach(filter_).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kTun));
  EXPECT_FALSE(programs.counters(filter_.by).has_value());
  EXPECT_TRUE(objects_of(folder_.bpf_dir()).links.empty());
}

TEST_P(FilterTest, OnTheRoutedLegTakesAKilledOnesFastPathAway) {
  (void)attached();
  auto programs = open_each();
  auto routed = filter_;
  routed.routed = true;
  ASSERT_TRUE(programs.attach(routed).has_value());
  EXPECT_EQ(on_hooks(), kFilterOnly);
  EXPECT_TRUE(programs.verify(routed).has_value());
}

TEST_P(FilterTest, TheFastPathStandsOnIt) {
  auto programs = open_each();
  const auto kind = programs.attach(lab_.attachment());
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().text(), "attach to up0: the check on what clatd writes is not attached to its tun");
  EXPECT_EQ(on_hooks(), kNone);
  ASSERT_TRUE(programs.attach(filter_).has_value());
  ASSERT_TRUE(programs.attach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(programs.verify(filter_).has_value()) << "its map entry is its own";
  ASSERT_TRUE(programs.detach(lab_.attachment()).has_value());
  EXPECT_EQ(on_hooks(), kFilterOnly);
  EXPECT_FALSE(has_clsact(kUplink));
  EXPECT_TRUE(programs.verify(filter_).has_value()) << "counters included";
}

TEST_P(FilterTest, OfAnUplinkThatHasNoFastPath) {
  auto other = filter_;
  other.by.layer = LinkLayer::other;
  ASSERT_TRUE(open_each().attach(other).has_value());
  EXPECT_EQ(on_hooks(), kFilterOnly);
  ASSERT_TRUE(open_each().forget(lab_.uplink()).has_value());
  EXPECT_EQ(on_hooks(), kNone);
  EXPECT_FALSE(has_clsact(kTun));
}

// A CLAT that was taken down late, when another had come to its uplink and its tun.
TEST_P(FilterTest, WhatAnotherClatTookOverStays) {
  auto programs = open_each();
  ASSERT_TRUE(programs.attach(filter_).has_value());
  auto late = filter_;
  late.by.uplink_ifindex = 12345;
  ASSERT_TRUE(programs.detach(late.by).has_value());
  ASSERT_TRUE(programs.detach(late).has_value());
  EXPECT_EQ(on_hooks(), kFilterOnly);
  EXPECT_TRUE(programs.verify(filter_).has_value());
}

class LinkTest : public LifecycleTest {};
INSTANTIATE_TEST_SUITE_P(Kinds, LinkTest, testing::Values(true), [](const auto&) { return "Tcx"; });

// A link goes a moment after its pin, when a worker of the kernel lets go of it.
TEST_P(LinkTest, DoesNotWaitForAnUnpinnedOneToGo) {
  auto fast_path = attached();
  Fd held(bpf_obj_get(pin("tun-egress").c_str()));
  ASSERT_EQ(unlink(pin("tun-egress").c_str()), 0);
  for (int i = 0; i < 2; ++i) {
    const auto kind = fast_path.attach(lab_.attachment());
    ASSERT_FALSE(kind);
    EXPECT_EQ(kind.error().code, EAGAIN) << kind.error().text();
    EXPECT_EQ(on_hooks(), kAll);
    EXPECT_TRUE(translates());
  }
  held.reset();
  EXPECT_TRUE(eventually([&] { return fast_path.attach(lab_.attachment()).has_value(); }));
  EXPECT_EQ(on_hooks(), kAll);
  EXPECT_TRUE(fast_path.verify(lab_.attachment()));
}

TEST_P(LinkTest, FailsWhereSomebodyKeepsOne) {
  auto fast_path = attached();
  Fd held(bpf_obj_get(pin("tun-egress").c_str()));
  ASSERT_EQ(unlink(pin("tun-egress").c_str()), 0);
  EXPECT_TRUE(eventually([&] { return fast_path.attach(lab_.attachment()).error().code == EEXIST; }));
  EXPECT_EQ(on_hooks(), (std::vector<std::size_t>{0, 1, 0}));  // it finds no map entry, and lets everything pass
  EXPECT_FALSE(translates());
  held.reset();
  ASSERT_TRUE(eventually([this] { return on_hooks() == kNone; }));
  EXPECT_TRUE(fast_path.attach(lab_.attachment()));
  EXPECT_TRUE(translates());
}

class ClassifierTest : public LifecycleTest {};
INSTANTIATE_TEST_SUITE_P(Kinds, ClassifierTest, testing::Values(false), [](const auto&) { return "Clsact"; });

TEST_P(ClassifierTest, SomebodyElsesFilterAtOurPlaceStays) {
  ForeignProgram foreign;
  foreign.attach_clsact(lab_.uplink(), 0x464, 4);
  auto fast_path = open();
  const auto kind = fast_path.attach(lab_.attachment());
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().code, EBUSY);
  EXPECT_NE(kind.error().text().find("foreign"), std::string::npos) << kind.error().text();
  EXPECT_EQ(on_hooks(), kNone);
  native_packet();
  EXPECT_GE(foreign.seen(), 1U);
}

// Not every kernel has matchall or flower; u32 with a zero mask does the same.
constexpr char kEverything[] = "u32 match u32 0 0 action mirred egress redirect dev ";

class InTheWayTest : public ClassifierTest {
 protected:
  InTheWayTest() { shell(std::string("tc qdisc add dev ") + kUplink + " clsact"); }
  void take_all_at(int pref, const char* protocol = "all") const {
    shell(std::string("tc filter add dev ") + kUplink + " ingress prio " + std::to_string(pref) + " protocol " +
          protocol + " " + kEverything + kTun);
  }
  [[nodiscard]] static std::string ours() {
    return output_of(std::string("tc filter show dev ") + kUplink +
                     " ingress | grep clat_ | sed 's/.* pref //; s/ .*//'");
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, InTheWayTest, testing::Values(false), [](const auto&) { return "Clsact"; });

TEST_P(InTheWayTest, OursGoesAsFarInFrontAsItMust) {
  take_all_at(3);
  auto fast_path = attached();
  EXPECT_EQ(ours(), "2\n");
  EXPECT_TRUE(fast_path.verify(lab_.attachment()).has_value());
  ASSERT_TRUE(fast_path.detach(lab_.attachment()).has_value());
  EXPECT_EQ(ours(), "");
}

TEST_P(InTheWayTest, IsALossAndOursMoves) {
  auto fast_path = attached();
  EXPECT_EQ(ours(), "4\n");
  take_all_at(2);
  const auto seen = fast_path.verify(lab_.attachment());
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().text(), "uplink-ingress: the u32 filter of pref 2 takes every packet before ours");
  ASSERT_TRUE(fast_path.attach(lab_.attachment()).has_value());
  EXPECT_EQ(ours(), "1\n");
  EXPECT_TRUE(fast_path.verify(lab_.attachment()).has_value());
}

TEST_P(InTheWayTest, NothingGoesInFrontOfPref1) {
  take_all_at(1);
  auto fast_path = open();
  const auto kind = fast_path.attach(lab_.attachment());
  ASSERT_FALSE(kind);
  EXPECT_EQ(kind.error().code, EBUSY);
  EXPECT_NE(kind.error().text().find("the u32 filter of pref 1 takes every packet before ours"), std::string::npos)
      << kind.error().text();
  EXPECT_EQ(ours(), "");
}

TEST_P(InTheWayTest, WhatTakesOnlyIpv4FromTheUplinkIsNot) {
  take_all_at(1, "ip");
  auto fast_path = attached();
  EXPECT_EQ(ours(), "4\n");
}

// Each way in which a filter is found without knowing where it was put.
TEST_P(InTheWayTest, OursIsFoundWhereverItIs) {
  take_all_at(2);
  const auto left = [this] { (void)attached(); };
  left();
  EXPECT_EQ(ours(), "1\n");
  shell(std::string("tc filter del dev ") + kUplink + " ingress prio 2");
  left();
  EXPECT_EQ(ours(), "1\n");
  ASSERT_TRUE(open().forget(lab_.uplink()).has_value());
  EXPECT_EQ(ours(), "");
  take_all_at(2);
  left();
  ASSERT_TRUE(BothParts::purge(folder_.bpf_dir()).has_value());
  EXPECT_EQ(ours(), "");
}

TEST(FolderTest, MustBeInABpffs) {
  const auto files = open_files();
  for (const auto* folder : {"/tmp/bpft-no-such/clatvisor", "/dev/shm/clatvisor", "relative", ""}) {
    const auto opened = BothParts::open(folder);
    ASSERT_FALSE(opened) << folder;
    EXPECT_TRUE(opened.error().text().find("bpffs") != std::string::npos ||
                opened.error().text().find("absolute") != std::string::npos)
        << opened.error().text();
  }
  EXPECT_FALSE(std::filesystem::exists("/tmp/bpft-no-such"));
  EXPECT_EQ(open_files(), files);
}

TEST(FolderTest, PurgeOfWhatIsNotThere) {
  EXPECT_TRUE(BothParts::purge("/tmp/bpft-no-such/clatvisor").has_value());
  EXPECT_FALSE(BothParts::purge("/tmp").has_value());
}

// In a mount namespace of its own, where nothing is mounted at the default place.
TEST(FolderTest, MountsTheDefaultBpffs) {
  const auto child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(2);
    if (mount("none", "/sys", "tmpfs", 0, nullptr) != 0) _exit(3);
    std::filesystem::create_directories("/sys/fs/bpf");
    if (!BothParts::open("/sys/fs/bpf/clatvisor")) _exit(4);
    struct statfs facts{};
    if (statfs("/sys/fs/bpf", &facts) != 0 || static_cast<std::uint32_t>(facts.f_type) != BPF_FS_MAGIC) _exit(5);
    _exit(BothParts::purge("/sys/fs/bpf/clatvisor") ? 0 : 6);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace clat::test
