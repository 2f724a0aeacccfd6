// Not a byte of heap for any packet: every way to allocate is counted here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/xlat/coalesce.hpp"
#include "core/xlat/describe.hpp"
#include "core/xlat/segment.hpp"
#include "core/xlat/translator.hpp"
#include "tests/support/vector_parts.hpp"

namespace {

// Volatile, as the compiler knows malloc and believes that it leaves this alone.
volatile std::size_t allocations = 0;

void* counted(void* memory) {
  allocations = allocations + 1;
  return memory;
}

}  // namespace

// The linker puts these in the place of libc's (--wrap).
extern "C" {
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void* __real_realloc(void* memory, std::size_t size);
void* __wrap_malloc(std::size_t size) { return counted(__real_malloc(size)); }
void* __wrap_calloc(std::size_t count, std::size_t size) { return counted(__real_calloc(count, size)); }
void* __wrap_realloc(void* memory, std::size_t size) { return counted(__real_realloc(memory, size)); }
}

// GCC 12 takes them for a mismatched pair where it sees into one and not into the other.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  if (void* memory = counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit))) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#pragma GCC diagnostic pop

namespace clat::xlat {
namespace {

using test::operator+;

class Segmenter final : public Sink {
 public:
  void send(const Frame& frame) override {
    Segments segments(frame);
    for (Frame segment; segments.next(segment);) ++packets;
  }
  bool may_answer() override { return true; }
  std::size_t packets = 0;
};

TEST(Allocation, IsNeverMadeForAPacket) {
  Segmenter sink;
  for (const auto& vector : test::vectors()) {
    std::vector<std::uint8_t> block(kHeadroom + vector.input.size());
    std::ranges::copy(vector.input, block.begin() + kHeadroom);
    Translator translator(vector.clat.settings());
    const std::size_t before = allocations;
    translator.translate({block.data() + kHeadroom, vector.input.size(), vector.vnet}, sink);
    const Description description(vector.input);
    const std::size_t after = allocations;
    EXPECT_EQ(after, before) << test::test_name(vector) << ", " << description.view();
  }
  EXPECT_GT(sink.packets, test::vectors().size() / 2);
}

TEST(Allocation, IsNeverMadeForAnEchoInFragments) {
  const auto& scene = test::neutral();
  const auto echo = test::icmp4(8, 0, 7, test::counting(200));
  std::vector<std::vector<std::uint8_t>> blocks;
  for (const auto& cut : {test::Cut{0, 104, true}, test::Cut{104, 104, false}}) {
    blocks.push_back(test::Bytes(kHeadroom) + test::piece4(test::out4(scene), echo, cut));
  }
  Segmenter sink;
  Translator translator(scene.clat().settings());
  const std::size_t before = allocations;
  for (auto& block : blocks) translator.translate({block.data() + kHeadroom, block.size() - kHeadroom}, sink);
  const std::size_t after = allocations;
  EXPECT_EQ(after, before);
  EXPECT_EQ(sink.packets, 2U);
}

TEST(Allocation, IsNeverMadeForASuperPacket) {
  const auto packet = test::packet(test::out6(test::neutral()), test::udp(test::counting(64), test::Sum::partial));
  auto block = test::Bytes(kHeadroom) + packet;
  Segmenter sink;
  Coalescer coalescer(sink);
  const std::size_t before = allocations;
  for (int n = 0; n < 100; ++n) {
    coalescer.send({block.data() + kHeadroom, packet.size(), {VnetHeader::kNeedsChecksum, 0, 0, 0, 40, 6}});
  }
  coalescer.flush();
  const std::size_t after = allocations;
  EXPECT_EQ(after, before);
  EXPECT_EQ(sink.packets, 100U);
}

TEST(Allocation, WouldBeSeen) {
  const std::size_t before = allocations;
  // Volatile: else the pairs are left out.
  void* volatile memory = ::operator new(100);
  ::operator delete(memory);
  memory = std::malloc(100);
  std::free(memory);
  EXPECT_EQ(allocations, before + 2);
}

}  // namespace
}  // namespace clat::xlat
