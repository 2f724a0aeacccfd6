// The table of flows that may take the shortcut, when it is full and when it is emptied.
#include "bpf/shortcuts.hpp"

#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <stdexcept>

#include "bpf/clat_abi.h"
#include "core/base/fd.hpp"

namespace clat::test {
namespace {

using namespace std::chrono_literals;

bpf::ShortcutFlow flow_number(std::uint16_t number) {
  return {.lan = 3,
          .uplink = 2,
          .tun = 4,
          .protocol = 17,
          .host = {{192, 168, 1, 2}},
          .own = {{192, 0, 0, 1}},
          .peer = {{203, 0, 113, 5}},
          .host_port = number,
          .own_port = number,
          .peer_port = 53,
          .next_hop = {{192, 168, 1, 2}},
          .lan_mtu = 1500};
}

// Of this thread: what runs beside it does not count.
std::chrono::nanoseconds processor_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

class ShortcutsTest : public testing::Test {
 protected:
  ShortcutsTest() {
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.map_flags = BPF_F_NO_PREALLOC;
    map_ = Fd(bpf_map_create(BPF_MAP_TYPE_HASH, "flows", sizeof(clat_flow_key), sizeof(clat_shortcut),
                             2 * CLAT_MAX_SHORTCUTS, &options));
    if (!map_) throw std::runtime_error("no BPF map");
  }
  [[nodiscard]] int entries() const {
    int count = 0;
    clat_flow_key key{};
    const void* last = nullptr;
    for (; bpf_map_get_next_key(map_.get(), last, &key) == 0; last = &key) ++count;
    return count;
  }
  [[nodiscard]] bpf::Shortcuts shortcuts() const { return {map_.get(), -1}; }

  Fd map_;
};

TEST_F(ShortcutsTest, OneFlowGoesAndTheOtherStays) {
  const auto table = shortcuts();
  ASSERT_TRUE(table.put(flow_number(1)));
  ASSERT_TRUE(table.put(flow_number(2)));
  EXPECT_EQ(entries(), 4);
  table.drop(flow_number(1));
  EXPECT_EQ(entries(), 2);
  table.drop_all();
  EXPECT_EQ(entries(), 0);
  table.drop_all();
}

// The loop waits for it, with all that it has to do.
TEST_F(ShortcutsTest, AFullTableRefusesAndIsEmptiedInAMoment) {
  const auto table = shortcuts();
  for (int i = 0; i < CLAT_MAX_SHORTCUTS; ++i) ASSERT_TRUE(table.put(flow_number(static_cast<std::uint16_t>(i))));
  const auto refused = table.put(flow_number(CLAT_MAX_SHORTCUTS));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, E2BIG);
  EXPECT_EQ(entries(), 2 * CLAT_MAX_SHORTCUTS) << "half of a flow stayed behind";

  const auto begun = processor_time();
  table.drop_all();
  const auto took = processor_time() - begun;
  EXPECT_EQ(entries(), 0);
  EXPECT_LT(took, 200ms) << "one by one, each found from the beginning, it takes two seconds";
  RecordProperty("ms", static_cast<int>(took / 1ms));
}

}  // namespace
}  // namespace clat::test
