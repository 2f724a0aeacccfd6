// What the kernel's verifier has to say, with all capabilities and with those that are needed.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>

#include "bpf/object.hpp"
#include "tests/bpf/lab.hpp"

namespace clat::test {
namespace {

// The verifier gives up at a million instructions; a small router waits for some ten thousand in a millisecond.
constexpr unsigned kMost = 300'000;
constexpr unsigned kLogStatistics = 4;  // BPF_LOG_STATS

// Loads every program, and prints how much of it the verifier went through.
void verify(const std::string& capabilities) {
  const auto object = bpf::open_object();
  ASSERT_TRUE(object) << object.error().text();
  std::array<std::array<char, 4096>, 6> logs{};
  std::size_t count = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object->get()) {
    ASSERT_LT(count, logs.size());
    bpf_program__set_log_level(program, kLogStatistics);
    bpf_program__set_log_buf(program, logs[count].data(), logs[count].size());
    ++count;
  }
  ASSERT_EQ(count, logs.size());
  ASSERT_EQ(bpf_object__load(object->get()), 0) << std::strerror(errno);
  std::size_t index = 0;
  bpf_object__for_each_program(program, object->get()) {
    const char* said = std::strstr(logs[index++].data(), "processed ");
    unsigned processed = 0;
    ASSERT_TRUE(said != nullptr && std::sscanf(said, "processed %u", &processed) == 1);
    std::printf("%-16s %4zu instructions, %6u verified, %s\n", bpf_program__name(program),
                bpf_program__insn_cnt(program), processed, capabilities.c_str());
    EXPECT_LT(processed, kMost);
  }
}

TEST(VerifierTest, LoadsWithAllCapabilities) { verify("as root"); }

TEST(VerifierTest, LoadsWithTheNeededCapabilities) {
  std::thread([] {
    ASSERT_TRUE(keep_only_the_needed_capabilities());
    verify("with CAP_BPF and CAP_NET_ADMIN");
  }).join();
}

}  // namespace
}  // namespace clat::test
