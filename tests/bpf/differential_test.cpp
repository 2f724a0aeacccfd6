// Random packets: what the programs translate at all, they translate as core/xlat does, to the byte; and what core/xlat
// makes one packet of, they hand to clatd for a few named reasons only.
#include <gtest/gtest.h>
#include <linux/if_ether.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "core/xlat/translator.hpp"
#include "tests/bpf/hooks.hpp"
#include "tests/bpf/random_packet.hpp"

namespace clat::test {
namespace {

unsigned number(const char* variable, unsigned otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 0)) : otherwise;
}
unsigned seed() { return number("CLATVISOR_SEED", 464); }
// Each way.
unsigned packets_to_send() {
#if defined(__SANITIZE_ADDRESS__)
  constexpr unsigned kPackets = 50'000;
#else
  constexpr unsigned kPackets = 500'000;
#endif
  return number("CLATVISOR_PACKETS", kPackets);
}
constexpr unsigned kPerBase = 250;  // packets with one configuration, which takes 20 ms to change
constexpr unsigned kBatch = 50;     // that wait in sockets at a time

struct Made : xlat::Sink {
  std::vector<Bytes> packets;
  bool may_answer() override { return true; }
  void send(const xlat::Frame& frame) override { packets.emplace_back(frame.data, frame.data + frame.size); }
};

struct Reference {
  xlat::Verdict verdict;
  std::vector<Bytes> packets;
};
Reference translate(xlat::Translator& translator, const Packet& packet) {
  static Bytes buffer(xlat::kHeadroom + 70000);
  std::ranges::copy(packet.bytes, buffer.begin() + xlat::kHeadroom);
  Made made;
  const auto verdict = translator.translate({buffer.data() + xlat::kHeadroom, packet.bytes.size(), packet.vnet}, made);
  return {verdict, std::move(made.packets)};
}

// As the table compares: any Identification where it is the translator's choice.
std::string difference(const Reference& reference, Direction direction, const Bytes& actual) {
  if (reference.verdict != xlat::Verdict::translated) return "clatd drops it: " + std::string(name(reference.verdict));
  if (reference.packets.size() != 1) return "clatd fragments it";
  const auto& expected = reference.packets[0];
  // A fragment keeps its own.
  const bool any = direction == Direction::to_ipv4 && (expected[6] & 0x3f) == 0 && expected[7] == 0;
  static auto row = vectors().front();
  row.expected = {expected};
  row.any_identification = any;
  return mismatch(row, actual);
}

class DifferentialTest : public testing::Test {
 protected:
  DifferentialTest() { std::printf("CLATVISOR_SEED=%u\n", seed()); }

  // A packet that clatd translates, and the program does not. It must have a reason.
  void left_to_clatd(const Packet& packet) {
    ++left_;
    const auto reason = reason_to_punt(packet);
    if (reason.empty()) {
      ADD_FAILURE() << "left to clatd:\n" << hex(packet.bytes);
    }
    ++reasons_[reason];
  }
  void summary() const {
    std::printf("%u packets: %u translated alike, %u left to clatd\n", packets_, alike_, left_);
    for (const auto& [reason, count] : reasons_) std::printf("  %s: %u\n", reason.c_str(), count);
    EXPECT_GT(alike_, packets_ / 4);
    EXPECT_LT(left_, alike_ / 8);
  }
  void check_translated(Direction direction, const Packet& sent, const Reference& reference, const Bytes& actual) {
    const auto differs = difference(reference, direction, actual);
    ++alike_;
    EXPECT_EQ(differs, "") << "of\n" << hex(sent.bytes);
  }

  // To the tun, and what came of it.
  void pass_a_batch(RandomPackets& random, xlat::Translator& translator) {
    std::vector<Packet> sent;
    for (unsigned i = 0; i < kBatch; ++i) {
      Packet packet{random.next_vnet(), random.next()};
      if (hooks_.inject(Direction::to_ipv6, packet) == 0) sent.push_back(std::move(packet));
    }
    packets_ += kBatch;
    const auto translated = hooks_.translated(Direction::to_ipv6);
    const auto punted = hooks_.punted();
    auto out = translated.begin();
    auto in = punted.begin();
    for (const auto& packet : sent) {
      const auto reference = translate(translator, packet);
      if (in != punted.end() && in->bytes == packet.bytes) {
        ++in;
        if (reference.verdict == xlat::Verdict::translated && reference.packets.size() == 1) {
          left_to_clatd(packet);
        }
        continue;
      }
      ASSERT_NE(out, translated.end()) << "dropped:\n" << hex(packet.bytes);
      check_translated(Direction::to_ipv6, packet, reference, out->bytes);
      ++out;
    }
    EXPECT_EQ(out, translated.end());
    EXPECT_EQ(in, punted.end());
  }

  Hooks hooks_;
  unsigned packets_ = 0, alike_ = 0, left_ = 0;
  std::map<std::string, unsigned> reasons_;
};

// BPF_PROG_TEST_RUN gives a program an Ethernet header, as the uplink's wants it.
TEST_F(DifferentialTest, UplinkProgram) {
  RandomPackets random(Direction::to_ipv4, seed());
  const auto program = hooks_.uplink_program();
  const auto link_header = ethernet(kUplinkMac, kPeerMac, ETH_P_IPV6);
  while (packets_ < packets_to_send() && !HasFailure()) {
    const auto& base = random.next_base();
    hooks_.configure(base.clat);
    xlat::Translator translator(base.clat.settings());
    for (unsigned i = 0; i < kPerBase; ++i, ++packets_) {
      const Packet sent{{}, random.next()};
      const auto result = run(program, hooks_.uplink(), link_header + sent.bytes);
      const auto reference = translate(translator, sent);
      if (result.bytes != link_header + sent.bytes) {
        EXPECT_EQ(result.verdict, kRedirect);
        check_translated(Direction::to_ipv4, sent, reference, {result.bytes.begin() + ETH_HLEN, result.bytes.end()});
      } else if (result.verdict == kDrop) {
        EXPECT_TRUE(reference.packets.empty()) << hex(sent.bytes);
        EXPECT_NE(reference.verdict, xlat::Verdict::held) << hex(sent.bytes);
      } else if (reference.verdict == xlat::Verdict::translated) {
        left_to_clatd(sent);
      }
    }
  }
  summary();
}

// A tun has no Ethernet header, so its program runs where it is: on the hook.
TEST_F(DifferentialTest, TunProgram) {
  RandomPackets random(Direction::to_ipv6, seed());
  while (packets_ < packets_to_send() && !HasFailure()) {
    const auto& base = random.next_base();
    hooks_.configure(base.clat);
    xlat::Translator translator(base.clat.settings());
    for (unsigned i = 0; i < kPerBase; i += kBatch) ASSERT_NO_FATAL_FAILURE(pass_a_batch(random, translator));
  }
  summary();
}

}  // namespace
}  // namespace clat::test
