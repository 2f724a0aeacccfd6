// The pump in this process, behind system calls that can be made to fail as a kernel makes them fail.
#include "core/clatd/pump.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <thread>

#include "core/base/fd.hpp"
#include "core/clatd/native_port.hpp"
#include "core/clatd/service.hpp"
#include "core/xlat/segment.hpp"
#include "tests/support/vector_parts.hpp"

namespace {

using clat::test::Bytes;
using clat::test::operator+;

constexpr int kPatience = 20'000;              // ms; only a failing test waits that long
constexpr std::uint8_t kInexpressible = 0xee;  // first byte of a packet whose read fails with EINVAL
std::atomic<int> tun_fd = -1, control_fd = -1;
std::atomic<unsigned> calls_through_libc = 0;
int udp_super_packets_errno = 0;  // of writing one to the tun; 0: that is fine
unsigned udp_super_packets_refused = 0;
std::atomic<unsigned> allocations = 0;
thread_local bool allocations_count = false;

}  // namespace

// The linker puts these in the place of libc's (--wrap).
extern "C" {
ssize_t __real_read(int fd, void* to, size_t size);
ssize_t __wrap_read(int fd, void* to, size_t size);
ssize_t __real_recv(int fd, void* to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void* to, size_t size, int flags);
ssize_t __real_write(int fd, const void* from, size_t size);
ssize_t __wrap_write(int fd, const void* from, size_t size);
ssize_t __real_send(int fd, const void* from, size_t size, int flags);
ssize_t __wrap_send(int fd, const void* from, size_t size, int flags);

// As a tun does with a packet whose GSO type virtio_net_hdr has no number for: the packet is gone, and so is the read.
ssize_t __wrap_read(int fd, void* to, size_t size) {
  const ssize_t got = __real_read(fd, to, size);
  if (fd != tun_fd || got < 1 || *static_cast<std::uint8_t*>(to) != kInexpressible) return got;
  errno = EINVAL;
  return -1;
}
ssize_t __wrap_write(int fd, const void* from, size_t size) {
  using clat::xlat::VnetHeader;
  const auto type = offsetof(VnetHeader, gso_type);
  const bool refused = fd == tun_fd && udp_super_packets_errno != 0 && size > type &&
                       static_cast<const std::uint8_t*>(from)[type] == VnetHeader::kGsoUdp;
  if (!refused) return __real_write(fd, from, size);
  ++udp_super_packets_refused;
  errno = udp_super_packets_errno;
  return -1;
}
ssize_t __wrap_recv(int fd, void* to, size_t size, int flags) {
  if (fd == control_fd) ++calls_through_libc;
  return __real_recv(fd, to, size, flags);
}
ssize_t __wrap_send(int fd, const void* from, size_t size, int flags) {
  if (fd == control_fd) ++calls_through_libc;
  return __real_send(fd, from, size, flags);
}
}

#if !defined(__SANITIZE_ADDRESS__)
// In the place of libc's, for libc and libstdc++ themselves as well.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void* counted(void* memory);

