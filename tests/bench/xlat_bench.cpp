// ns per packet of the translator alone, without any system call: xlat_bench [seconds per case].
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "core/xlat/translator.hpp"
#include "tests/support/vector_parts.hpp"

namespace {

using clat::test::Bytes;
using clat::xlat::Frame;
using clat::xlat::kHeadroom;
using clat::xlat::VnetHeader;

class Count final : public clat::xlat::Sink {
 public:
  bool may_answer() override { return true; }
  void send(const Frame& frame) override { bytes += frame.size; }
  std::size_t bytes = 0;
};

struct Case {
  const char* name;
  Bytes packet;
  VnetHeader vnet;
};

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The translator works in place: a ring of packets is translated with the clock running, and put back with it stopped.
double ns_per_packet(const clat::test::Scene& scene, const Case& c, double seconds) {
  constexpr std::size_t kRing = 64;
  const auto clat = scene.clat();
  clat::xlat::Translator translator(clat.settings());
  std::vector<std::vector<std::uint8_t>> ring(kRing, std::vector<std::uint8_t>(kHeadroom + c.packet.size()));
  const auto headers = static_cast<std::ptrdiff_t>(std::min<std::size_t>(c.packet.size(), 64));
  for (auto& buffer : ring) std::copy(c.packet.begin(), c.packet.end(), buffer.begin() + kHeadroom);
  Count count;
  std::size_t packets = 0;
  double elapsed = 0;
  while (elapsed < seconds) {
    for (auto& buffer : ring) std::copy_n(c.packet.begin(), headers, buffer.begin() + kHeadroom);
    const double begin = cpu_seconds();
    for (auto& buffer : ring) translator.translate({buffer.data() + kHeadroom, c.packet.size(), c.vnet}, count);
    elapsed += cpu_seconds() - begin;
    packets += kRing;
  }
  if (count.bytes < packets * 20) std::abort();
  // What reading the clock twice costs.
  const double begin = cpu_seconds();
  for (int i = 0; i < 1000; ++i) (void)cpu_seconds();
  const double clock = (cpu_seconds() - begin) / 1000;
  return (elapsed / static_cast<double>(packets) - clock / kRing) * 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  namespace t = clat::test;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0.3;
  for (const auto* scene : {&t::neutral(), &t::operators96(), &t::scenes()[2]}) {
    const auto small = t::udp(t::counting(64 - 28));
    const auto bare = t::udp(t::counting(1400), t::Sum::none);
    const auto super = t::tcp(t::counting(65535 - 40), t::Sum::partial);
    const Case cases[] = {
        {"udp 64 bytes to ipv6", t::packet(t::out4(*scene), small), {}},
        {"udp 64 bytes to ipv4", t::packet(t::in6(*scene), small), {}},
        {"udp 1428 bytes without checksum to ipv6", t::packet(t::out4(*scene), bare), {}},
        {"tcp 64 KiB super-packet to ipv6", t::packet(t::out4(*scene), super), {1, 1, 40, 1400, 20, 16}},
        {"tcp 64 KiB super-packet to ipv4", t::packet(t::in6(*scene), super), {1, 4, 60, 1400, 40, 16}},
    };
    for (const auto& c : cases) {
      const double ns = ns_per_packet(*scene, c, seconds);
      std::printf("%-8s %-42s %7.1f ns/packet\n", scene->name.c_str(), c.name, ns);
    }
  }
  return 0;
}