void* counted(void* memory) {
  if (allocations_count) ++allocations;
  return memory;
}
void* malloc(size_t size) { return counted(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void* realloc(void* memory, size_t size) { return counted(__libc_realloc(memory, size)); }
void* aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
}
#endif

namespace clat::clatd {
namespace {

class PumpTest : public testing::Test {
 protected:
  PumpTest() {
    pair(tun_, pumps_tun_);
    pair(control_, pumps_control_);
    tun_fd = pumps_tun_.get();
    control_fd = pumps_control_.get();
    calls_through_libc = 0;
    allocations = 0;
  }
  ~PumpTest() override {
    finish();
    tun_fd = control_fd = -1;
    EXPECT_EQ(allocations, 0U) << "made since it began to run";
  }

  void start() {
    thread_ = std::thread([this] {
      Shared shared{
          .mtus = {kDefaultMtu, kDefaultMtu}, .errors = {1'000'000, std::chrono::seconds(1), 1'000'000}, .drops = {}};
      std::vector<std::unique_ptr<Pump>> pumps;
      pumps.push_back(std::make_unique<Pump>(test::neutral().clat().settings(),
                                             std::make_unique<NativePort>(pumps_tun_.get()), shared));
      Service service(std::move(pumps), shared, pumps_control_.get(), [](const Stop&) {});
      allocations_count = true;
      stop_ = service.run();
      allocations_count = false;
      // Whoever waits for its next word learns that there is none.
      shutdown(pumps_control_.get(), SHUT_RDWR);
      shutdown(pumps_tun_.get(), SHUT_RDWR);
    });
  }
  Stop finish() {
    control_.reset();
    if (thread_.joinable()) thread_.join();
    return stop_;
  }

  void put(const Bytes& message) const {
    pollfd room{tun_.get(), POLLOUT, 0};
    ssize_t put = -1;
    do {
      ASSERT_EQ(poll(&room, 1, kPatience), 1);
      put = write(tun_.get(), message.data(), message.size());
    } while (put < 0 && errno == EAGAIN);
    ASSERT_EQ(put, static_cast<ssize_t>(message.size()));
  }
  void put_inexpressible() const { put(Bytes(60, kInexpressible)); }
  // Whether a good packet comes out translated, and nothing before it.
  bool passes_through() const {
    put(Bytes(sizeof(xlat::VnetHeader)) + test::packet(test::out4(test::neutral()), test::udp(test::counting(9))));
    Bytes out(2000);
    return wait(tun_) && read(tun_.get(), out.data(), out.size()) == sizeof(xlat::VnetHeader) + 40 + 8 + 9;
  }
  std::optional<control::Report> receive() const {
    control::Report report;
    if (!wait(control_) || read(control_.get(), &report, sizeof report) != sizeof report) return std::nullopt;
    return report;
  }
  std::optional<control::Report> ask() const {
    const control::Request request;
    if (write(control_.get(), &request, sizeof request) != sizeof request) return std::nullopt;
    return receive();
  }

  Fd tun_, pumps_tun_, control_, pumps_control_;

 private:
  static bool wait(const Fd& fd) {
    pollfd entry{fd.get(), POLLIN, 0};
    return poll(&entry, 1, kPatience) == 1;
  }
  static void pair(Fd& ours, Fd& pumps) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
    ours.reset(ends[0]);
    pumps.reset(ends[1]);
  }

  std::thread thread_;
  Stop stop_{};
};

std::uint64_t bad_offloads(const control::Report& report) {
  return report.verdicts[static_cast<std::size_t>(xlat::Verdict::bad_offload)];
}

TEST_F(PumpTest, LosesOnlyThePacketThatTheKernelCannotExpress) {
  start();
  ASSERT_TRUE(receive());
  put_inexpressible();
  put_inexpressible();
  ASSERT_TRUE(passes_through());
  const auto report = ask();
  ASSERT_TRUE(report);
  EXPECT_EQ(bad_offloads(*report), 2U);
  EXPECT_EQ(report->to_ipv6.packets, 1U);
  EXPECT_EQ(finish().cause, Stop::Cause::supervisor_gone);
}

TEST_F(PumpTest, DrainsWhatTheKernelCannotExpress) {
  put_inexpressible();
  put(Bytes(60));
  start();
  const auto ready = receive();
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->drained, 2U);
  EXPECT_EQ(bad_offloads(*ready), 0U) << "drained packets have no verdict";
}

// More of them than one batch, queued at once: the supervisor is answered in between, and after.
TEST_F(PumpTest, AnswersAmongPacketsThatTheKernelCannotExpress) {
  start();
  ASSERT_TRUE(receive());
  for (std::uint64_t sent = 0; sent < 300; ++sent) {
    ASSERT_NO_FATAL_FAILURE(put_inexpressible());
    if (sent % 100 == 50) {
      ASSERT_TRUE(ask());
    }
  }
  ASSERT_TRUE(passes_through());
  const auto report = ask();
  ASSERT_TRUE(report);
  EXPECT_EQ(bad_offloads(*report), 300U);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST_F(PumpTest, WouldSeeAllocations) {
  allocations_count = true;
  const std::string* volatile text = new std::string(100, 'x');
  allocations_count = false;
  delete text;
  EXPECT_EQ(allocations.exchange(0), 2U);
}
#endif

// Every kind of packet, the logged ones among them; what was allocated is looked at when the test ends.
TEST_F(PumpTest, AllocatesForNoPacket) {
  start();
  ASSERT_TRUE(receive());
  std::uint64_t sent = 0;
  for (const auto& vector : test::vectors()) {
    Bytes bytes(sizeof vector.vnet);
    std::memcpy(bytes.data(), &vector.vnet, sizeof vector.vnet);
    ASSERT_NO_FATAL_FAILURE(put(bytes + vector.input));
    ++sent;
    Bytes out(70000);
    while (recv(tun_.get(), out.data(), out.size(), MSG_DONTWAIT) > 0) {
    }
  }
  std::uint64_t seen = 0;
  while (seen < sent) {
    const auto report = ask();
    ASSERT_TRUE(report);
    seen = std::accumulate(report->verdicts.begin(), report->verdicts.end(), std::uint64_t{0});
  }
  EXPECT_EQ(seen, sent);
  EXPECT_GT(sent, 300U);
}

// Two inputs that never run dry, by descriptors that are always readable.
class Springs final : public Port {
 public:
  Springs() {
    for (auto& fd : inputs_) fd = eventfd(1, EFD_CLOEXEC);
  }
  ~Springs() override {
    for (const int fd : inputs_) close(fd);
  }
  [[nodiscard]] std::span<const int> inputs() const override { return inputs_; }
  Inbound read(std::size_t input) override {
    const std::size_t reads = ++reads_.at(input);
    if (reads == 1) return {};  // to the drain
    furthest_apart_ = std::max(furthest_apart_, std::max(reads_[0], reads_[1]) - std::min(reads_[0], reads_[1]));
    return reads < 100'000 ? Inbound::lost(xlat::Verdict::truncated) : Inbound::ended(Stop::Cause::tun_gone, 0);
  }
  std::size_t write(const xlat::Frame&) override { return 0; }
  [[nodiscard]] bool takes_udp_super_packets() const override { return true; }
  static std::size_t furthest_apart() { return furthest_apart_; }

 private:
  std::array<int, 2> inputs_{};
  std::array<std::size_t, 2> reads_{};
  static inline std::size_t furthest_apart_ = 0;
};

TEST_F(PumpTest, LetsNeitherDirectionStarve) {
  Shared shared{.mtus = {kDefaultMtu, kDefaultMtu}, .errors = {0, std::chrono::seconds(1), 0}, .drops = {}};
  std::vector<std::unique_ptr<Pump>> pumps;
  pumps.push_back(std::make_unique<Pump>(test::neutral().clat().settings(), std::make_unique<Springs>(), shared));
  Service service(std::move(pumps), shared, -1, [](const Stop&) {});
  EXPECT_EQ(service.run().cause, Stop::Cause::tun_gone);
  EXPECT_LE(Springs::furthest_apart(), 128U);
}

// Any number of equal packets of one flow at once, then nothing, or the end.
class Burst final : public Port {
 public:
  Burst(std::size_t size, std::vector<std::size_t>& written, Inbound after = {})
      : left_(size), written_(written), after_(after) {}
  [[nodiscard]] std::span<const int> inputs() const override { return {}; }
  Inbound read(std::size_t) override {
    if (left_ == 0) return after_;
    --left_;
    const auto packet = test::packet(test::out4(test::neutral()), test::udp(test::counting(9), test::Sum::partial));
    std::ranges::copy(packet, buffer_.packet());
    return {.state = Inbound::State::packet, .frame = {buffer_.packet(), packet.size(), {1, 0, 0, 0, 20, 6}}};
  }
  std::size_t write(const xlat::Frame& frame) override {
    written_.push_back(xlat::Segments(frame).count());
    return 0;
  }
  [[nodiscard]] bool takes_udp_super_packets() const override { return takes_udp_super_packets_; }
  void refuse_udp_super_packets() { takes_udp_super_packets_ = false; }

 private:
  std::size_t left_;
  std::vector<std::size_t>& written_;
  Inbound after_;
  bool takes_udp_super_packets_ = true;
  PacketBuffer buffer_;
};

// Served by the test itself: what is queued before makes one batch.
class PumpBatch : public PumpTest {
 protected:
  Pump pump(std::unique_ptr<Port> port) { return {test::neutral().clat().settings(), std::move(port), shared_}; }
  using Sizes = std::vector<std::size_t>;
  Sizes written_;

  void put_flow(int packets) const {
    const xlat::VnetHeader unfinished{1, 0, 0, 0, 20, 6};
    Bytes bytes(sizeof unfinished);
    std::memcpy(bytes.data(), &unfinished, sizeof unfinished);
    const auto udp = test::udp(test::counting(9), test::Sum::partial);
    for (; packets > 0; --packets) put(bytes + test::packet(test::out4(test::neutral()), udp));
  }
  // Reads what was written, of which each is one packet.
  std::size_t take_packets() const {
    std::size_t packets = 0;
    Bytes out(70000);
    for (ssize_t got; (got = recv(tun_.get(), out.data(), out.size(), MSG_DONTWAIT)) > 0; ++packets) {
      xlat::VnetHeader vnet;
      std::memcpy(&vnet, out.data(), sizeof vnet);
      const std::span packet(out.data() + sizeof vnet, static_cast<std::size_t>(got) - sizeof vnet);
      EXPECT_EQ(packet.size(), 40U + 8 + 9);
      EXPECT_EQ(test::checksum_fault(packet, vnet.flags == xlat::VnetHeader::kNeedsChecksum), "");
    }
    return packets;
  }

 private:
  Shared shared_{.mtus = {kDefaultMtu, kDefaultMtu}, .errors = {0, std::chrono::seconds(1), 0}, .drops = {}};
};

TEST_F(PumpBatch, LeavesAsOneSuperPacketWhenItEnds) {
  auto pump = this->pump(std::make_unique<Burst>(3, written_));
  EXPECT_FALSE(pump.serve(0, false));
  EXPECT_EQ(written_, Sizes{3});
  EXPECT_EQ(pump.counters().to_ipv6.packets.value(), 3U);
  EXPECT_EQ(pump.counters().to_ipv6.bytes.value(), 3U * (20 + 8 + 9));
}

TEST_F(PumpBatch, HoldsNothingBackBeyondItsSize) {
  auto pump = this->pump(std::make_unique<Burst>(1000, written_));
  EXPECT_FALSE(pump.serve(0, false));
  EXPECT_EQ(written_, Sizes{64});
  EXPECT_FALSE(pump.serve(0, false));
  EXPECT_EQ(written_, (Sizes{64, 64}));
}

TEST_F(PumpBatch, IsWrittenBeforeTheTunEnds) {
  auto pump = this->pump(std::make_unique<Burst>(2, written_, Inbound::ended(Stop::Cause::tun_gone, 0)));
  EXPECT_TRUE(pump.serve(0, false));
  EXPECT_EQ(written_, Sizes{2});
}

TEST_F(PumpBatch, IsLeftAsItIsByAPortWithoutSuperPackets) {
  auto port = std::make_unique<Burst>(3, written_);
  port->refuse_udp_super_packets();
  auto pump = this->pump(std::move(port));
  EXPECT_FALSE(pump.serve(0, false));
  EXPECT_EQ(written_, (Sizes{1, 1, 1}));
}

// Linux before 6.2.
TEST_F(PumpBatch, IsCutUpWhenTheKernelKnowsNoUdpSuperPackets) {
  udp_super_packets_errno = EINVAL;
  udp_super_packets_refused = 0;
  auto pump = this->pump(std::make_unique<NativePort>(pumps_tun_.get()));
  for (const int packets : {5, 4}) {
    put_flow(packets);
    EXPECT_FALSE(pump.serve(0, false));
    EXPECT_EQ(take_packets(), static_cast<std::size_t>(packets));
    EXPECT_EQ(udp_super_packets_refused, 1U) << "tried again";
  }
  EXPECT_EQ(pump.counters().write_errors.value(), 0U);
  udp_super_packets_errno = 0;
}

TEST_F(PumpBatch, CountsEachPacketOfALostSuperPacket) {
  udp_super_packets_errno = EIO;
  auto pump = this->pump(std::make_unique<NativePort>(pumps_tun_.get()));
  put_flow(5);
  EXPECT_FALSE(pump.serve(0, false));
  EXPECT_EQ(pump.counters().write_errors.value(), 5U);
  udp_super_packets_errno = 0;
}

// On i386, glibc's recv() and send() are socketcall(2), which the sandbox's filter cannot tell from connect().
TEST_F(PumpTest, TalksToTheSupervisorWithoutLibcsChoiceOfSystemCall) {
  start();
  ASSERT_TRUE(receive());
  ASSERT_TRUE(ask());
  EXPECT_EQ(finish().cause, Stop::Cause::supervisor_gone);
  EXPECT_EQ(calls_through_libc, 0U);
}

}  // namespace
}  // namespace clat::clatd
